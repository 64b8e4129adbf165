// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/render/text_run_summary.h"

namespace startscope {
namespace {

using startscope::v1::Startup;
using testing::HasSubstr;
using testing::Not;

Startup Hello(uint64_t kernel_ns, uint64_t loader_ns) {
  Startup startup;
  startup.mutable_process()->set_executable("/usr/bin/hello");
  startup.set_outcome(startscope::v1::OUTCOME_REACHED);
  startup.set_total_ns(kernel_ns + loader_ns);
  auto* kernel = startup.add_phases();
  kernel->set_phase(startscope::v1::PHASE_KERNEL_EXEC);
  kernel->set_duration_ns(kernel_ns);
  auto* loader = startup.add_phases();
  loader->set_phase(startscope::v1::PHASE_LOADER_BOOTSTRAP);
  loader->set_offset_ns(kernel_ns);
  loader->set_duration_ns(loader_ns);
  return startup;
}

TEST(Spread, OfOneValueIsThatValue) {
  const Spread spread = SpreadOf({7});
  EXPECT_EQ(spread.min, 7u);
  EXPECT_EQ(spread.median, 7u);
  EXPECT_EQ(spread.p95, 7u);
  EXPECT_EQ(spread.max, 7u);
}

TEST(Spread, MedianOfAnEvenCountLiesBetweenTheMiddleTwo) {
  EXPECT_EQ(SpreadOf({4, 1, 3, 10}).median, 3u);
  EXPECT_EQ(SpreadOf({1, 2, 4, 100}).median, 3u);
}

TEST(Spread, P95IsTheNearestRank) {
  std::vector<uint64_t> values;
  for (uint64_t i = 1; i <= 100; ++i) values.push_back(i);
  EXPECT_EQ(SpreadOf(values).p95, 95u);
  EXPECT_EQ(SpreadOf({1, 2, 3}).p95, 3u);
}

TEST(RunSummary, NamesFastestAndSlowestRunByTheirNumber) {
  const std::string text =
      RenderRunSummary({{Hello(100, 300)}, {Hello(100, 100)}, {Hello(100, 900)}}, TerminalStyle{});
  EXPECT_THAT(text, HasSubstr("fastest run 2 in 200 ns · slowest run 3 in 1.00 µs"));
  EXPECT_THAT(text, HasSubstr("3 runs"));
}

TEST(RunSummary, CountsOutcomesAndRunsThatWereNotSeen) {
  Startup killed = Hello(1, 1);
  killed.set_outcome(startscope::v1::OUTCOME_KILLED);
  killed.set_exit_status(9);
  const std::string text = RenderRunSummary({{Hello(1, 1)}, {killed}, {}}, TerminalStyle{});
  EXPECT_THAT(text, HasSubstr("SIGKILL 1 · reached 1 · not seen 1"));
}

TEST(RunSummary, APhaseThatSomeRunsLackSaysSo) {
  Startup shorter = Hello(100, 0);
  shorter.mutable_phases()->RemoveLast();
  EXPECT_THAT(RenderRunSummary({{Hello(100, 100)}, {shorter}}, TerminalStyle{}),
              HasSubstr("loader bootstrap (1 of 2)"));
}

TEST(RunSummary, UnmeasuredFaultsAreNotZero) {
  EXPECT_THAT(RenderRunSummary({{Hello(100, 100)}}, TerminalStyle{}), HasSubstr("–\n"));
}

TEST(RunSummary, EachImageOfAnExecChainHasItsOwnTable) {
  Startup shell = Hello(10, 10);
  shell.mutable_process()->set_executable("/usr/bin/dash");
  const std::string text =
      RenderRunSummary({{shell, Hello(1, 1)}, {shell, Hello(2, 2)}}, TerminalStyle{});
  EXPECT_THAT(text, HasSubstr("dash · "));
  EXPECT_THAT(text, HasSubstr("hello · "));
}

TEST(RunSummary, NoRunsGiveNoText) { EXPECT_EQ(RenderRunSummary({}, TerminalStyle{}), ""); }

}  // namespace
}  // namespace startscope
