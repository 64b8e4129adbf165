// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/constructor_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/loader_script.h"

namespace startscope {
namespace {

using ::testing::Optional;

// Libraries 3 and 4 with a constructor each; constructors run from 600 on.
LoaderScript Relocated(Libc libc = Libc::kGlibc) {
  LoaderScript script(libc);
  script.Needs(1, {3, 4}).Constructor(3, 0x1100, "first").Constructor(4);
  script.Mark(300, MarkKind::kDependenciesBegin, 2).Map(320, 3).Map(350, 4);
  script.Mark(400, MarkKind::kDependenciesMapped, 2).Mark(600, MarkKind::kRelocated, 2);
  return script;
}

const MappedObject& Object(const Startup& startup, uint64_t number) {
  return LoaderScript::Object(startup, number);
}

std::vector<DegradationKind> Degradations(const Startup& startup) {
  std::vector<DegradationKind> kinds;
  for (const Degradation& one : startup.degradations) kinds.push_back(one.kind);
  return kinds;
}

TEST(ConstructorLedgerTest, ACallLastsToWhatRunsNext) {
  LoaderScript script = Relocated();
  script.Init(610, 4).Init(640, 3).Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Object(startup, 4).constructor_ns, Optional(30));
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(60));
  EXPECT_EQ(Object(startup, 3).constructor_source, BoundarySource::kEntryUprobe);
  ASSERT_EQ(Object(startup, 3).init_calls.size(), 1u);
  EXPECT_EQ(Object(startup, 3).init_calls[0].symbol, "first");
  EXPECT_EQ(Object(startup, 3).init_calls[0].offset_ns, 640u);
  EXPECT_THAT(Object(startup, 3).init_calls[0].duration_ns, Optional(60));
  EXPECT_THAT(Degradations(startup), testing::IsEmpty());
}

TEST(ConstructorLedgerTest, CountersAreThoseBetweenTheMarks) {
  LoaderScript script = Relocated();
  script.Init(610, 4);
  script.counters.off_cpu_ns = 25;
  script.counters.run_delay_ns = 5;
  script.counters.minor_faults = 3;
  script.Init(640, 3);
  script.Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Object(startup, 4).init_calls.at(0).blocked_ns, Optional(20));
  EXPECT_THAT(Object(startup, 4).init_calls.at(0).minor_faults, Optional(3));
  EXPECT_THAT(Object(startup, 3).init_calls.at(0).blocked_ns, Optional(0));
}

TEST(ConstructorLedgerTest, TheExecutablesOwnRunAfterItsEntryPoint) {
  LoaderScript script = Relocated();
  script.Constructor(1, 0x1200).Init(610, 3);
  script.Mark(700, MarkKind::kEntry, 1).Init(720, 1, 0x1200).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(90));
  EXPECT_THAT(Object(startup, 1).constructor_ns, Optional(80));
}

TEST(ConstructorLedgerTest, MarksOfOtherThreadsDoNotCut) {
  LoaderScript script = Relocated();
  script.Init(610, 3).Init(630, 4, LoaderScript::kInitAddress, /*tid=*/43);
  script.Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(90));
  // Where that thread's call ends is not known.
  EXPECT_FALSE(Object(startup, 4).constructor_ns);
  ASSERT_EQ(Object(startup, 4).init_calls.size(), 1u);
  EXPECT_FALSE(Object(startup, 4).init_calls[0].duration_ns);
}

TEST(ConstructorLedgerTest, OneThatExitsLastsToTheEnd) {
  LoaderScript script = Relocated();
  script.Init(610, 3);
  const Startup startup = script.Build(900, Outcome::kExited);
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(290));
  EXPECT_FALSE(Object(startup, 4).constructor_ns);
}

TEST(ConstructorLedgerTest, OneThatOpensALibraryEndsWhereThatOnesBegin) {
  LoaderScript script = Relocated();
  script.Constructor(5).Init(610, 3).Map(630, 5).Init(650, 5);
  script.Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(40));
  EXPECT_THAT(Object(startup, 5).constructor_ns, Optional(50));
}

TEST(ConstructorLedgerTest, CalledAgainByMainItIsAFunctionLikeAnother) {
  LoaderScript script = Relocated();
  script.Init(610, 3).Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1).Init(850, 3);
  const Startup startup = script.Build(900, Outcome::kExited);
  EXPECT_EQ(Object(startup, 3).init_calls.size(), 1u);
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(90));
}

TEST(ConstructorLedgerTest, UnperturbedItIsTheFirstFetch) {
  LoaderScript script = Relocated();
  script.evidence.marks.clear();
  script.Fetch(150, 2, 0x1000);
  script.Protect(420, 4).Protect(440, 3).Protect(600, 1);
  script.Fetch(620, 4, 0x1800);  // in the constructor's page
  script.Fetch(650, 3, LoaderScript::kInitAddress);
  script.Fetch(660, 3, 0x2000);  // in none
  script.Fetch(700, 1, 0x1000);
  const Startup startup = script.Build(700, Outcome::kReached, Precision::kUnperturbed);
  EXPECT_THAT(Object(startup, 4).constructor_ns, Optional(30));
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(50));
  EXPECT_EQ(Object(startup, 3).constructor_source, BoundarySource::kFirstFault);
  EXPECT_TRUE(Object(startup, 3).init_calls.empty());
}

TEST(ConstructorLedgerTest, LibrariesWithoutMarksAreFirstSeen) {
  LoaderScript script = Relocated();
  script.Unmarked(3).Init(610, 4).Fetch(640, 3, LoaderScript::kInitAddress);
  script.Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800);
  EXPECT_THAT(Degradations(startup), testing::ElementsAre(DegradationKind::kFirstSeen));
  EXPECT_THAT(Object(startup, 4).constructor_ns, Optional(30));
  EXPECT_THAT(Object(startup, 3).constructor_ns, Optional(60));
  EXPECT_EQ(Object(startup, 3).constructor_source, BoundarySource::kFirstFault);
}

TEST(ConstructorLedgerTest, BelowLevelFunctionsNoCallsAreListed) {
  LoaderScript script = Relocated();
  script.Init(610, 3).Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup startup = script.Build(800, Outcome::kReached, Precision::kExact, Level::kObjects);
  EXPECT_TRUE(Object(startup, 3).init_calls.empty());
}

}  // namespace
}  // namespace startscope
