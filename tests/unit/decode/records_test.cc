// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The kinds of record that detail a startup: whole, cut, grown, and with text that is not what it
// claims.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bpf/event.h"
#include "daemon/decode/decoder.h"
#include "daemon/decode/image_codec.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;

using Bytes = std::vector<uint8_t>;

template <typename T>
Bytes BytesOf(const T& value, const std::string& tail = "") {
  Bytes bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  return bytes;
}

// A record of `kind` that states its own size.
template <typename T>
Bytes Record(T value, uint16_t kind, const std::string& tail = "") {
  value.header = {.kind = kind,
                  .size = static_cast<uint16_t>(sizeof(T) + tail.size()),
                  .cpu = 3,
                  .boottime_ns = 1000,
                  .tgid = 42,
                  .tid = 43,
                  .start_boottime_ns = 900};
  return BytesOf(value, tail);
}

void SetSize(size_t size, Bytes* bytes) {
  const auto stated = static_cast<uint16_t>(size);
  std::memcpy(bytes->data() + offsetof(ss_event_header, size), &stated, sizeof(stated));
}

class RecordsTest : public ::testing::Test {
 protected:
  template <typename T>
  T Read(const Bytes& bytes) {
    const std::optional<Event> event = decoder_.Decode({RecordOrigin::kRing, bytes});
    if (!event || !std::holds_alternative<T>(event->payload)) {
      ADD_FAILURE() << "not decoded";
      return {};
    }
    EXPECT_EQ(event->boottime_ns, 1000u);
    EXPECT_EQ(event->cpu, 3u);
    EXPECT_EQ(event->pid, 42u);
    EXPECT_EQ(event->tid, 43u);
    EXPECT_EQ(event->start_boottime_ns, 900u);
    return std::get<T>(event->payload);
  }
  bool Refuses(const Bytes& bytes, BadRecord reason) {
    const uint64_t before = decoder_.bad(reason);
    return !decoder_.Decode({RecordOrigin::kRing, bytes}) && decoder_.bad(reason) == before + 1;
  }

  // One record of each kind, by what it is called.
  static std::vector<std::pair<std::string, Bytes>> OneOfEach() {
    return {{"pages read", Record(ss_pages_read_event{}, SS_EVENT_PAGES_READ)},
            {"wait", Record(ss_wait_event{}, SS_EVENT_WAIT)},
            {"syscall", Record(ss_syscall_event{}, SS_EVENT_SYSCALL)},
            {"sample", Record(ss_sample_event{}, SS_EVENT_SAMPLE)},
            {"mark", Record(ss_mark_event{}, SS_EVENT_MARK)},
            {"fork", Record(ss_fork_event{}, SS_EVENT_FORK)},
            {"exit", Record(ss_exit_event{}, SS_EVENT_EXIT)}};
  }

  Decoder decoder_;
};

TEST_F(RecordsTest, PagesRead) {
  ss_pages_read_event from{};
  from.first_boottime_ns = 11;
  from.inode = 22;
  from.dev_major = 33;
  from.dev_minor = 44;
  from.first_page = 55;
  from.pages = 66;
  const auto to = Read<PagesReadEvent>(Record(from, SS_EVENT_PAGES_READ));
  EXPECT_EQ(to.first_boottime_ns, 11u);
  EXPECT_EQ(to.file, (FileId{33, 44, 22}));
  EXPECT_EQ(to.first_page, 55u);
  EXPECT_EQ(to.pages, 66u);
}

TEST_F(RecordsTest, WaitsByReason) {
  const std::pair<uint32_t, WaitReason> reasons[] = {
      {0, WaitReason::kUnspecified},         {SS_WAIT_RUNNABLE, WaitReason::kPreempted},
      {SS_WAIT_IO, WaitReason::kIo},         {SS_WAIT_SLEEP, WaitReason::kOther},
      {4, WaitReason::kUnspecified},         {257, WaitReason::kUnspecified},
      {UINT32_MAX, WaitReason::kUnspecified}};
  for (const auto& [number, reason] : reasons) {
    ss_wait_event from{};
    from.out_boottime_ns = 11;
    from.wake_boottime_ns = 22;
    from.reason = number;
    const auto to = Read<WaitEvent>(Record(from, SS_EVENT_WAIT));
    EXPECT_EQ(to.reason, reason) << number;
    EXPECT_EQ(to.out_boottime_ns, 11u);
    EXPECT_EQ(to.wake_boottime_ns, 22u);
  }
}

TEST_F(RecordsTest, SamplesByFlag) {
  for (const uint32_t flags : {0u, SS_SAMPLE_KERNEL, SS_SAMPLE_CPUID, SS_SAMPLE_KERNEL | 64u}) {
    ss_sample_event from{};
    from.ip = 77;
    from.flags = flags;
    const auto to = Read<SampleEvent>(Record(from, SS_EVENT_SAMPLE));
    EXPECT_EQ(to.ip, 77u);
    EXPECT_EQ(to.kernel_mode, (flags & SS_SAMPLE_KERNEL) != 0);
    EXPECT_EQ(to.after_cpuid, (flags & SS_SAMPLE_CPUID) != 0);
  }
}

