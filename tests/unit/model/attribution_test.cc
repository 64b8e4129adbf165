// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The timeline of a start at level PAGES, and what its mapping calls do to where faults belong.

#include "daemon/model/attribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <map>
#include <string>

#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemory = 0x7a0000000000;
constexpr uint64_t kBreak = 0x602000;

class AttributionTest : public ::testing::Test {
 protected:
  AttributionTest() : model_(Options(), &seen_, &seen_), script_(&model_) {
    model_.SetWatch(0, {.level = Level::kPages, .until_exit = true, .waits = true});
    script_.Image(kExecutable, Libc::kGlibc, Linkage::kStatic, {MarkKind::kMain})
        .Image(kLoader, Libc::kGlibc, Linkage::kDynamic, {})
        .MapImages(50, false)
        .Exec(100, 0, false);
  }

  static ModelOptions Options() {
    ModelOptions options;
    options.facts_patience_ns = 0;
    return options;
  }

  void Call(uint64_t from, uint64_t until, uint32_t number, int64_t result,
            std::vector<uint64_t> args, uint32_t tid = 42) {
    SyscallEvent call;
    call.entry_boottime_ns = Script::kOrigin + from;
    call.number = number;
    call.result = result;
    std::copy(args.begin(), args.end(), call.args);
    SendAs(tid, until, call);
  }

  // What the kernel records inside a call.
  void Memory(uint64_t at, uint64_t address, uint64_t pages, uint32_t prot = PROT_READ | PROT_WRITE,
              uint32_t tid = 42) {
    MappingEvent mapping;
    mapping.address = address;
    mapping.size_bytes = pages * kPage;
    mapping.prot = prot;
    mapping.path = "//anon";
    SendAs(tid, at, mapping);
  }

  template <typename Payload>
  void SendAs(uint32_t tid, uint64_t at, Payload payload) {
    Event event;
    event.boottime_ns = Script::kOrigin + at;
    event.pid = 42;
    event.tid = tid;
    event.payload = std::move(payload);
    model_.OnEvent(event);
  }

  const Startup& Exit(uint64_t at = 10'000) {
    script_.Exit(at);
    EXPECT_THAT(seen_.finished, SizeIs(1));
    return *seen_.finished.back().second;
  }

  template <typename T>
  static std::vector<T> Entries(const Startup& startup) {
    std::vector<T> entries;
    for (const TimelineEntry& one : startup.timeline->entries) {
      if (const auto* entry = std::get_if<T>(&one.entry)) entries.push_back(*entry);
    }
    return entries;
  }
  // Mapping entries after exec's own.
  static std::vector<MappingEntry> Calls(const Startup& startup) {
    auto entries = Entries<MappingEntry>(startup);
    std::erase_if(entries,
                  [](const auto& one) { return one.operation == MappingOperation::kExec; });
    return entries;
  }
  static std::string Named(const Startup& startup, uint32_t object) {
    return object == kNoIndex ? "" : startup.timeline->objects.at(object).path;
  }
  // Where each fault belongs, in order.
  static std::vector<std::string> FaultObjects(const Startup& startup) {
    std::vector<std::string> names;
    for (const FaultEntry& fault : Entries<FaultEntry>(startup)) {
      names.push_back(Named(startup, fault.object));
    }
    return names;
  }

  Recorder seen_;
  StartupModel model_;
  Script script_;
};

TEST_F(AttributionTest, EverythingIsInOrderOfTime) {
  script_.Fault(120, kEntryAddress, 5, true);
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  script_.Mark(300, MarkKind::kMain, kExecutable);
  WaitEvent wait;
  wait.out_boottime_ns = Script::kOrigin + 350;
  wait.reason = WaitReason::kOther;
  SendAs(42, 400, wait);
  script_.Fault(420, kMemory);
  const Startup& startup = Exit(500);
  std::vector<std::pair<uint64_t, size_t>> order;
  for (const TimelineEntry& entry : startup.timeline->entries) {
    order.emplace_back(entry.offset_ns, entry.entry.index());
  }
  const size_t fault = 0, mapping = 1, mark = 2, waited = 3;
  EXPECT_THAT(order,
              ElementsAre(std::pair{50, mapping}, std::pair{50, mapping}, std::pair{120, fault},
                          std::pair{210, mapping}, std::pair{300, mark}, std::pair{400, waited},
                          std::pair{420, fault}));
  EXPECT_EQ(startup.timeline->omitted, 0u);
}

TEST_F(AttributionTest, LateRecordsAreInTheirPlace) {
  script_.Fault(500, kEntryAddress).Fault(300, kEntryAddress + 8).Fault(400, kEntryAddress + 16);
  std::vector<uint64_t> addresses;
  for (const FaultEntry& fault : Entries<FaultEntry>(Exit())) addresses.push_back(fault.address);
  EXPECT_THAT(addresses, ElementsAre(kEntryAddress + 8, kEntryAddress + 16, kEntryAddress));
}

