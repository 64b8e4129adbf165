// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/loader_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/loader_script.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

// hello needs 3 and 4; 3 needs 4 and 5; dependency mapping from 300 to 400, relocation to 600.
LoaderScript Mapped(Libc libc = Libc::kGlibc) {
  LoaderScript script(libc);
  script.Needs(1, {3, 4}).Needs(3, {4, 5});
  script.File(4);
  script.File(5);
  script.Mark(300, MarkKind::kDependenciesBegin, 2).Map(320, 3).Map(350, 4).Map(390, 5);
  script.Mark(400, MarkKind::kDependenciesMapped, 2);
  return script;
}

LoaderScript& Finish(LoaderScript& script) {
  return script.Mark(600, MarkKind::kRelocated, 2)
      .Mark(700, MarkKind::kEntry, 1)
      .Mark(800, MarkKind::kMain, 1);
}

const MappedObject& Object(const Startup& startup, uint64_t number) {
  return LoaderScript::Object(startup, number);
}

TEST(LoaderLedgerTest, OrderIsThatOfMappingAfterExecutableAndInterpreter) {
  LoaderScript script = Mapped();
  const Startup startup = Finish(script).Build(800);
  EXPECT_EQ(Object(startup, 1).load_order, 1u);
  EXPECT_EQ(Object(startup, 2).load_order, 2u);
  EXPECT_EQ(Object(startup, 3).load_order, 3u);
  EXPECT_EQ(Object(startup, 5).load_order, 5u);
  EXPECT_EQ(Object(startup, 1).reason, LoadReason::kExecutable);
  EXPECT_EQ(Object(startup, 2).reason, LoadReason::kInterpreter);
  EXPECT_EQ(Object(startup, 4).reason, LoadReason::kNeeded);
}

TEST(LoaderLedgerTest, DepthIsTheShortestChain) {
  LoaderScript script = Mapped();
  const Startup startup = Finish(script).Build(800);
  EXPECT_EQ(Object(startup, 1).depth, 0u);
  EXPECT_EQ(Object(startup, 3).depth, 1u);
  EXPECT_EQ(Object(startup, 4).depth, 1u);
  EXPECT_EQ(Object(startup, 5).depth, 2u);
  EXPECT_THAT(Object(startup, 4).needed_by, ElementsAre("/bin/hello", "/lib/file3"));
  EXPECT_THAT(Object(startup, 3).facts->needed, ElementsAre("file4", "file5"));
}

TEST(LoaderLedgerTest, WhatNobodyNeedsWasPreloadedOrOpened) {
  LoaderScript script = Mapped();
  script.File(6);
  script.File(7);
  script.Needs(6, {7});
  // 6 and 7 are mapped between dependencies; in order of time.
  LoaderScript early(Libc::kGlibc);
  early.Needs(1, {3}).Needs(6, {7});
  early.File(3);
  early.File(7);
  early.Mark(300, MarkKind::kDependenciesBegin, 2).Map(310, 6).Map(320, 3).Map(330, 7);
  early.Mark(400, MarkKind::kDependenciesMapped, 2);
  const Startup preloaded = Finish(early).Build(800);
  EXPECT_EQ(Object(preloaded, 6).reason, LoadReason::kPreload);
  EXPECT_EQ(Object(preloaded, 7).reason, LoadReason::kNeeded);
  EXPECT_EQ(Object(preloaded, 7).depth, 1u);

  script.Mark(600, MarkKind::kRelocated, 2).Map(620, 6).Map(630, 7);
  script.Mark(700, MarkKind::kEntry, 1).Mark(800, MarkKind::kMain, 1);
  const Startup opened = script.Build(800);
  EXPECT_EQ(Object(opened, 6).reason, LoadReason::kDlopen);
  EXPECT_EQ(Object(opened, 7).reason, LoadReason::kNeeded);
}

TEST(LoaderLedgerTest, ReasonIsNotToldWhenANeederMayBeUnknown) {
  LoaderScript script(Libc::kGlibc);
  script.Needs(1, {3});
  script.Mark(300, MarkKind::kDependenciesBegin, 2);
  script.Map(310, 9).Map(320, 8);  // 9 was never read
  script.File(8);
  script.Mark(400, MarkKind::kDependenciesMapped, 2);
  const Startup startup = Finish(script).Build(800);
  EXPECT_EQ(Object(startup, 8).reason, LoadReason::kUnspecified);
}

TEST(LoaderLedgerTest, MappingLastsFromTheOneBefore) {
  LoaderScript script = Mapped();
  const Startup startup = Finish(script).Build(800);
  EXPECT_THAT(Object(startup, 3).mapping_ns, Optional(20));
  EXPECT_THAT(Object(startup, 4).mapping_ns, Optional(30));
  EXPECT_THAT(Object(startup, 5).mapping_ns, Optional(40));
  EXPECT_EQ(Object(startup, 5).mapping_source, BoundarySource::kMapping);
  EXPECT_FALSE(Object(startup, 1).mapping_ns);
  EXPECT_FALSE(Object(startup, 2).mapping_ns);
}

