// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the loader does after a startup, as marks and mappings show it.

#include "daemon/model/loader_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/model/address_map_testing.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kBegin = 1'000'000;
constexpr uint64_t kEnd = 2'000'000;
constexpr uint64_t kQuiet = 20'000'000;
constexpr uint64_t kCode = 0x400000;
constexpr uint64_t kPlace = 0x7f0000000000;
constexpr FileId kA{8, 1, 501};
constexpr FileId kB{8, 1, 502};

class LoaderWatchTest : public ::testing::Test {
 protected:
  LoaderWatchTest() {
    evidence_.pid = 42;
    evidence_.exec.begin_boottime_ns = kBegin;
    evidence_.exec_boottime_ns = kBegin + 100;
    end_.boottime_ns = kEnd;
    AtStartup(FileMapping(kProgramFile, kCode, 4, kReadExec, 0, "/bin/p"));
    AtStartup(FileMapping(kLibraryFile, kPlace - 64 * kPage, 4, kReadExec, 0, "/lib/libc.so.6"));
  }

  void AtStartup(const MappingEvent& mapping) {
    evidence_.mappings.push_back({kBegin + 200, 42, mapping});
  }

  LoaderWatch& Watch() {
    if (watch_ == nullptr) {
      watch_ = std::make_unique<LoaderWatch>(evidence_, end_, kProgramFile, kLoaderFile);
    }
    return *watch_;
  }

  // Times are offsets from the startup's end.
  template <typename Payload>
  void Send(uint64_t at, Payload payload, uint32_t tid = 42) {
    Event event;
    event.boottime_ns = kEnd + at;
    event.pid = 42;
    event.tid = tid;
    event.payload = std::move(payload);
    Watch().OnEvent(event);
  }

  // A library as glibc maps it: all of it, then its segments over it, its BSS, and RELRO.
  void Load(uint64_t at, const FileId& file, uint64_t address, const std::string& path,
            uint32_t tid = 42) {
    Send(at, FileMapping(file, address, 8, kRead, 0, path), tid);
    Send(at + 10, FileMapping(file, address + kPage, 3, kReadExec, 1, path), tid);
    Send(at + 20, FileMapping(file, address + 4 * kPage, 2, kRead, 4, path), tid);
    Send(at + 30, FileMapping(file, address + 6 * kPage, 1, kReadWrite, 6, path), tid);
    Send(at + 40, MemoryMapping(address + 7 * kPage, 1), tid);
  }

  void Relocate(uint64_t at, const FileId& file, uint64_t address, const std::string& path,
                uint32_t tid = 42) {
    Send(at, FileMapping(file, address + 6 * kPage, 1, kRead, 6, path), tid);
  }

  void Dlopen(uint64_t at, const std::string& name, uint64_t caller = kCode + 0x123,
              uint32_t tid = 42) {
    MarkEvent mark;
    mark.kind = MarkKind::kDlopen;
    mark.text = name;
    mark.word = caller;
    Send(at, mark, tid);
  }

  void Dlclose(uint64_t at, uint32_t tid = 42) {
    MarkEvent mark;
    mark.kind = MarkKind::kDlclose;
    Send(at, mark, tid);
  }

  void Fault(uint64_t at, uint64_t address, uint64_t latency_ns, bool major = false,
             uint32_t tid = 42) {
    FaultEvent fault = FaultAt(address, Access::kRead, major);
    fault.entry_boottime_ns = kEnd + at - latency_ns;
    Send(at, fault, tid);
  }

  std::vector<LoaderActivity> After(uint64_t at) { return Watch().TakeFinished(kEnd + at, false); }
  std::vector<LoaderActivity> Everything() { return Watch().TakeFinished(kEnd, true); }

  static std::vector<std::string> Paths(const LoaderActivity& activity) {
    std::vector<std::string> paths;
    for (const MappedObject& object : activity.objects) paths.push_back(object.path);
    return paths;
  }

  Evidence evidence_;
  End end_;
  std::unique_ptr<LoaderWatch> watch_;
};