TEST_F(AttributionTest, EachEntryIsInThePhaseThatHoldsIt) {
  script_.Fault(120, kEntryAddress, 5, true)
      .Fault(250, 0x403010)
      .Mark(300, MarkKind::kMain, kExecutable)
      .Fault(300, 0x403020)
      .Fault(10'000, 0x403030);
  const Startup& startup = Exit(10'000);
  std::vector<Phase> phases;
  for (const TimelineEntry& entry : startup.timeline->entries) {
    if (std::holds_alternative<FaultEntry>(entry.entry)) phases.push_back(entry.phase);
  }
  EXPECT_THAT(phases,
              ElementsAre(Phase::kRuntimeInit, Phase::kRuntimeInit, Phase::kMain, Phase::kMain));
}

TEST_F(AttributionTest, WhatFollowsTheEndIsNotOfTheStartup) {
  model_.SetWatch(0, {.level = Level::kPages, .until_exit = true, .deadline_ns = 1000});
  Script other(&model_, 43);
  other.MapImages(50, false)
      .Exec(100, 0, false)
      .Fault(1001, kEntryAddress)
      .Fault(999, kEntryAddress);
  model_.AdvanceTo(Script::kOrigin + 1000);
  const Startup& startup = *seen_.finished.back().second;
  EXPECT_THAT(Entries<FaultEntry>(startup), SizeIs(1));
}

TEST_F(AttributionTest, AMappingIsToldOnceByItsCall) {
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  const Startup& startup = Exit();
  const auto calls = Calls(startup);
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(calls[0].operation, MappingOperation::kMmap);
  EXPECT_EQ(calls[0].address, kMemory);
  EXPECT_EQ(calls[0].size_bytes, 4 * kPage);
  EXPECT_EQ(calls[0].prot, 3u);
  EXPECT_EQ(calls[0].duration_ns, 10u);
  EXPECT_EQ(Named(startup, calls[0].object), "[anonymous]");
}

TEST_F(AttributionTest, WithoutItsCallTheRecordTells) {
  Memory(205, kMemory, 4);
  const auto calls = Calls(Exit());
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(calls[0].operation, MappingOperation::kMmap);
  EXPECT_FALSE(calls[0].duration_ns);
}

TEST_F(AttributionTest, AnotherThreadsCallIsNotTheOneAround) {
  Memory(205, kMemory, 4, PROT_READ, 42);
  Call(200, 206, SYS_mprotect, 0, {0x1000, kPage, 1}, 43);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 1}, 42);
  const Startup& startup = Exit();
  EXPECT_THAT(Calls(startup), SizeIs(2));
  EXPECT_EQ(startup.phases.back().mmap_calls, 1u);
}

TEST_F(AttributionTest, AFailedCallTellsItsErrorAndChangesNothing) {
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  Call(300, 310, SYS_munmap, -22, {kMemory, 4 * kPage});
  Call(320, 330, SYS_mremap, -14, {kMemory, 4 * kPage, 8 * kPage});
  Call(340, 350, SYS_mmap, -12, {0x1000, uint64_t{1} << 50, 3});
  script_.Fault(400, kMemory);
  const Startup& startup = Exit();
  std::vector<uint32_t> errors;
  for (const MappingEntry& entry : Calls(startup)) errors.push_back(entry.error);
  EXPECT_THAT(errors, ElementsAre(0, 22, 14, 12));
  EXPECT_EQ(Calls(startup)[3].address, 0x1000u);
  EXPECT_THAT(FaultObjects(startup), ElementsAre("[anonymous]"));
}

TEST_F(AttributionTest, UnmappedMemoryIsNamedByItsCallAndGone) {
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  script_.Fault(250, kMemory);
  Call(300, 310, SYS_munmap, 0, {kMemory, 4 * kPage});
  script_.Fault(350, kMemory);
  const Startup& startup = Exit();
  EXPECT_EQ(Named(startup, Calls(startup)[1].object), "[anonymous]");
  EXPECT_THAT(FaultObjects(startup), ElementsAre("[anonymous]", ""));
  EXPECT_EQ(startup.unattributed->minor, 1u);
}

TEST_F(AttributionTest, MovedMemoryIsFollowed) {
  script_.Map(205, kLibc, kMemory, 4 * kPage, PROT_READ, "/data", 8 * kPage);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 1});
  Call(300, 310, SYS_mremap, kMemory + 64 * kPage, {kMemory, 4 * kPage, 8 * kPage, MREMAP_MAYMOVE});
  script_.Fault(350, kMemory + 67 * kPage).Fault(360, kMemory);
  const Startup& startup = Exit();
  const auto calls = Calls(startup);
  EXPECT_EQ(calls[1].operation, MappingOperation::kMremap);
  EXPECT_EQ(calls[1].old_address, kMemory);
  EXPECT_EQ(calls[1].address, kMemory + 64 * kPage);
  EXPECT_EQ(calls[1].size_bytes, 8 * kPage);
  EXPECT_EQ(calls[1].file_offset, 8 * kPage);
  EXPECT_THAT(FaultObjects(startup), ElementsAre("/data", ""));
  EXPECT_EQ(Entries<FaultEntry>(startup)[0].file_offset, 11 * kPage);
}

