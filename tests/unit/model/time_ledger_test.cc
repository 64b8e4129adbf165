// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Every reason for time passing, where every spell off the CPU was recorded.

#include "daemon/model/time_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

// One phase of 1,000 ns that is not the kernel's exec, begun at 200.
TimeScript OnePhase() {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 1000}}).Ends();
  return script;
}

TEST(TimeLedgerTest, WithNothingRecordedItRan) {
  TimeScript script = OnePhase();
  script.Run();
  EXPECT_THAT(script.BlameOf(0), ElementsAre(Share(Reason::kKernelExec, 200)));
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
  EXPECT_EQ(script.slices[1].on_cpu_ns, 1000u);
  script.ExpectExact();
}

TEST(TimeLedgerTest, FaultsByKind) {
  TimeScript script = OnePhase();
  script.Fault(300, 350).Fault(400, 420, /*major=*/true, "/lib/a.so").Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 930), Share(Reason::kMinorFault, 50),
                          Share(Reason::kMajorFault, 20)));
}

TEST(TimeLedgerTest, ASystemCallLessTheFaultsInside) {
  TimeScript script = OnePhase();
  script.Call(300, 500).Fault(350, 360).Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 800), Share(Reason::kMinorFault, 10),
                          Share(Reason::kSyscall, 190)));
}

TEST(TimeLedgerTest, WaitingForACpuAfterBeingPreempted) {
  TimeScript script = OnePhase();
  script.Wait(300, 400, WaitReason::kPreempted, /*woken=*/350).Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kRunQueue, 100)));
  EXPECT_EQ(script.slices[1].runqueue_ns, 100u);
  EXPECT_EQ(script.slices[1].blocked_ns, 0u);
}

TEST(TimeLedgerTest, BlockedUntilWokenThenQueued) {
  TimeScript script = OnePhase();
  script.Wait(300, 400, WaitReason::kOther, /*woken=*/370).Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kRunQueue, 30),
                          Share(Reason::kBlockedOther, 70)));
  EXPECT_EQ(script.slices[1].runqueue_ns, 30u);
  EXPECT_EQ(script.slices[1].blocked_ns, 70u);
  script.ExpectExact();
}

TEST(TimeLedgerTest, WithoutTheWakeupAllOfItWasBlocked) {
  TimeScript script = OnePhase();
  script.Wait(300, 400, WaitReason::kOther).Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kBlockedOther, 100)));
}

TEST(TimeLedgerTest, WakeupsOutsideTheWaitAreCutToIt) {
  TimeScript script = OnePhase();
  script.Wait(300, 400, WaitReason::kOther, /*woken=*/250)
      .Wait(500, 600, WaitReason::kOther, /*woken=*/900)
      .Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 800), Share(Reason::kRunQueue, 100),
                          Share(Reason::kBlockedOther, 100)));
}

TEST(TimeLedgerTest, StorageWaitInsideAFaultNamesTheFaultsFile) {
  TimeScript script = OnePhase();
  script.PagesRead(310, 7)
      .Wait(320, 380, WaitReason::kIo, /*woken=*/370)
      .Fault(300, 400, /*major=*/true, "/lib/a.so")
      .Run();
  EXPECT_THAT(
      script.BlameOf(1),
      ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kMajorFault, 40),
                  Share(Reason::kRunQueue, 10), Share(Reason::kBlockedIo, 50, "/lib/a.so")));
}

TEST(TimeLedgerTest, StorageWaitOutsideFaultsNamesTheFileLastReadFrom) {
  TimeScript script = OnePhase();
  script.PagesRead(250, 6)
      .PagesRead(310, 7)
      .PagesRead(500, 8)
      .PagesRead(315, 9, /*tid=*/43)  // another thread's
      .Wait(320, 380, WaitReason::kIo)
      .Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 940), Share(Reason::kBlockedIo, 60, "/file7")));
}

TEST(TimeLedgerTest, StorageWaitOfAnUnknownFileIsStillStorage) {
  TimeScript script = OnePhase();
  script.Wait(320, 380, WaitReason::kIo).Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 940), Share(Reason::kBlockedIo, 60, "")));
}

