// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The BPF object's own type information against this compiler's view of bpf/event.h.

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

#include "bpf/event.h"

namespace {

struct BtfDeleter {
  void operator()(btf* value) const { btf__free(value); }
};

class EventAbiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    object_.reset(btf__parse_elf(STARTSCOPE_BPF_OBJECT, nullptr));
    ASSERT_NE(object_, nullptr) << STARTSCOPE_BPF_OBJECT;
  }

  // Offset in bytes, or -1.
  long OffsetOf(const char* type, const char* member) {
    const btf_type* found = Find(type);
    if (found == nullptr) return -1;
    const btf_member* members = btf_members(found);
    for (int i = 0; i < btf_vlen(found); ++i) {
      if (std::string(btf__name_by_offset(object_.get(), members[i].name_off)) == member) {
        return static_cast<long>(btf_member_bit_offset(found, i)) / 8;
      }
    }
    return -1;
  }
  long SizeOf(const char* type) {
    const btf_type* found = Find(type);
    return found == nullptr ? -1 : static_cast<long>(found->size);
  }

 private:
  const btf_type* Find(const char* type) {
    const int id = btf__find_by_name_kind(object_.get(), type, BTF_KIND_STRUCT);
    return id < 0 ? nullptr : btf__type_by_id(object_.get(), id);
  }
  std::unique_ptr<btf, BtfDeleter> object_;
};

#define EXPECT_SAME_MEMBER(type, member) \
  EXPECT_EQ(OffsetOf(#type, #member), static_cast<long>(offsetof(type, member)))
#define EXPECT_SAME_SIZE(type) EXPECT_EQ(SizeOf(#type), static_cast<long>(sizeof(type)))

TEST_F(EventAbiTest, SizesAgree) {
  EXPECT_SAME_SIZE(ss_event_header);
  EXPECT_SAME_SIZE(ss_counters);
  EXPECT_SAME_SIZE(ss_exec_event);
  EXPECT_SAME_SIZE(ss_exit_event);
  EXPECT_SAME_SIZE(ss_fork_event);
  EXPECT_SAME_SIZE(ss_fault_event);
  EXPECT_SAME_SIZE(ss_mark_event);
  EXPECT_SAME_SIZE(ss_pages_read_event);
  EXPECT_SAME_SIZE(ss_wait_event);
  EXPECT_SAME_SIZE(ss_syscall_event);
  EXPECT_SAME_SIZE(ss_sample_event);
  EXPECT_SAME_SIZE(ss_rule);
  EXPECT_SAME_SIZE(ss_stats);
  EXPECT_SAME_SIZE(ss_cgroup_budget);
}

TEST_F(EventAbiTest, OffsetsAgree) {
  EXPECT_SAME_MEMBER(ss_event_header, boottime_ns);
  EXPECT_SAME_MEMBER(ss_event_header, start_boottime_ns);
  EXPECT_SAME_MEMBER(ss_exec_event, now);
  EXPECT_SAME_MEMBER(ss_exec_event, at_base);
  EXPECT_SAME_MEMBER(ss_exec_event, uid);
  EXPECT_SAME_MEMBER(ss_exec_event, comm);
  EXPECT_SAME_MEMBER(ss_exec_event, tail);
  EXPECT_SAME_MEMBER(ss_exit_event, exit_code);
  EXPECT_SAME_MEMBER(ss_fork_event, flags);
  EXPECT_SAME_MEMBER(ss_fault_event, counts_known);
  EXPECT_SAME_MEMBER(ss_mark_event, cookie);
  EXPECT_SAME_MEMBER(ss_pages_read_event, first_page);
  EXPECT_SAME_MEMBER(ss_pages_read_event, dev_major);
  EXPECT_SAME_MEMBER(ss_wait_event, wake_boottime_ns);
  EXPECT_SAME_MEMBER(ss_wait_event, reason);
  EXPECT_SAME_MEMBER(ss_syscall_event, result);
  EXPECT_SAME_MEMBER(ss_syscall_event, args);
  EXPECT_SAME_MEMBER(ss_syscall_event, path_len);
  EXPECT_SAME_MEMBER(ss_sample_event, flags);
  EXPECT_SAME_MEMBER(ss_rule, cgroup_id);
  EXPECT_SAME_MEMBER(ss_rule, comm);
}

}  // namespace