TEST_F(AttributionTest, MemoryMayMoveAndLeaveItsPlaceMapped) {
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  Call(300, 310, SYS_mremap, kMemory + 64 * kPage,
       {kMemory, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP});
  script_.Fault(350, kMemory).Fault(360, kMemory + 64 * kPage);
  EXPECT_THAT(FaultObjects(Exit()), ElementsAre("[anonymous]", "[anonymous]"));
}

TEST_F(AttributionTest, TheBreakGrowsAndShrinks) {
  Call(200, 210, SYS_brk, kBreak + 0x10, {0});
  Memory(305, kBreak + kPage, 8);
  Call(300, 310, SYS_brk, kBreak + 9 * kPage - 8, {kBreak + 9 * kPage - 8});
  script_.Fault(350, kBreak + 7 * kPage);
  Call(400, 410, SYS_brk, kBreak + 5 * kPage + 0x20, {kBreak + 5 * kPage + 0x20});
  script_.Fault(450, kBreak + 5 * kPage + 0x800).Fault(460, kBreak + 7 * kPage);
  Call(500, 510, SYS_brk, kBreak + 5 * kPage + 0x20, {~uint64_t{0}});  // refused
  const Startup& startup = Exit();
  const auto calls = Calls(startup);
  ASSERT_THAT(calls, SizeIs(4));
  EXPECT_EQ(calls[0].size_bytes, 0u);
  EXPECT_EQ(calls[1].address, kBreak + 0x10);
  EXPECT_EQ(calls[1].size_bytes, 9 * kPage - 0x18);
  EXPECT_EQ(calls[2].size_bytes, 0u);
  EXPECT_EQ(calls[3].size_bytes, 0u);
  for (const MappingEntry& call : calls) EXPECT_EQ(call.operation, MappingOperation::kBrk);
  EXPECT_THAT(FaultObjects(startup), ElementsAre("[anonymous]", "[anonymous]", ""));
  EXPECT_EQ(startup.phases.back().mmap_calls, 0u);
  EXPECT_EQ(startup.phases.back().mapped_bytes, 8 * kPage);
}

TEST_F(AttributionTest, ProtectionChangesAreNotMappings) {
  Memory(205, kMemory, 4, PROT_NONE);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 0});
  Memory(305, kMemory, 2);
  Call(300, 310, SYS_mprotect, 0, {kMemory, 2 * kPage, 3});
  const Startup& startup = Exit();
  EXPECT_EQ(Calls(startup)[1].operation, MappingOperation::kMprotect);
  EXPECT_EQ(Calls(startup)[1].prot, 3u);
  EXPECT_EQ(startup.phases.back().mmap_calls, 1u);
  EXPECT_EQ(startup.phases.back().mapped_bytes, 4 * kPage);
}

TEST_F(AttributionTest, AFaultTellsWhereItHappenedAndWhere) {
  FaultEvent fault;
  fault.completed = true;
  fault.address = 0x403abc;
  fault.ip = kEntryAddress + 0x42;
  fault.entry_boottime_ns = Script::kOrigin + 200;
  fault.fault_off_cpu_ns = 60;
  fault.fault_run_delay_ns = 15;
  fault.access_known = true;
  fault.write = true;
  fault.around_first_page = 3;
  fault.around_pages = 4;
  SendAs(77, 300, fault);
  fault.kernel_mode = true;
  fault.entry_boottime_ns = 0;
  SendAs(42, 400, fault);
  const Startup& startup = Exit();
  const auto faults = Entries<FaultEntry>(startup);
  ASSERT_THAT(faults, SizeIs(2));
  EXPECT_EQ(Named(startup, faults[0].object), "/usr/bin/hello");
  EXPECT_EQ(faults[0].file_offset, 0x3abcu);
  EXPECT_EQ(Named(startup, faults[0].ip_object), "/usr/bin/hello");
  EXPECT_EQ(faults[0].ip_offset, 0x1042u);
  EXPECT_EQ(faults[0].symbol, kNoIndex);
  EXPECT_EQ(faults[0].latency_ns, 100u);
  EXPECT_EQ(faults[0].runqueue_ns, 15u);
  EXPECT_EQ(faults[0].blocked_ns, 45u);
  EXPECT_TRUE(faults[0].write);
  EXPECT_EQ(faults[0].around_pages, 4u);
  EXPECT_EQ(faults[0].around_offset, 3 * kPage);
  // In the kernel its instruction is no object's.
  EXPECT_EQ(faults[1].ip_object, kNoIndex);
  EXPECT_FALSE(faults[1].latency_ns);
  EXPECT_FALSE(faults[1].runqueue_ns);
  EXPECT_EQ(startup.timeline->entries[2].tid, 77u);
}