TEST_F(RecordsTest, MappingCalls) {
  ss_syscall_event from{};
  from.entry_boottime_ns = 11;
  from.off_cpu_ns = 22;
  from.result = -12;
  for (uint64_t i = 0; i < 5; ++i) from.args[i] = 100 + i;
  from.number = 9;
  const auto to = Read<SyscallEvent>(Record(from, SS_EVENT_SYSCALL));
  EXPECT_EQ(to.entry_boottime_ns, 11u);
  EXPECT_EQ(to.off_cpu_ns, 22u);
  EXPECT_EQ(to.result, -12);
  EXPECT_THAT(to.args, ElementsAre(100, 101, 102, 103, 104));
  EXPECT_EQ(to.number, 9u);
  EXPECT_EQ(to.path, "");
}

TEST_F(RecordsTest, DlopenNamesWhatItOpensAndItsCaller) {
  ss_mark_event from{};
  from.cookie = uint64_t{0x12345678} << 8 | SS_MARK_DLOPEN;
  from.ip = 11;
  from.arg0 = 22;
  from.word = 33;
  from.now.minor_faults = 44;
  from.now.threads = 55;
  from.text_len = 9;
  const auto to = Read<MarkEvent>(Record(from, SS_EVENT_MARK, "libfoo.so"));
  EXPECT_EQ(to.kind, MarkKind::kDlopen);
  EXPECT_EQ(to.image, 0x12345678u);
  EXPECT_EQ(to.ip, 11u);
  EXPECT_EQ(to.arg0, 22u);
  EXPECT_EQ(to.word, 33u);
  EXPECT_EQ(to.now.minor_faults, 44u);
  EXPECT_EQ(to.now.threads, 55u);
  EXPECT_EQ(to.text, "libfoo.so");
}

TEST_F(RecordsTest, DlcloseHasNoName) {
  ss_mark_event from{};
  from.cookie = SS_MARK_DLCLOSE;
  const auto to = Read<MarkEvent>(Record(from, SS_EVENT_MARK));
  EXPECT_EQ(to.kind, MarkKind::kDlclose);
  EXPECT_EQ(to.text, "");
  EXPECT_EQ(static_cast<int>(MarkKind::kDlopen), SS_MARK_DLOPEN);
  EXPECT_EQ(static_cast<int>(MarkKind::kDlclose), SS_MARK_DLCLOSE);
}

TEST_F(RecordsTest, TextEndsAtItsTerminatorOrItsLength) {
  ss_syscall_event call{};
  const std::string room(256, 'x');  // reserved for the longest, used for less
  call.path_len = 4;
  EXPECT_EQ(Read<SyscallEvent>(Record(call, SS_EVENT_SYSCALL, "/etc" + room)).path, "/etc");
  call.path_len = 256;
  EXPECT_EQ(Read<SyscallEvent>(Record(call, SS_EVENT_SYSCALL, room)).path, room);
  call.path_len = 8;
  EXPECT_EQ(Read<SyscallEvent>(Record(call, SS_EVENT_SYSCALL, std::string("/a\0bcdef", 8))).path,
            "/a");
  call.path_len = 0;
  EXPECT_EQ(Read<SyscallEvent>(Record(call, SS_EVENT_SYSCALL, "/etc")).path, "");
  EXPECT_EQ(decoder_.bad_total(), 0u);
}

TEST_F(RecordsTest, TextThatIsNotThereIsCounted) {
  for (const uint32_t length : {5u, 0xffffu, 0x80000000u, UINT32_MAX}) {
    ss_syscall_event call{};
    call.path_len = length;
    EXPECT_TRUE(Refuses(Record(call, SS_EVENT_SYSCALL, "/etc"), BadRecord::kBadText)) << length;
    ss_mark_event mark{};
    mark.text_len = length;
    EXPECT_TRUE(Refuses(Record(mark, SS_EVENT_MARK, "libx"), BadRecord::kBadText)) << length;
  }
}

TEST_F(RecordsTest, EveryKindIsRefusedOneByteShort) {
  for (const auto& [name, whole] : OneOfEach()) {
    Bytes bytes = whole;
    EXPECT_TRUE(decoder_.Decode({RecordOrigin::kRing, bytes})) << name;
    SetSize(whole.size() - 1, &bytes);
    EXPECT_TRUE(Refuses(bytes, BadRecord::kTooShort)) << name << " states less than it needs";
    SetSize(whole.size(), &bytes);
    bytes.pop_back();
    EXPECT_TRUE(Refuses(bytes, BadRecord::kSizeMismatch)) << name << " has less than it states";
    bytes.resize(sizeof(ss_event_header) - 1);
    EXPECT_TRUE(Refuses(bytes, BadRecord::kTooShort)) << name << " has no whole header";
    EXPECT_TRUE(Refuses({}, BadRecord::kTooShort));
  }
}