TEST(TimeLedgerTest, WaitsForTwoFilesAreTwoShares) {
  TimeScript script = OnePhase();
  script.PagesRead(300, 1)
      .Wait(310, 320, WaitReason::kIo)
      .PagesRead(400, 2)
      .Wait(410, 430, WaitReason::kIo)
      .Wait(440, 450, WaitReason::kIo)
      .Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 960), Share(Reason::kBlockedIo, 10, "/file1"),
                          Share(Reason::kBlockedIo, 30, "/file2")));
}

TEST(TimeLedgerTest, ThrottledTimeIsTakenFromTheQueue) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kMain, 1000}})
      .Mark(200, {})
      .Wait(300, 700, WaitReason::kPreempted)
      .Ends({.throttled_ns = 250})
      .Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 600), Share(Reason::kRunQueue, 150),
                          Share(Reason::kThrottled, 250)));
  EXPECT_EQ(script.slices[1].runqueue_ns, 400u);
}

TEST(TimeLedgerTest, ThrottledTimeIsNoMoreThanTheQueue) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kMain, 1000}})
      .Mark(200, {})
      .Wait(300, 320, WaitReason::kPreempted)
      .Ends({.throttled_ns = 1'000'000})  // other CPUs' share included
      .Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 980), Share(Reason::kThrottled, 20)));
}

TEST(TimeLedgerTest, SamplesAfterCpuidAreTakenFromRunning) {
  TimeScript script = OnePhase();
  script.Sample(300, true)
      .Sample(350, false)
      .Sample(400, true)
      .Sample(450, true, /*tid=*/43)
      .Sample(100, true)   // in the phase before
      .Sample(1200, true)  // at the end, no longer in it
      .Run();
  EXPECT_THAT(script.BlameOf(0),
              ElementsAre(Share(Reason::kKernelExec, 150), Share(Reason::kCpuidTrap, 50)));
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kRunning, 900), Share(Reason::kCpuidTrap, 100)));
}

TEST(TimeLedgerTest, SamplesTellNoMoreThanTheTimeItRan) {
  TimeScript script = OnePhase();
  script.Wait(200, 1180, WaitReason::kOther);
  for (uint64_t i = 0; i < 10; ++i) script.Sample(1180 + i, true);
  script.Run();
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kBlockedOther, 980), Share(Reason::kCpuidTrap, 20)));
  script.ExpectExact();
}

TEST(TimeLedgerTest, WhatCrossesABoundaryIsCutThere) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 300}, {Phase::kMain, 500}})
      .Call(150, 900)
      .Fault(180, 220)
      .Wait(450, 600, WaitReason::kOther, /*woken=*/550)
      .Ends()
      .Run();
  EXPECT_THAT(script.BlameOf(0),
              ElementsAre(Share(Reason::kMinorFault, 20), Share(Reason::kKernelExec, 150),
                          Share(Reason::kSyscall, 30)));
  EXPECT_THAT(script.BlameOf(1),
              ElementsAre(Share(Reason::kMinorFault, 20), Share(Reason::kSyscall, 230),
                          Share(Reason::kBlockedOther, 50)));
  EXPECT_THAT(script.BlameOf(2),
              ElementsAre(Share(Reason::kRunning, 100), Share(Reason::kSyscall, 300),
                          Share(Reason::kRunQueue, 50), Share(Reason::kBlockedOther, 50)));
  script.ExpectExact();
}

TEST(TimeLedgerTest, OtherThreadsDoNotExplainTheMainThreadsTime) {
  TimeScript script = OnePhase();
  script.Fault(300, 400, true, "/x", 43)
      .Call(300, 500, 43)
      .Wait(300, 600, WaitReason::kIo, 0, 43)
      .Run();
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
}

// A clock may not move on while a fault is handled.
TEST(TimeLedgerTest, WhatTookNoTimeExplainsNone) {
  TimeScript script = OnePhase();
  script.Fault(300, 300).Call(400, 400).Wait(500, 500, WaitReason::kOther).Run();
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
}

