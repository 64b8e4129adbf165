// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The rings of mapping records on the running kernel, with its own count of what it drops and, as before
// Linux 6.0, without. Needs privileges.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/unique_fd.h"
#include "daemon/collect/perf_event.h"
#include "daemon/collect/sideband.h"
#include "daemon/decode/decoder.h"

namespace startscope {
namespace {

constexpr uint32_t kSmallRing = 1;  // page: some thirty records
constexpr uint64_t kMappings = 1000;
// No kernel knows it, as none before 6.0 knows PERF_FORMAT_LOST.
constexpr uint64_t kUnknownFormat = uint64_t{1} << 40;

class MappingRing : public ::testing::Test {
 protected:
  // On one CPU, so that one ring is meant.
  MappingRing() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(OnlineCpus().front(), &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  }

  void Map(uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      void* const at = mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, file_.get(), 0);
      ASSERT_NE(at, MAP_FAILED);
      munmap(at, 1);
    }
  }

  struct Drained {
    uint64_t own = 0;
    uint64_t lost_in_records = 0;
    uint64_t lost_counted = 0;
  };
  Drained Drain(Sideband* sideband) {
    Drained drained;
    drained.lost_counted = sideband->Drain([&](const RawRecord& record) {
      const std::optional<Event> event = decoder_.Decode(record);
      if (!event) return;
      if (const auto* mapping = std::get_if<MappingEvent>(&event->payload)) {
        if (event->tid == static_cast<uint32_t>(gettid()) && mapping->path == kPath) ++drained.own;
      } else if (const auto* lost = std::get_if<LostEvent>(&event->payload)) {
        EXPECT_EQ(lost->stage, LossStage::kMappingRing);
        drained.lost_in_records += lost->count;
      }
    });
    EXPECT_EQ(decoder_.bad_total(), 0u);
    return drained;
  }

  static constexpr char kPath[] = "/etc/passwd";
  const UniqueFd file_{open(kPath, O_RDONLY | O_CLOEXEC)};
  Decoder decoder_;
};

TEST_F(MappingRing, WithoutTheKernelsCountARecordTellsWhatWasDropped) {
  auto sideband = Sideband::Open(kSmallRing, kUnknownFormat);
  ASSERT_TRUE(sideband.ok()) << sideband.status();
  ASSERT_FALSE((*sideband)->counts_lost());
  Map(kMappings);
  Drained drained = Drain(sideband->get());
  EXPECT_LT(drained.own, kMappings / 2);
  uint64_t mapped = kMappings;
  // There is room again: the record comes before whatever fits next.
  while (true) {
    Map(1);
    ++mapped;
    const Drained next = Drain(sideband->get());
    drained.own += next.own;
    drained.lost_in_records += next.lost_in_records;
    drained.lost_counted += next.lost_counted;
    if (next.own != 0) break;
  }
  EXPECT_EQ(drained.lost_counted, 0u);
  // Others on this machine may have lost some too.
  EXPECT_GE(drained.own + drained.lost_in_records, mapped);
}

TEST_F(MappingRing, TheKernelsCountTellsAtOnceAndOnce) {
  auto sideband = Sideband::Open(kSmallRing);
  ASSERT_TRUE(sideband.ok()) << sideband.status();
  ASSERT_TRUE((*sideband)->counts_lost());  // all that the daemon runs on
  Map(kMappings);
  const Drained full = Drain(sideband->get());
  EXPECT_GE(full.own + full.lost_counted, kMappings);
  Map(1);
  // The record that tells of the same is not handed over.
  EXPECT_EQ(full.lost_in_records + Drain(sideband->get()).lost_in_records, 0u);
}

}  // namespace
}  // namespace startscope
