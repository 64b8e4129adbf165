// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Where no waits were recorded, the scheduler's own figures split and explain time; and whatever
// was recorded, every nanosecond gets one reason.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "daemon/model/time_ledger.h"
#include "tests/unit/model/time_testing.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Reason = TimeReason;

auto Share(Reason reason, uint64_t ns, const std::string& object = "") {
  return Pair(Pair(reason, object), ns);
}

// What the scheduler says at one moment.
Counters Figures(uint64_t off_cpu_ns, uint64_t run_delay_ns, uint64_t switches = 1,
                 uint64_t read_bytes = 0) {
  Counters counters;
  counters.off_cpu_ns = off_cpu_ns;
  counters.run_delay_ns = run_delay_ns;
  counters.voluntary_switches = switches;
  counters.read_bytes = read_bytes;
  return counters;
}

// One phase from 200 to 1,200 of which the figures at both ends are known.
TimeScript Between(const Counters& first, const Counters& last) {
  TimeScript script;
  script.sources.waits = false;
  script.evidence.exec.begin = first;
  script.evidence.exec.now = first;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 1000}})
      .Mark(200, first)
      .Ends(last);
  return script;
}

TEST(TimeReadingsTest, FiguresAtBothEndsSplitAPhase) {
  TimeScript script = Between(Figures(5000, 100), Figures(5300, 180, 2));
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 700u);
  EXPECT_EQ(script.slices[1].runqueue_ns, 80u);
  EXPECT_EQ(script.slices[1].blocked_ns, 220u);
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 700), Share(Reason::kRunQueue, 80),
                          Share(Reason::kBlockedOther, 220)));
  script.ExpectExact();
}

TEST(TimeReadingsTest, WhetherItWaitedForStorageIsUnexplainedIfSomethingWasRead) {
  TimeScript script = Between(Figures(5000, 100), Figures(5300, 180, 2, 4096));
  script.Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 700), Share(Reason::kRunQueue, 80),
                          Share(Reason::kUnexplained, 220)));
  EXPECT_EQ(script.slices[1].storage_bytes, 4096u);
}

TEST(TimeReadingsTest, AThreadThatNeverGaveUpItsCpuWasQueued) {
  TimeScript script = Between(Figures(5000, 100), Figures(5300, 180));
  script.Run();
  EXPECT_EQ(script.slices[1].runqueue_ns, 300u);
  EXPECT_EQ(script.slices[1].blocked_ns, 0u);
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 700), Share(Reason::kRunQueue, 300)));
}

TEST(TimeReadingsTest, FiguresThatWrapAreDifferencesStill) {
  TimeScript script = Between(Figures(UINT64_MAX - 99, 100), Figures(200, 150, 2));
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 700u);
  EXPECT_EQ(script.slices[1].runqueue_ns, 50u);
  EXPECT_EQ(script.slices[1].blocked_ns, 250u);
}

TEST(TimeReadingsTest, FiguresThatGoBackTellOfNothing) {
  TimeScript script = Between(Figures(5000, 100, 9, 50), Figures(4000, 50, 3, 10));
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 1000u);
  EXPECT_EQ(script.slices[1].storage_bytes, 0u);
  script.ExpectExact();
}

TEST(TimeReadingsTest, MoreThanThePhaseIsCutToIt) {
  TimeScript script = Between(Figures(0, 0), Figures(uint64_t{1} << 40, uint64_t{1} << 41, 2));
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 0u);
  EXPECT_EQ(script.slices[1].runqueue_ns, 1000u);
  script.ExpectExact();
}

TEST(TimeReadingsTest, APhaseWithoutFiguresAtItsEndsIsUnexplained) {
  TimeScript script;
  script.sources.waits = false;
  script.evidence.exec.now = Figures(100, 0);
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 300}, {Phase::kMain, 500}})
      .Fault(400, 420)
      .Ends(Figures(300, 20, 2));
  script.Run();
  EXPECT_FALSE(script.slices[1].on_cpu_ns);
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kMinorFault, 20), Share(Reason::kUnexplained, 280)));
  script.ExpectExact();
}

