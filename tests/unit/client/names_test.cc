// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/names.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace startscope {
namespace {

using startscope::v1::Startup;

Startup With(startscope::v1::Outcome outcome, uint64_t total_ns) {
  Startup startup;
  startup.set_outcome(outcome);
  startup.set_total_ns(total_ns);
  return startup;
}

TEST(Names, EveryPhaseSourceAndDegradationHasWords) {
  for (int i = 1; i <= startscope::v1::Phase_MAX; ++i) {
    EXPECT_EQ(PhaseName(static_cast<startscope::v1::Phase>(i)).find("phase "), std::string::npos);
  }
  for (int i = 1; i <= startscope::v1::BoundarySource_MAX; ++i) {
    const auto source = static_cast<startscope::v1::BoundarySource>(i);
    EXPECT_EQ(SourceName(source).find("source "), std::string::npos);
  }
  for (int i = 1; i <= startscope::v1::DegradationKind_MAX; ++i) {
    const auto kind = static_cast<startscope::v1::DegradationKind>(i);
    EXPECT_EQ(DescribeDegradation(kind).what.find("degradation "), std::string::npos);
  }
}

TEST(Names, ValuesOfANewerDaemonAppearAsNumbers) {
  EXPECT_EQ(PhaseName(static_cast<startscope::v1::Phase>(77)), "phase 77");
}

TEST(Names, OutcomeNamesTheMilestoneThatEndedIt) {
  Startup startup = With(startscope::v1::OUTCOME_REACHED, 1'750'000);
  auto* milestone = startup.add_milestones();
  milestone->set_kind(startscope::v1::MILESTONE_KIND_MAIN);
  milestone->set_offset_ns(1'750'000);
  EXPECT_EQ(OutcomePhrase(startup, Glyphs::Utf8()), "reached main in 1.75 ms");
  EXPECT_EQ(OutcomeWord(startup), "main");
}

TEST(Names, ExitStatusIsReadAsWaitGivesIt) {
  Startup startup = With(startscope::v1::OUTCOME_EXITED, 1000);
  startup.set_exit_status(W_EXITCODE(3, 0));
  EXPECT_EQ(OutcomePhrase(startup, Glyphs::Utf8()),
            "exited with status 3 after 1.00 µs, before it was ready");
  startup.set_outcome(startscope::v1::OUTCOME_KILLED);
  startup.set_exit_status(W_EXITCODE(0, SIGSEGV));
  EXPECT_EQ(OutcomeWord(startup), "SIGSEGV");
}

TEST(Names, AnAbsentExitStatusIsNotStatusZero) {
  EXPECT_EQ(OutcomeWord(With(startscope::v1::OUTCOME_EXITED, 1)), "exited");
}

TEST(Names, FaultsThatWereNotMeasuredAreNotZero) {
  EXPECT_EQ(FaultPair(true, 4, true, 0, Glyphs::Utf8()), "4+0");
  EXPECT_EQ(FaultPair(true, 4, false, 0, Glyphs::Utf8()), "4+–");
  EXPECT_EQ(FaultPair(false, 0, false, 0, Glyphs::Utf8()), "–");
}

TEST(Names, UnknownPartsOfARuntimeAreLeftOut) {
  startscope::v1::Runtime runtime;
  EXPECT_EQ(RuntimeName(runtime, true), "runtime not recognised");
  runtime.set_libc(startscope::v1::LIBC_MUSL);
  runtime.set_linkage(startscope::v1::LINKAGE_STATIC_PIE);
  runtime.set_language(startscope::v1::LANGUAGE_UNKNOWN);
  EXPECT_EQ(RuntimeName(runtime, true), "musl, static PIE");
}

}  // namespace
}  // namespace startscope