TEST(LoaderLedgerTest, RelocationByMarksEndsWithRelroOrTheNextMark) {
  LoaderScript script = Mapped();
  script.File(4).relro_bytes = 0;
  script.Relocate(410, 5).Relocate(430, 4).Relocate(460, 3).Relocate(500, 1);
  script.Protect(425, 5).Protect(490, 3).Protect(550, 1);
  const Startup startup = Finish(script).Build(800);
  EXPECT_THAT(Object(startup, 5).relocation_ns, Optional(15));
  EXPECT_THAT(Object(startup, 4).relocation_ns, Optional(30));
  EXPECT_THAT(Object(startup, 3).relocation_ns, Optional(30));
  EXPECT_THAT(Object(startup, 1).relocation_ns, Optional(50));
  EXPECT_FALSE(Object(startup, 2).relocation_ns);
}

TEST(LoaderLedgerTest, RelocationByProtectionMergesWhatHasNoRelro) {
  LoaderScript script = Mapped();
  script.File(4).relro_bytes = 0;
  script.Protect(425, 5).Protect(490, 3).Protect(550, 1).Protect(590, 2);
  const Startup startup = Finish(script).Build(800);
  EXPECT_THAT(Object(startup, 5).relocation_ns, Optional(25));
  EXPECT_FALSE(Object(startup, 4).relocation_ns);
  EXPECT_THAT(Object(startup, 3).relocation_ns, Optional(65));
  EXPECT_THAT(Object(startup, 1).relocation_ns, Optional(60));
  EXPECT_THAT(Object(startup, 2).relocation_ns, Optional(40));
  EXPECT_EQ(Object(startup, 3).relocation_source, BoundarySource::kMapping);
}

TEST(LoaderLedgerTest, JumpSlotsAreDueUnlessBoundLazily) {
  for (const Libc libc : {Libc::kGlibc, Libc::kMusl}) {
    LoaderScript script = Mapped(libc);
    for (const uint64_t number : {3, 4, 5}) {
      script.File(number).link.relocations.relative = 10;
      script.File(number).link.relocations.jump_slot = 3;
    }
    script.File(4).link.bind_now = true;
    script.Relocate(410, 3, /*lazy=*/true).Relocate(420, 5, /*lazy=*/false);
    const Startup startup = Finish(script).Build(800);
    EXPECT_THAT(Object(startup, 3).relocations, Optional(libc == Libc::kGlibc ? 10 : 13));
    EXPECT_THAT(Object(startup, 4).relocations, Optional(13));
    EXPECT_THAT(Object(startup, 5).relocations, Optional(13));
  }
}

TEST(LoaderLedgerTest, ThreadLocalStorageIsSummedAndTimed) {
  LoaderScript script = Mapped();
  script.File(3).link.tls_bytes = 100;
  script.File(5).link.tls_bytes = 28;
  script.Mark(560, MarkKind::kTlsBegin, 2).Mark(575, MarkKind::kTlsEnd, 2);
  const Startup startup = Finish(script).Build(800);
  ASSERT_TRUE(startup.tls);
  EXPECT_EQ(startup.tls->bytes, 128u);
  EXPECT_EQ(startup.tls->objects, 2u);
  EXPECT_THAT(startup.tls->offset_ns, Optional(560));
  EXPECT_THAT(startup.tls->duration_ns, Optional(15));
}

TEST(LoaderLedgerTest, SearchesInVainAreChargedToWhatWasFoundLater) {
  LoaderScript script = Mapped();
  script.Miss(301, 305, "/a/file3").Miss(306, 308, "/b/file3").Miss(330, 331, "/a/file4");
  script.Miss(650, 660, "/a/file3");  // the program's own, later
  const Startup startup = Finish(script).Build(800);
  EXPECT_THAT(Object(startup, 3).search_ns, Optional(6));
  ASSERT_EQ(Object(startup, 3).search_misses.size(), 2u);
  EXPECT_EQ(Object(startup, 3).search_misses[0].directory, "/a");
  EXPECT_EQ(Object(startup, 3).search_misses[0].count, 1u);
  EXPECT_THAT(Object(startup, 5).search_ns, Optional(0));
  EXPECT_FALSE(Object(startup, 2).search_ns);
}

TEST(LoaderLedgerTest, ThreadsSayTheirPhase) {
  LoaderScript script = Mapped();
  script.evidence.threads.push_back({LoaderScript::kBegin + 650, LoaderScript::kPid, 43});
  script.evidence.threads.push_back({LoaderScript::kBegin + 950, LoaderScript::kPid, 44});
  const Startup startup = Finish(script).Build(800);
  ASSERT_EQ(startup.threads.size(), 1u);
  EXPECT_EQ(startup.threads[0].tid, 43u);
  EXPECT_EQ(startup.threads[0].offset_ns, 650u);
  EXPECT_EQ(startup.threads[0].phase, Phase::kConstructors);
}

}  // namespace
}  // namespace startscope