TEST(TimeReadingsTest, FiguresAroundAPhaseDoIfNothingPassedBetween) {
  TimeScript script;
  script.sources.waits = false;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 300}, {Phase::kMain, 500}}).Ends();
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 300u);
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 300)));
}

TEST(TimeReadingsTest, WithoutAnyFiguresAtTheEndTheLastPhaseIsUnexplained) {
  TimeScript script;
  script.sources.waits = false;
  script.Phases({{Phase::kKernelExec, 100}, {Phase::kMain, 500}}).Run();
  EXPECT_THAT(script.BlameOf(0), ElementsAre(Share(Reason::kKernelExec, 100)));
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kUnexplained, 500)));
}

TEST(TimeReadingsTest, MarksOfAnotherWatchAreNoFiguresOfThisOne) {
  TimeScript script = Between(Figures(0, 0), Figures(100, 0, 2));
  script.sources.marks = false;
  script.Run();
  EXPECT_FALSE(script.slices[1].on_cpu_ns);  // what passed may have passed before it
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kUnexplained, 1000)));
}

TEST(TimeReadingsTest, AMajorFaultTellsHowLongItWaitedForItsFile) {
  TimeScript script = Between(Figures(0, 0), Figures(90, 20, 2));
  script.Fault(300, 400, true, "/lib/a.so", TimeScript::kPid, /*off_cpu_ns=*/80, /*run_delay=*/15);
  script.Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 890), Share(Reason::kMajorFault, 20),
                          Share(Reason::kRunQueue, 20), Share(Reason::kBlockedIo, 65, "/lib/a.so"),
                          Share(Reason::kBlockedOther, 5)))
      << "5 of the queue and 5 of the wait were outside of it";
}

TEST(TimeReadingsTest, AMinorFaultThatWaitedDidNotWaitForStorage) {
  TimeScript script = Between(Figures(0, 0), Figures(80, 15, 2));
  script.Fault(300, 400, false, "/lib/a.so", TimeScript::kPid, 80, 15);
  script.Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kMinorFault, 20),
                          Share(Reason::kRunQueue, 15), Share(Reason::kBlockedOther, 65)));
}

TEST(TimeReadingsTest, AFaultThatCrossesABoundarySharesItsWaitOut) {
  TimeScript script;
  script.sources.waits = false;
  script.Phases({{Phase::kRelocation, 500}, {Phase::kMain, 500}})
      .Fault(400, 600, true, "/f", TimeScript::kPid, 100, 0)
      .Ends();
  script.Run();
  for (size_t slice : {0, 1}) {
    const auto blame = script.BlameOf(slice);
    EXPECT_EQ(blame.at({Reason::kBlockedIo, "/f"}), 50u);
    EXPECT_EQ(blame.at({Reason::kMajorFault, ""}), 50u);
  }
  script.ExpectExact();
}

TEST(TimeReadingsTest, FaultsOfTheMainThreadAreReadingsToo) {
  TimeScript script;
  script.sources.waits = false;
  script.evidence.exec.begin = Figures(1000, 0);
  script.evidence.exec.now = Figures(1000, 0);
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 300}, {Phase::kMain, 500}})
      .Fault(200, 210)
      .Fault(490, 500)
      .Fault(495, 499, false, "", /*tid=*/43)
      .Ends(Figures(1140, 100, 2));
  script.evidence.faults[0].value.off_cpu_ns = 1000;
  script.evidence.faults[1].value.off_cpu_ns = 1040;
  script.evidence.faults[1].value.run_delay_ns = 40;
  script.evidence.faults[2].value.off_cpu_ns = 77777;
  script.Run();
  EXPECT_EQ(script.slices[1].on_cpu_ns, 260u);
  EXPECT_EQ(script.slices[1].runqueue_ns, 40u);
  EXPECT_EQ(script.slices[2].on_cpu_ns, 400u);
  EXPECT_EQ(script.slices[2].runqueue_ns, 60u);
  EXPECT_EQ(script.slices[2].blocked_ns, 40u);
}

TEST(TimeReadingsTest, OverlappingWaitsNeverTellMoreThanThePhase) {
  TimeScript script;
  script.Phases({{Phase::kMain, 100}})
      .Wait(10, 90, WaitReason::kOther)
      .Wait(20, 95, WaitReason::kOther, 30)
      .Wait(15, 99, WaitReason::kPreempted)
      .Ends();
  script.Run();
  script.ExpectExact();
}