TEST_F(LoaderWatchTest, AMarkedDlopenIsExact) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  Load(300, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(500, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(600, kA, kPlace, "/lib/liba.so");
  const auto finished = After(600 + kQuiet);
  ASSERT_THAT(finished, SizeIs(1));
  const LoaderActivity& activity = finished[0];
  EXPECT_EQ(activity.kind, LoaderEventKind::kOpen);
  EXPECT_EQ(activity.source, BoundarySource::kSymbolUprobe);
  EXPECT_EQ(activity.requested, "liba.so");
  EXPECT_EQ(activity.caller_object, "/bin/p");
  EXPECT_EQ(activity.caller_offset, 0x123u);
  EXPECT_EQ(activity.tid, 42u);
  EXPECT_EQ(activity.offset_ns, kEnd + 100 - kBegin);
  EXPECT_EQ(activity.duration_ns, 500u);
  EXPECT_THAT(Paths(activity), ElementsAre("/lib/liba.so", "/lib/libb.so"));
  EXPECT_EQ(activity.objects[0].load_address, kPlace);
  EXPECT_EQ(activity.objects[0].mapped_bytes, 8 * kPage);
  EXPECT_EQ(activity.objects[0].pages_mapped, 8u);
}

TEST_F(LoaderWatchTest, AnActivityIsOverWhenItsThreadHasBeenQuiet) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  EXPECT_THAT(After(240 + kQuiet - 1), IsEmpty());
  Relocate(kQuiet, kA, kPlace, "/lib/liba.so");
  EXPECT_THAT(After(2 * kQuiet - 1), IsEmpty());
  const auto finished = After(2 * kQuiet);
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].duration_ns, kQuiet - 100);
  EXPECT_THAT(After(10 * kQuiet), IsEmpty());  // told once
}

TEST_F(LoaderWatchTest, AnActivityThatDoesNotEndIsToldWhenEverythingIs) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].duration_ns, 140u);
  EXPECT_THAT(Everything(), IsEmpty());
}

TEST_F(LoaderWatchTest, OpeningWhatIsThereAlreadyMapsNothing) {
  Dlopen(100, "libc.so.6");
  const auto finished = After(100 + kQuiet);
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_THAT(finished[0].objects, IsEmpty());
  EXPECT_FALSE(finished[0].duration_ns);
}

TEST_F(LoaderWatchTest, ACallerThatIsNotKnownIsNotTold) {
  Dlopen(100, "liba.so", /*caller=*/0x1234);
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].caller_object, "");
  EXPECT_EQ(finished[0].caller_offset, 0u);
}

TEST_F(LoaderWatchTest, WithoutMarksMappingsShowIt) {
  Load(200, kA, kPlace, "/lib/liba.so");
  Load(300, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(500, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(600, kA, kPlace, "/lib/liba.so");
  const auto finished = After(600 + kQuiet);
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].source, BoundarySource::kMapping);
  EXPECT_EQ(finished[0].requested, "");
  EXPECT_EQ(finished[0].offset_ns, kEnd + 200 - kBegin);
  EXPECT_EQ(finished[0].duration_ns, 400u);
  EXPECT_THAT(Paths(finished[0]), ElementsAre("/lib/liba.so", "/lib/libb.so"));
}