TEST(TimeLedgerTest, EntriesThatWereNotSeenExplainNothing) {
  TimeScript script = OnePhase();
  script.Fault(300, 400).Call(500, 600).Wait(700, 800, WaitReason::kOther);
  script.evidence.faults[0].value.entry_boottime_ns = 0;
  script.evidence.calls[0].value.entry_boottime_ns = 0;
  script.evidence.waits[0].value.out_boottime_ns = 0;
  script.Run();
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
}

TEST(TimeLedgerTest, EndsBeforeTheirBeginExplainNothing) {
  TimeScript script = OnePhase();
  script.Fault(400, 300).Call(600, 500).Wait(800, 700, WaitReason::kOther).Run();
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
}

TEST(TimeLedgerTest, EachKindOfRecordCountsOnlyWhereItWasAskedFor) {
  TimeScript script = OnePhase();
  script.Fault(300, 400).Call(500, 600).Sample(700, true);
  script.sources.faults_timed = false;
  script.sources.calls = false;
  script.sources.samples = false;
  script.Run();
  EXPECT_THAT(script.BlameOf(1), ElementsAre(Share(Reason::kRunning, 1000)));
}

// A startup may end, at its deadline, in the middle of a wait that nobody saw end.
TEST(TimeLedgerTest, AfterTheLastThingSeenTimeIsUnexplained) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kMain, 1'000'000}})
      .Wait(300, 400, WaitReason::kOther)
      .Call(450, 500)
      .Call(600, 900'000, /*tid=*/43)
      .Run();
  EXPECT_THAT(script.BlameOf(0), ElementsAre(Share(Reason::kKernelExec, 200)));
  EXPECT_THAT(
      script.BlameOf(1),
      ElementsAre(Share(Reason::kRunning, 150), Share(Reason::kSyscall, 50),
                  Share(Reason::kBlockedOther, 100), Share(Reason::kUnexplained, 1'000'200 - 500)));
  EXPECT_TRUE(script.slices[0].on_cpu_ns);
  EXPECT_FALSE(script.slices[1].on_cpu_ns);
  script.ExpectExact();
}

TEST(TimeLedgerTest, AnEmptyPhaseHasNoBlame) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kDependencyMapping, 0}, {Phase::kMain, 100}})
      .Fault(190, 210)
      .Ends()
      .Run();
  EXPECT_THAT(script.BlameOf(1), IsEmpty());
  EXPECT_EQ(script.slices[1].on_cpu_ns, 0u);
  script.ExpectExact();
}

TEST(TimeLedgerTest, TheLargestShareComesFirst) {
  TimeScript script = OnePhase();
  script.Fault(300, 310).Call(400, 1100).Run();
  EXPECT_EQ(script.slices[1].blame[0].reason, Reason::kSyscall);
  EXPECT_EQ(script.slices[1].blame[1].reason, Reason::kRunning);
  EXPECT_EQ(script.slices[1].blame[2].reason, Reason::kMinorFault);
}

TEST(TimeLedgerTest, TheStartsBlameIsItsPhasesBlame) {
  TimeScript script;
  script.Phases({{Phase::kKernelExec, 200}, {Phase::kRelocation, 300}, {Phase::kMain, 500}})
      .PagesRead(240, 3)
      .Wait(250, 300, WaitReason::kIo)
      .Wait(550, 600, WaitReason::kIo)
      .Ends()
      .Run();
  const std::vector<TimeShare> total = AddUpBlame(script.slices);
  ASSERT_EQ(total.size(), 3u);
  EXPECT_EQ(total[0].reason, Reason::kRunning);
  EXPECT_EQ(total[0].duration_ns, 700u);
  EXPECT_EQ(total[1].reason, Reason::kKernelExec);
  EXPECT_EQ(total[2].reason, Reason::kBlockedIo);
  EXPECT_EQ(total[2].object, "/file3");
  EXPECT_EQ(total[2].duration_ns, 100u);
}

}  // namespace
}  // namespace startscope