TEST_F(AttributionTest, FaultsThatDidNotCompleteAreNoEntries) {
  FaultEvent fault;
  fault.address = 0x403000;
  SendAs(42, 300, fault);
  EXPECT_THAT(FaultObjects(Exit()), IsEmpty());
}

TEST_F(AttributionTest, AWaitIsSplitByItsWakeup) {
  const auto wait = [&](uint64_t out, uint64_t woken, uint64_t back, WaitReason reason) {
    WaitEvent event;
    event.out_boottime_ns = Script::kOrigin + out;
    event.wake_boottime_ns = woken == 0 ? 0 : Script::kOrigin + woken;
    event.reason = reason;
    SendAs(42, back, event);
  };
  wait(200, 280, 300, WaitReason::kOther);
  wait(300, 0, 400, WaitReason::kOther);
  wait(400, 0, 500, WaitReason::kPreempted);
  wait(500, 700, 600, WaitReason::kOther);
  const auto waits = Entries<WaitEntry>(Exit());
  ASSERT_THAT(waits, SizeIs(4));
  EXPECT_EQ(waits[0].duration_ns, 100u);
  EXPECT_EQ(waits[0].runqueue_ns, 20u);
  EXPECT_FALSE(waits[1].runqueue_ns);
  EXPECT_EQ(waits[2].runqueue_ns, 100u);
  EXPECT_FALSE(waits[3].runqueue_ns);  // woken after it was back: not believed
}

TEST_F(AttributionTest, AWaitForStorageNamesItsFile) {
  WaitEvent wait;
  wait.out_boottime_ns = Script::kOrigin + 210;
  wait.reason = WaitReason::kIo;
  SendAs(42, 280, wait);
  script_.Fault(300, 0x403010, /*latency=*/100, false, /*major=*/true);
  const Startup& startup = Exit();
  const auto waits = Entries<WaitEntry>(startup);
  ASSERT_THAT(waits, SizeIs(1));
  EXPECT_EQ(Named(startup, waits[0].object), "/usr/bin/hello");
}

TEST_F(AttributionTest, PagesAreNumberedByFirstTouchOverAllObjects) {
  Memory(205, kMemory, 4);
  Call(200, 210, SYS_mmap, kMemory, {0, 4 * kPage, 3});
  script_.Fault(300, 0x403010)
      .Fault(310, kMemory)
      .Fault(320, kEntryAddress)
      .Fault(330, 0x403020)
      .Fault(340, kMemory + kPage);
  std::map<uint64_t, uint64_t> order;
  for (const MappedObject& object : Exit().objects) {
    for (const PageHeat& page : object.pages) order[page.touch_order] = page.address;
  }
  std::vector<uint64_t> addresses;
  for (const auto& [number, address] : order) addresses.push_back(address);
  EXPECT_THAT(addresses,
              ElementsAre(0x403000, kMemory, kEntryAddress & ~0xfffull, kMemory + kPage));
}

TEST_F(AttributionTest, ThroughAHundredThousandMappingsEveryFaultIsAccountedFor) {
  ModelOptions options = Options();
  options.max_timeline = 1000;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kPages, .until_exit = true});
  Script script(&model);
  script.MapImages(50, false).Exec(100, 0, false);
  for (uint64_t i = 0; i < 100'000; ++i) {
    const uint64_t at = 200 + i * 10;
    script.Map(at, i % 2 ? kLibc : FileId{}, kMemory, 4 * kPage, PROT_READ,
               i % 2 ? "/f" : "//anon");
    script.Fault(at + 2, kMemory + kPage, 1);
    SyscallEvent unmap;
    unmap.number = SYS_munmap;
    unmap.entry_boottime_ns = Script::kOrigin + at + 3;
    unmap.args[0] = kMemory;
    unmap.args[1] = 4 * kPage;
    script.Send(at + 4, unmap);
  }
  script.Exit(2'000'000);
  const Startup& startup = *seen_.finished.back().second;
  EXPECT_EQ(startup.faults.minor, 100'000u);
  uint64_t by_object = startup.unattributed->minor;
  for (const MappedObject& object : startup.objects) {
    by_object += object.minor_faults;
    EXPECT_LE(object.segments.size(), 8u);
  }
  EXPECT_EQ(by_object, 100'000u);
  EXPECT_THAT(startup.timeline->entries, SizeIs(1000));
}

}  // namespace
}  // namespace startscope