TEST_F(LoaderWatchTest, WithoutMarksWhatFollowsRelocationIsAnotherOne) {
  Load(200, kA, kPlace, "/lib/liba.so");
  Relocate(400, kA, kPlace, "/lib/liba.so");
  Load(500, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(700, kB, kPlace + 64 * kPage, "/lib/libb.so");
  const auto finished = After(kQuiet + 700);
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_THAT(Paths(finished[0]), ElementsAre("/lib/liba.so"));
  EXPECT_EQ(finished[0].duration_ns, 200u);
  EXPECT_THAT(Paths(finished[1]), ElementsAre("/lib/libb.so"));
}

TEST_F(LoaderWatchTest, FilesMappedWithoutCodeAreData) {
  Send(100, FileMapping(kDataFile, kPlace, 8, kRead, 0, "/usr/share/locale/x"));
  Send(200, FileMapping(kDataFile, kPlace, 8, kReadWrite, 0, "/usr/share/locale/x"));
  Send(300, MemoryMapping(kPlace + 64 * kPage, 8));
  EXPECT_THAT(Everything(), IsEmpty());
}

// A profiler reads symbols of a library that it loads later.
TEST_F(LoaderWatchTest, ALibraryThatWasReadAsDataBeforeIsLoadedWhenItIs) {
  for (const uint64_t read_at : {kPlace, kPlace + 640 * kPage}) {
    Send(100, FileMapping(kA, read_at, 8, kRead, 0, "/lib/liba.so"));
    Load(5000, kA, kPlace, "/lib/liba.so");
    const auto finished = Everything();
    ASSERT_THAT(finished, SizeIs(1));
    EXPECT_EQ(finished[0].offset_ns, kEnd + 5000 - kBegin);
    EXPECT_EQ(finished[0].objects[0].load_address, kPlace);
    EXPECT_EQ(finished[0].duration_ns, 40u);
    watch_.reset();
  }
}

TEST_F(LoaderWatchTest, DataMappedWhileLoadingIsNotOfIt) {
  Dlopen(100, "liba.so");
  Send(110, FileMapping(kDataFile, kPlace + 64 * kPage, 8, kRead, 0, "/etc/ld.so.cache"));
  Load(200, kA, kPlace, "/lib/liba.so");
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_THAT(Paths(finished[0]), ElementsAre("/lib/liba.so"));
}

// A constructor of the outer library opens the inner one.
TEST_F(LoaderWatchTest, NestedDlopensAreTwoInOrderOfTheirCalls) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  Relocate(300, kA, kPlace, "/lib/liba.so");
  Dlopen(400, "libb.so", kPlace + kPage + 8);
  Load(500, kB, kPlace + 64 * kPage, "/lib/libb.so");
  Relocate(600, kB, kPlace + 64 * kPage, "/lib/libb.so");
  const auto finished = After(kQuiet + 600);
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_EQ(finished[0].requested, "liba.so");
  EXPECT_EQ(finished[0].duration_ns, 200u);
  EXPECT_EQ(finished[1].requested, "libb.so");
  EXPECT_EQ(finished[1].duration_ns, 200u);
  EXPECT_EQ(finished[1].caller_object, "/lib/liba.so");
  EXPECT_EQ(finished[1].caller_offset, kPage + 8);
}

TEST_F(LoaderWatchTest, DlcloseIsToldAndEndsWhatWasOpen) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  Dlclose(300);
  const auto finished = After(300 + kQuiet);
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_EQ(finished[0].kind, LoaderEventKind::kOpen);
  EXPECT_EQ(finished[1].kind, LoaderEventKind::kClose);
  EXPECT_EQ(finished[1].offset_ns, kEnd + 300 - kBegin);
  EXPECT_THAT(finished[1].objects, IsEmpty());
}

TEST_F(LoaderWatchTest, WhatIsOpenedAgainAtItsOldPlaceIsLoadedAgain) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  Relocate(300, kA, kPlace, "/lib/liba.so");
  Dlclose(400);
  Dlopen(500, "liba.so");
  Load(600, kA, kPlace, "/lib/liba.so");
  Relocate(700, kA, kPlace, "/lib/liba.so");
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(3));
  EXPECT_THAT(Paths(finished[2]), ElementsAre("/lib/liba.so"));
  EXPECT_EQ(finished[2].duration_ns, 200u);
}

TEST_F(LoaderWatchTest, SoItIsWithoutMarksAtOnceOrLater) {
  for (const uint64_t at : {uint64_t{200}, uint64_t{800}, 1000 + 2 * kQuiet}) {
    Load(at, kA, kPlace, "/lib/liba.so");
    Relocate(at + 300, kA, kPlace, "/lib/liba.so");
    if (at == 800) {
      EXPECT_THAT(After(1000 + 2 * kQuiet - 1), SizeIs(2));
    }
  }
  const auto last = Everything();
  ASSERT_THAT(last, SizeIs(1));
  EXPECT_THAT(Paths(last[0]), ElementsAre("/lib/liba.so"));
}

TEST_F(LoaderWatchTest, ThreadsLoadEachForItself) {
  Dlopen(100, "liba.so", kCode, 42);
  Dlopen(110, "libb.so", kCode, 43);
  Send(200, FileMapping(kA, kPlace, 8, kRead, 0, "/lib/liba.so"), 42);
  Send(210, FileMapping(kB, kPlace + 64 * kPage, 8, kRead, 0, "/lib/libb.so"), 43);
  Send(220, FileMapping(kA, kPlace + kPage, 3, kReadExec, 1, "/lib/liba.so"), 42);
  Send(230, FileMapping(kB, kPlace + 65 * kPage, 3, kReadExec, 1, "/lib/libb.so"), 43);
  Fault(240, kPlace + kPage, 5, false, 42);
  Fault(250, kPlace + 65 * kPage, 7, false, 43);
  Fault(255, kPlace + 66 * kPage, 7, false, 44);  // of neither
  Send(260, FileMapping(kA, kPlace + 4 * kPage, 2, kReadWrite, 4, "/lib/liba.so"), 42);
  Send(270, FileMapping(kB, kPlace + 68 * kPage, 2, kReadWrite, 4, "/lib/libb.so"), 43);
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_EQ(finished[0].tid, 42u);
  EXPECT_EQ(finished[0].requested, "liba.so");
  EXPECT_EQ(finished[0].duration_ns, 160u);
  EXPECT_EQ(finished[0].minor_faults, 1u);
  EXPECT_EQ(finished[1].tid, 43u);
  EXPECT_THAT(Paths(finished[1]), ElementsAre("/lib/libb.so"));
  EXPECT_EQ(finished[1].fault_ns, 7u);
}