TEST_F(RecordsTest, EveryKindMayGrowAtItsEnd) {
  for (const auto& [name, whole] : OneOfEach()) {
    Bytes bytes = whole;
    bytes.resize(whole.size() + 24, 0xff);
    SetSize(bytes.size(), &bytes);
    EXPECT_TRUE(decoder_.Decode({RecordOrigin::kRing, bytes})) << name;
    SetSize(whole.size(), &bytes);  // what lies behind a record is not of it
    EXPECT_TRUE(decoder_.Decode({RecordOrigin::kRing, bytes})) << name;
  }
}

TEST_F(RecordsTest, UnknownKindsAreCounted) {
  for (const uint16_t kind : {0, int{SS_EVENT_KIND_COUNT}, 1000, 65535}) {
    EXPECT_TRUE(Refuses(Record(ss_fault_event{}, kind), BadRecord::kUnknownKind)) << kind;
  }
}

TEST_F(RecordsTest, AFaultOfWhichOnlyTheEntryWasSeenIsShort) {
  ss_fault_event from{};
  from.address = 0x1234;
  from.around_pages = 16;
  Bytes bytes = Record(from, SS_EVENT_FAULT);
  bytes.resize(SS_FAULT_ENTRY_SIZE);
  SetSize(bytes.size(), &bytes);
  const auto to = Read<FaultEvent>(bytes);
  EXPECT_EQ(to.address, 0x1234u);
  EXPECT_FALSE(to.completed);
  EXPECT_EQ(to.around_pages, 0u);  // beyond its end
}

TEST_F(RecordsTest, LossesByStage) {
  struct {
    uint32_t stage;
    uint32_t zero;
    uint64_t count;
  } lost{};
  for (uint32_t stage = 1; stage <= static_cast<uint32_t>(LossStage::kLoader); ++stage) {
    lost.stage = stage;
    lost.count = 7;
    const Bytes bytes = BytesOf(lost);
    const auto event = decoder_.Decode({RecordOrigin::kLost, bytes});
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<LostEvent>(event->payload).stage, static_cast<LossStage>(stage));
    EXPECT_EQ(std::get<LostEvent>(event->payload).count, 7u);
  }
  for (const uint32_t stage : {0u, static_cast<uint32_t>(LossStage::kLoader) + 1, UINT32_MAX}) {
    lost.stage = stage;
    EXPECT_FALSE(decoder_.Decode({RecordOrigin::kLost, BytesOf(lost)}));
  }
  Bytes cut = BytesOf(lost);
  cut.pop_back();
  EXPECT_FALSE(decoder_.Decode({RecordOrigin::kLost, cut}));
  EXPECT_EQ(decoder_.bad(BadRecord::kUnknownKind), 3u);
  EXPECT_EQ(decoder_.bad(BadRecord::kSizeMismatch), 1u);
}

SymbolsEvent SomeSymbols() {
  SymbolsEvent event;
  event.file = {8, 1, 99};
  event.symbols = {{0x1000, "main"}, {0x2000, ""}, {0, std::string("a\0b", 3)}};
  return event;
}

TEST_F(RecordsTest, SymbolsComeThroughTheDecoder) {
  const Bytes bytes = EncodeSymbolsEvent(SomeSymbols());
  const auto event = decoder_.Decode({RecordOrigin::kImage, bytes});
  ASSERT_TRUE(event);
  const auto& symbols = std::get<SymbolsEvent>(event->payload);
  ASSERT_EQ(symbols.symbols.size(), 3u);
  EXPECT_EQ(symbols.symbols[2].name, std::string("a\0b", 3));
  EXPECT_EQ(EncodeSymbolsEvent(symbols), bytes);
}

TEST_F(RecordsTest, CutSymbolsAreNeitherSymbolsNorAnImage) {
  const Bytes bytes = EncodeSymbolsEvent(SomeSymbols());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(decoder_.Decode({RecordOrigin::kImage, cut})) << size;
  }
  Bytes more = bytes;
  more.push_back(0);
  EXPECT_FALSE(decoder_.Decode({RecordOrigin::kImage, more}));
  EXPECT_EQ(decoder_.bad(BadRecord::kBadText), bytes.size() + 1);
}

TEST_F(RecordsTest, CountsOfSymbolsThatCannotBeAreRefused) {
  const Bytes bytes = EncodeSymbolsEvent({{8, 1, 99}, {}});
  const size_t count_at = bytes.size() - sizeof(uint64_t);
  for (const uint64_t count : {uint64_t{1}, uint64_t{1} << 32, UINT64_MAX}) {
    Bytes changed = bytes;
    std::memcpy(changed.data() + count_at, &count, sizeof(count));
    EXPECT_FALSE(DecodeSymbolsEvent(changed)) << count;
  }
  EXPECT_TRUE(DecodeSymbolsEvent(bytes));
}

TEST_F(RecordsTest, AnImageIsNotTakenForSymbols) {
  ImageEvent image;
  image.image = UINT32_MAX;
  image.facts = std::make_shared<ImageFacts>();
  const Bytes bytes = EncodeImageEvent(image);
  EXPECT_FALSE(DecodeSymbolsEvent(bytes));
  const auto event = decoder_.Decode({RecordOrigin::kImage, bytes});
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ImageEvent>(event->payload).image, UINT32_MAX);
}

}  // namespace
}  // namespace startscope
