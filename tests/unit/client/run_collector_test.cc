// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/run_collector.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

using startscope::v1::Startup;
using Completeness = RunCollector::Completeness;

Startup Of(uint32_t pid, startscope::v1::Outcome outcome, uint64_t begin_ns = 1) {
  Startup startup;
  startup.mutable_process()->set_pid(pid);
  startup.mutable_process()->set_pid_in_namespace(pid + 1000);
  startup.set_outcome(outcome);
  startup.set_begin_boottime_ns(begin_ns);
  return startup;
}

TEST(RunCollector, StartupsOfOtherProcessesAreRefused) {
  RunCollector collector(startscope::v1::UNTIL_MAIN, false);
  collector.Begin(10);
  EXPECT_FALSE(collector.Add(Of(11, startscope::v1::OUTCOME_REACHED)));
  EXPECT_EQ(collector.completeness(), Completeness::kMissing);
}

TEST(RunCollector, ReachingMainMayBeFollowedByAnotherImage) {
  RunCollector collector(startscope::v1::UNTIL_MAIN, false);
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REACHED));
  EXPECT_EQ(collector.completeness(), Completeness::kPlausible);
}

TEST(RunCollector, ReachingExitIsTheEnd) {
  RunCollector collector(startscope::v1::UNTIL_EXIT, false);
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REACHED));
  EXPECT_EQ(collector.completeness(), Completeness::kComplete);
}

TEST(RunCollector, EndingBeforeMainIsTheEnd) {
  for (const auto outcome : {startscope::v1::OUTCOME_EXITED, startscope::v1::OUTCOME_KILLED,
                             startscope::v1::OUTCOME_EXEC_FAILED}) {
    RunCollector collector(startscope::v1::UNTIL_MAIN, false);
    collector.Begin(10);
    collector.Add(Of(10, outcome));
    EXPECT_EQ(collector.completeness(), Completeness::kComplete);
  }
}

TEST(RunCollector, AReplacedImageMeansThatAnotherIsMissing) {
  RunCollector collector(startscope::v1::UNTIL_MAIN, false);
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REPLACED, 1));
  EXPECT_EQ(collector.completeness(), Completeness::kMissing);
  collector.Add(Of(10, startscope::v1::OUTCOME_EXITED, 2));
  EXPECT_EQ(collector.completeness(), Completeness::kComplete);
}

TEST(RunCollector, ImagesOfAChainAreInOrderOfTheirBegin) {
  RunCollector collector(startscope::v1::UNTIL_EXIT, false);
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REACHED, 20));
  collector.Add(Of(10, startscope::v1::OUTCOME_REPLACED, 5));
  ASSERT_EQ(collector.runs()[0].startups.size(), 2u);
  EXPECT_EQ(collector.runs()[0].startups[0].begin_boottime_ns(), 5u);
  EXPECT_EQ(collector.completeness(), Completeness::kComplete);
}

TEST(RunCollector, AReusedPidBelongsToTheLaterRun) {
  RunCollector collector(startscope::v1::UNTIL_EXIT, false);
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REACHED, 1));
  collector.Begin(10);
  collector.Add(Of(10, startscope::v1::OUTCOME_REACHED, 2));
  EXPECT_EQ(collector.runs()[0].startups.size(), 1u);
  EXPECT_EQ(collector.runs()[1].startups.size(), 1u);
}

TEST(RunCollector, OneRunWithoutStartupsKeepsAllWaiting) {
  RunCollector collector(startscope::v1::UNTIL_EXIT, false);
  collector.Begin(10);
  collector.Begin(11);
  collector.Add(Of(11, startscope::v1::OUTCOME_REACHED));
  EXPECT_EQ(collector.completeness(), Completeness::kMissing);
}

TEST(RunCollector, InANestedNamespaceItsOwnPidsCount) {
  RunCollector collector(startscope::v1::UNTIL_EXIT, true);
  collector.Begin(1010);
  EXPECT_TRUE(collector.Add(Of(10, startscope::v1::OUTCOME_REACHED)));
}

}  // namespace
}  // namespace startscope