TEST_F(LoaderWatchTest, FaultsBelongToItUntilItsLastMapping) {
  Dlopen(100, "liba.so");
  Load(200, kA, kPlace, "/lib/liba.so");
  Fault(300, kPlace + 6 * kPage, 9);
  Fault(310, kPlace + 7 * kPage, 2);      // its BSS
  Fault(320, kCode, 30, /*major=*/true);  // the program's own, while loading
  Relocate(400, kA, kPlace, "/lib/liba.so");
  Fault(500, kPlace + kPage, 1000);  // the program calls it
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].minor_faults, 2u);
  EXPECT_EQ(finished[0].major_faults, 1u);
  EXPECT_EQ(finished[0].fault_ns, 41u);
}

TEST_F(LoaderWatchTest, WhatTheStartupMappedIsNotLoadedLate) {
  Send(100, FileMapping(kLibraryFile, kPlace, 4, kReadExec, 0, "/lib/libc.so.6"));
  EXPECT_THAT(Everything(), IsEmpty());
}

TEST_F(LoaderWatchTest, MappingsAfterTheEndAreNotOfTheStartup) {
  evidence_.mappings.push_back(
      {kEnd + 1, 42, FileMapping(kA, kPlace, 8, kReadExec, 0, "/lib/liba.so")});
  Load(200, kA, kPlace, "/lib/liba.so");
  EXPECT_THAT(Everything(), SizeIs(1));
}

// Worker threads that each map a file and end must not blind the watch to libraries.
TEST_F(LoaderWatchTest, ThreadsThatMapDataAndEndDoNotUseItUp) {
  for (uint32_t i = 0; i < 5000; ++i) {
    Send(100 + i,
         FileMapping({8, 1, 10'000 + i}, kPlace + (1000 + i) * 8 * kPage, 4, kRead, 0, "/d"),
         1000 + i);
  }
  Load(10'000, kA, kPlace, "/lib/liba.so");
  const auto finished = Everything();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_THAT(Paths(finished[0]), ElementsAre("/lib/liba.so"));
}

TEST_F(LoaderWatchTest, ThreadsThatLoadAtOnceAreBounded) {
  for (uint32_t i = 0; i < 1000; ++i) Dlopen(100 + i, "liba.so", kCode, 1000 + i);
  EXPECT_THAT(Everything(), SizeIs(256));
  Dlopen(5000, "libb.so");
  EXPECT_THAT(Everything(), SizeIs(1));
}

TEST_F(LoaderWatchTest, WhatIsBeyondItsBoundsIsCounted) {
  constexpr uint32_t kThreads = 256;
  for (uint32_t i = 0; i < kThreads + 3; ++i) Dlopen(1000 + i, "libx.so", kCode + 0x123, 100 + i);
  EXPECT_EQ(Watch().TakeNotFollowed(), 3u);
  EXPECT_EQ(Watch().TakeNotFollowed(), 0u);
}

TEST_F(LoaderWatchTest, AnEndlessRowOfFilesIsCutAndCounted) {
  constexpr uint64_t kFiles = 1024;
  Dlopen(1000, "libx.so");
  for (uint64_t i = 0; i < kFiles + 5; ++i) {
    Send(2000 + i, FileMapping({8, 1, 1000 + i}, kPlace + i * 16 * kPage, 4, kReadExec, 0, "/lib/x"));
  }
  EXPECT_EQ(Watch().TakeNotFollowed(), 5u);
  const std::vector<LoaderActivity> told = Watch().TakeFinished(kEnd + 3000 + kFiles, true);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].objects, SizeIs(kFiles));
}

}  // namespace
}  // namespace startscope