uint64_t AnyFigure(std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return UINT32_MAX - random() % 50 + random() % 100;
    case 1:
      return UINT64_MAX - random() % 100;
    case 2:
      return random();
    default:
      return random() % 2000;
  }
}

Counters AnyFigures(std::mt19937_64& random) {
  Counters counters;
  counters.off_cpu_ns = AnyFigure(random);
  counters.run_delay_ns = AnyFigure(random);
  counters.voluntary_switches = random() % 3;
  counters.read_bytes = AnyFigure(random);
  counters.throttled_ns = AnyFigure(random);
  return counters;
}

// Evidence as no kernel would give it: overlapping, out of order, beyond both ends, of other
// threads.
void AddAnything(std::mt19937_64& random, TimeScript* script) {
  Event event;
  event.pid = TimeScript::kPid;
  event.tid = random() % 4 == 0 ? 43 : TimeScript::kPid;
  event.boottime_ns = TimeScript::kBegin - 100 + random() % 1500;
  const auto around = [&] {
    return random() % 8 == 0 ? 0 : event.boottime_ns + random() % 60 - random() % 300;
  };
  switch (random() % 6) {
    case 0:
    case 1: {
      FaultEvent fault;
      fault.completed = random() % 8 != 0;
      fault.major = random() % 3 == 0;
      fault.entry_boottime_ns = around();
      fault.off_cpu_ns = AnyFigure(random);
      fault.run_delay_ns = AnyFigure(random);
      fault.fault_off_cpu_ns = AnyFigure(random);
      fault.fault_run_delay_ns = AnyFigure(random);
      event.payload = fault;
      break;
    }
    case 2: {
      WaitEvent wait;
      wait.out_boottime_ns = around();
      wait.wake_boottime_ns = around();
      wait.reason = static_cast<WaitReason>(random() % 4);
      event.payload = wait;
      break;
    }
    case 3: {
      SyscallEvent call;
      call.entry_boottime_ns = around();
      event.payload = call;
      break;
    }
    case 4: {
      MarkEvent mark;
      mark.now = AnyFigures(random);
      event.payload = mark;
      break;
    }
    default:
      if (random() % 2 == 0) {
        event.payload = SampleEvent{0, false, random() % 2 == 0};
      } else {
        PagesReadEvent read;
        read.first_boottime_ns = around();
        read.file = {8, 1, random() % 3};
        event.payload = read;
      }
  }
  ASSERT_TRUE(script->evidence.Add(event, EvidenceLimits{}, false));
}

TEST(TimeReadingsTest, EveryNanosecondHasOneReasonWhateverWasRecorded) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 3000; ++round) {
    TimeScript script;
    script.sources.marks = random() % 2 != 0;
    script.sources.faults_timed = random() % 4 != 0;
    script.sources.waits = random() % 2 != 0;
    script.sources.calls = random() % 2 != 0;
    script.sources.samples = random() % 2 != 0;
    script.evidence.exec.begin = AnyFigures(random);
    script.evidence.exec.now = AnyFigures(random);
    for (uint64_t count = random() % 60; count > 0; --count) AddAnything(random, &script);
    for (const auto& fault : script.evidence.faults) {
      script.fault_paths.push_back(fault.value.major ? "/file1" : "");
    }
    std::vector<std::pair<Phase, uint64_t>> phases = {{Phase::kKernelExec, 100}};
    for (uint64_t count = random() % 6; count > 0; --count) {
      phases.emplace_back(static_cast<Phase>(3 + random() % 6), random() % 4 ? random() % 400 : 0);
    }
    script.Phases(phases);
    if (random() % 2 != 0) script.Ends(AnyFigures(random));
    script.Run();
    script.ExpectExact();
    uint64_t in_phases = 0;
    for (const PhaseSlice& slice : script.slices) in_phases += slice.duration_ns;
    uint64_t blamed = 0;
    for (const TimeShare& share : AddUpBlame(script.slices)) blamed += share.duration_ns;
    EXPECT_EQ(blamed, in_phases);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace startscope
