// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class StartupModelTest : public ::testing::Test {
 protected:
  StartupModelTest() : model_(Impatient(), &seen_, &seen_), script_(&model_) {}

  // Nobody answers for the files of these starts, so nothing waits for them.
  static ModelOptions Impatient() {
    ModelOptions options;
    options.facts_patience_ns = 0;
    return options;
  }

  void Watch(bool until_exit, Precision precision = Precision::kExact, int slot = 0) {
    model_.SetWatch(slot, {.level = Level::kObjects,
                            .precision = precision,
                            .until_exit = until_exit,
                            .deadline_ns = 500'000'000});
  }

  // A glibc start with every mark; ends at main when no watch wants more.
  void ScriptGlibc() {
    script_.Image(kExecutable, Libc::kGlibc, Linkage::kDynamic, {MarkKind::kEntry, MarkKind::kMain})
        .Image(kLoader, Libc::kGlibc, Linkage::kDynamic,
               {MarkKind::kLoaderEntry, MarkKind::kDependenciesBegin, MarkKind::kRelocated})
        .MapImages(50, true)
        .Fault(60, 0x403010)
        .Exec(100, 0, true)
        .Fault(120, kLoaderBase + 0x100, 5, /*fetch=*/true)
        .Mark(300, MarkKind::kDependenciesBegin, kLoader)
        .Map(310, kLibc, kLibcBase, 0x100000, PROT_READ | PROT_EXEC, "/lib/libc.so.6")
        .Map(320, kLibc, kLibcBase + 0x80000, 0x4000, PROT_READ | PROT_WRITE, "/lib/libc.so.6",
             0x80000)
        .Fault(330, kLibcBase + 0x80010)
        .Map(390, kLibc, kLibcBase + 0x80000, 0x2000, PROT_READ, "/lib/libc.so.6", 0x80000)
        .Mark(400, MarkKind::kRelocated, kLoader)
        .Mark(450, MarkKind::kEntry, kExecutable)
        .Mark(500, MarkKind::kMain, kExecutable);
  }

  const Startup& Last() { return *seen_.finished.back().second; }

  static std::vector<std::pair<Phase, uint64_t>> Durations(const Startup& startup) {
    std::vector<std::pair<Phase, uint64_t>> durations;
    for (const PhaseSlice& slice : startup.phases) {
      durations.emplace_back(slice.phase, slice.duration_ns);
    }
    return durations;
  }

  static std::vector<DegradationKind> Degradations(const Startup& startup) {
    std::vector<DegradationKind> kinds;
    for (const Degradation& degradation : startup.degradations) kinds.push_back(degradation.kind);
    return kinds;
  }

  static void ExpectSums(const Startup& startup) {
    uint64_t end = 0;
    uint64_t minor = 0;
    uint64_t major = 0;
    for (const PhaseSlice& slice : startup.phases) {
      EXPECT_EQ(slice.offset_ns, end);
      end += slice.duration_ns;
      minor += slice.minor_faults.value_or(0);
      major += slice.major_faults.value_or(0);
      if (slice.on_cpu_ns) {
        EXPECT_EQ(*slice.on_cpu_ns + *slice.runqueue_ns + *slice.blocked_ns, slice.duration_ns);
      }
    }
    EXPECT_EQ(end, startup.total_ns);
    EXPECT_EQ(minor, startup.faults.minor);
    EXPECT_EQ(major, startup.faults.major);
    if (!startup.unattributed) return;
    uint64_t by_object = startup.unattributed->minor + startup.unattributed->major;
    for (const MappedObject& object : startup.objects) {
      by_object += object.minor_faults + object.major_faults;
    }
    EXPECT_EQ(by_object, minor + major);
  }

  Recorder seen_;
  StartupModel model_;
  Script script_;
};

TEST_F(StartupModelTest, CutsAGlibcStartAtItsMarks) {
  Watch(/*until_exit=*/false);
  ScriptGlibc();
  ASSERT_EQ(seen_.finished.size(), 1u);
  EXPECT_THAT(Durations(Last()),
              ElementsAre(Pair(Phase::kKernelExec, 115), Pair(Phase::kLoaderBootstrap, 185),
                          Pair(Phase::kDependencyMapping, 20), Pair(Phase::kRelocation, 80),
                          Pair(Phase::kConstructors, 50), Pair(Phase::kRuntimeInit, 50)));
  EXPECT_EQ(Last().outcome, Outcome::kReached);
  EXPECT_EQ(Last().startup_id, "42-900000-1");
  EXPECT_THAT(Degradations(Last()), ElementsAre());
  EXPECT_EQ(Last().phases[1].begin_source, BoundarySource::kFirstFault);
  EXPECT_EQ(Last().phases[2].begin_source, BoundarySource::kCallSiteUprobe);
  EXPECT_EQ(Last().phases[3].begin_source, BoundarySource::kMapping);
  EXPECT_EQ(Last().process.executable, "/usr/bin/hello");
  ExpectSums(Last());
}

TEST_F(StartupModelTest, ReportsEachPhaseOnceInOrder) {
  Watch(false);
  ScriptGlibc();
  ASSERT_EQ(seen_.slices.size(), Last().phases.size());
  for (size_t i = 0; i < seen_.slices.size(); ++i) {
    EXPECT_EQ(seen_.slices[i].phase, Last().phases[i].phase);
    EXPECT_EQ(seen_.slices[i].duration_ns, Last().phases[i].duration_ns);
  }
  EXPECT_EQ(seen_.started.size(), 1u);
}

TEST_F(StartupModelTest, ChargesFaultsToPhasesAndObjects) {
  Watch(false);
  ScriptGlibc();
  EXPECT_EQ(Last().faults.minor, 3u);
  EXPECT_EQ(Last().faults.kernel_minor, 3u);
  EXPECT_EQ(Last().phases[0].minor_faults, 1u);
  EXPECT_EQ(Last().phases[1].minor_faults, 1u);
  EXPECT_EQ(Last().phases[3].minor_faults, 1u);
  for (const MappedObject& object : Last().objects) EXPECT_EQ(object.minor_faults, 1u) << object.path;
  EXPECT_EQ(Last().unattributed->minor, 0u);
}

TEST_F(StartupModelTest, FaultsThatOnlyTheKernelCountsAreListedAsUnattributed) {
  Watch(true);
  ScriptGlibc();
  script_.HiddenFaults(4).Exit(600);
  EXPECT_EQ(Last().faults.minor, 7u);
  EXPECT_EQ(Last().faults.kernel_minor, 7u);
  EXPECT_EQ(Last().unattributed->minor, 4u);
  EXPECT_EQ(Last().observer.added_minor_faults, 4u);
  ExpectSums(Last());
}

TEST_F(StartupModelTest, SplitsTimeByTheSchedulersFigures) {
  Watch(true);
  ScriptGlibc();
  script_.BlockedFor(70).Exit(600);
  const PhaseSlice& main = Last().phases.back();
  EXPECT_EQ(main.phase, Phase::kMain);
  EXPECT_EQ(main.duration_ns, 100u);
  EXPECT_EQ(main.blocked_ns, 70u);
  EXPECT_EQ(main.on_cpu_ns, 30u);
  EXPECT_EQ(main.runqueue_ns, 0u);
}

TEST_F(StartupModelTest, ServesWatchesUntilMainAndUntilExitFromOneStart) {
  Watch(false, Precision::kExact, 0);
  Watch(true, Precision::kExact, 1);
  script_.Image(kExecutable, Libc::kGlibc, Linkage::kStatic, {MarkKind::kMain})
      .MapImages(50, false)
      .Exec(100, 0, false, 1, /*mask=*/3)
      .Fault(120, kEntryAddress, 5, true)
      .Mark(200, MarkKind::kMain, kExecutable)
      .Exit(300);
  ASSERT_EQ(seen_.reached.size(), 1u);
  EXPECT_EQ(seen_.reached[0].first, 1u);
  EXPECT_EQ(seen_.reached[0].second->total_ns, 200u);
  ASSERT_EQ(seen_.finished.size(), 1u);
  EXPECT_EQ(seen_.finished[0].first, 2u);
  EXPECT_EQ(Last().total_ns, 300u);
  ExpectSums(*seen_.reached[0].second);
  ExpectSums(Last());
}

TEST_F(StartupModelTest, MuslRunsConstructorsAfterTheEntryPoint) {
  Watch(false);
  script_.Image(kExecutable, Libc::kMusl, Linkage::kDynamic, {MarkKind::kEntry, MarkKind::kMain})
      .Image(kLoader, Libc::kMusl, Linkage::kDynamic,
             {MarkKind::kDependenciesBegin, MarkKind::kRelocated, MarkKind::kLibcStart})
      .MapImages(50, true)
      .Exec(100, 0, true)
      .Fault(120, kLoaderBase + 0x100, 5, true)
      .Mark(200, MarkKind::kDependenciesBegin, kLoader)
      .Mark(250, MarkKind::kRelocated, kLoader)
      .Mark(260, MarkKind::kEntry, kExecutable)
      .Mark(270, MarkKind::kLibcStart, kLoader)
      .Mark(300, MarkKind::kMain, kExecutable);
  EXPECT_THAT(Durations(Last()),
              ElementsAre(Pair(Phase::kKernelExec, 115), Pair(Phase::kLoaderBootstrap, 85),
                          Pair(Phase::kDependencyMapping, 0), Pair(Phase::kRelocation, 60),
                          Pair(Phase::kRuntimeInit, 10), Pair(Phase::kConstructors, 30)));
  ExpectSums(Last());
}

TEST_F(StartupModelTest, WithoutALibcTheEntryPointIsMain) {
  Watch(false);
  script_.Image(kExecutable, Libc::kNone, Linkage::kStatic, {MarkKind::kEntry})
      .MapImages(50, false)
      .Exec(100, 0, false)
      .Fault(120, kEntryAddress, 5, true)
      .Mark(130, MarkKind::kEntry, kExecutable);
  ASSERT_EQ(seen_.finished.size(), 1u);
  EXPECT_THAT(Durations(Last()),
              ElementsAre(Pair(Phase::kKernelExec, 115), Pair(Phase::kRuntimeInit, 15)));
  EXPECT_THAT(Degradations(Last()), ElementsAre());
}

TEST_F(StartupModelTest, StaticPieRelocatesItself) {
  Watch(true);
  script_.Image(kExecutable, Libc::kGlibc, Linkage::kStaticPie, {MarkKind::kMain})
      .MapImages(50, false)
      .Exec(100, 0, false)
      .Fault(120, kEntryAddress, 5, true)
      .Map(180, kExecutable, 0x403000, 0x1000, PROT_READ, "/usr/bin/hello", 0x3000)
      .Mark(200, MarkKind::kMain, kExecutable)
      .Exit(260);
  EXPECT_THAT(Durations(Last()),
              ElementsAre(Pair(Phase::kKernelExec, 115), Pair(Phase::kRelocation, 65),
                          Pair(Phase::kRuntimeInit, 20), Pair(Phase::kMain, 60)));
}

TEST_F(StartupModelTest, UnperturbedTakesBoundariesFromFaultsAndMappings) {
  Watch(true, Precision::kUnperturbed);
  script_.Image(kExecutable, Libc::kGlibc, Linkage::kDynamic, {})
      .Image(kLoader, Libc::kGlibc, Linkage::kDynamic, {})
      .MapImages(50, true)
      .Exec(100, 0, true)
      .Fault(120, kLoaderBase + 0x100, 5, true)
      .Map(310, kLibc, kLibcBase, 0x100000, PROT_READ | PROT_EXEC, "/lib/libc.so.6")
      .Map(320, kLibc, kLibcBase + 0x80000, 0x4000, PROT_READ | PROT_WRITE, "/lib/libc.so.6",
           0x80000)
      .Map(390, kLibc, kLibcBase + 0x80000, 0x2000, PROT_READ, "/lib/libc.so.6", 0x80000)
      .Map(395, kLoader, kLoaderBase + 0x30000, 0x1000, PROT_READ, "/lib/ld.so", 0x30000)
      .Fault(450, kEntryAddress, 5, true)
      .Exit(600);
  EXPECT_THAT(Durations(Last()),
              ElementsAre(Pair(Phase::kKernelExec, 115), Pair(Phase::kLoaderBootstrap, 195),
                          Pair(Phase::kDependencyMapping, 10), Pair(Phase::kRelocation, 75),
                          Pair(Phase::kConstructors, 50), Pair(Phase::kRuntimeInit, 0),
                          Pair(Phase::kMain, 155)));
  EXPECT_EQ(Last().observer.added_minor_faults, 0u);
  EXPECT_EQ(Last().phases.back().begin_source, BoundarySource::kInferred);
  ExpectSums(Last());
}

TEST_F(StartupModelTest, UnperturbedSaysWhenAnotherWatchsMarksWereThere) {
  Watch(true, Precision::kUnperturbed);
  ScriptGlibc();
  script_.Exit(600);
  EXPECT_THAT(Degradations(Last()),
              ::testing::UnorderedElementsAre(DegradationKind::kPerturbed,
                                              DegradationKind::kMainNotObserved));
}

TEST_F(StartupModelTest, AskedForFilesOnceAndStopsAnUnmarkedStartAtInferredMain) {
  Watch(false);
  script_.MapImages(50, true).Exec(100, 0, true).Fault(120, kLoaderBase + 0x100, 5, true);
  ASSERT_EQ(seen_.requests.size(), 2u);
  EXPECT_EQ(seen_.requests[0].file, kExecutable);
  EXPECT_EQ(seen_.requests[1].file, kLoader);
  EXPECT_TRUE(seen_.requests[1].is_loader);
  script_.Fault(450, kEntryAddress, 5, true);
  EXPECT_TRUE(seen_.finished.empty());  // not before the file is known
  script_.Image(kExecutable, Libc::kGlibc, Linkage::kDynamic, {MarkKind::kMain},
                /*attached_ns=*/Script::kOrigin + 460);
  ASSERT_EQ(seen_.finished.size(), 1u);
  EXPECT_EQ(Last().total_ns, 445u);
  EXPECT_THAT(seen_.stopped, ElementsAre(42u));
  EXPECT_THAT(Degradations(Last()),
              ::testing::IsSupersetOf({DegradationKind::kFirstSeen,
                                       DegradationKind::kMainNotObserved}));
  ExpectSums(Last());
}

TEST_F(StartupModelTest, KilledBeforeMain) {
  Watch(false);
  script_.MapImages(50, true).Exec(100, 0, true).Exit(200, /*status=*/9);
  EXPECT_EQ(Last().outcome, Outcome::kKilled);
  EXPECT_EQ(Last().exit_status, 9u);
  EXPECT_EQ(Last().total_ns, 200u);
  ExpectSums(Last());
}

TEST_F(StartupModelTest, ExecAfterExecClosesOneAndOpensTheNext) {
  Watch(true);
  script_.MapImages(50, true)
      .Exec(100, 0, true, 1)
      .Begin()
      .MapImages(950, true)  // of the next image, recorded before its exec event
      .Fault(960, 0x403010)
      .Exec(1000, 900, true, 2)
      .Exit(1500);
  ASSERT_EQ(seen_.finished.size(), 2u);
  EXPECT_EQ(seen_.finished[0].second->outcome, Outcome::kReplaced);
  EXPECT_EQ(seen_.finished[0].second->total_ns, 900u);
  EXPECT_EQ(seen_.finished[0].second->faults.minor, 0u);
  EXPECT_EQ(Last().total_ns, 600u);
  EXPECT_EQ(Last().faults.minor, 1u);
  EXPECT_EQ(Last().startup_id, "42-900000-2");
  EXPECT_TRUE(seen_.finished[0].second->spawn_ns);
  EXPECT_FALSE(Last().spawn_ns);
}

TEST_F(StartupModelTest, AnExecNobodyWantsOnlyEndsTheOneBefore) {
  Watch(true);
  script_.Exec(100, 0, false, 1).Begin().Exec(1000, 900, false, 2, /*mask=*/0);
  ASSERT_EQ(seen_.finished.size(), 1u);
  EXPECT_EQ(Last().outcome, Outcome::kReplaced);
  EXPECT_EQ(model_.open_startups(), 0u);
}

TEST_F(StartupModelTest, ExecThatFailsAfterThePointOfNoReturn) {
  Watch(false);
  ExitEvent exit;
  exit.before_exec = true;
  exit.begin_boottime_ns = Script::kOrigin + 10;
  exit.exit_status = 9;
  script_.Send(50, exit);
  EXPECT_EQ(Last().outcome, Outcome::kExecFailed);
  EXPECT_EQ(Last().total_ns, 40u);
}

TEST_F(StartupModelTest, AReusedPidIsAnotherProcess) {
  Watch(true);
  script_.Exec(100, 0, false, 1);
  Script other(&model_, 42, /*start=*/5'000'000);
  other.Exec(9'000'000, 8'999'000, false, 1).Exit(9'100'000);
  ASSERT_EQ(seen_.finished.size(), 2u);
  EXPECT_EQ(seen_.finished[0].second->outcome, Outcome::kIncomplete);
  EXPECT_EQ(Last().startup_id, "42-5000000-1");
}

TEST_F(StartupModelTest, DeadlineEndsAStartAndItsTracking) {
  Watch(true);
  script_.Exec(100, 0, false);
  model_.AdvanceTo(Script::kOrigin + 500'000'000);
  EXPECT_EQ(Last().outcome, Outcome::kDeadline);
  EXPECT_EQ(Last().total_ns, 500'000'000u);
  EXPECT_THAT(seen_.stopped, ElementsAre(42u));
}

TEST_F(StartupModelTest, LossIsToldAndMarked) {
  Watch(true);
  script_.Exec(100, 0, false).Send(150, LostEvent{LossStage::kKernelRing, 12}).Exit(200);
  EXPECT_THAT(seen_.lost, ElementsAre(Pair(LossStage::kKernelRing, 12u)));
  ASSERT_FALSE(Last().degradations.empty());
  EXPECT_EQ(Last().degradations[0].kind, DegradationKind::kRecordsLost);
  EXPECT_EQ(Last().degradations[0].count, 12u);
}

TEST_F(StartupModelTest, StartupsBeyondTheBoundAreCounted) {
  ModelOptions options;
  options.max_open_startups = 1;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kObjects, .until_exit = true});
  Script(&model, 1, 10).Exec(100, 0, false);
  Script(&model, 2, 20).Exec(100, 0, false);
  EXPECT_EQ(model.open_startups(), 1u);
  EXPECT_EQ(model.stats().startups_refused, 1u);
  EXPECT_THAT(seen_.lost, ElementsAre(Pair(LossStage::kModel, 1u)));
}

TEST_F(StartupModelTest, AStartWhoseFirstMappingsGaveWayIsMarkedAndCounted) {
  ModelOptions options = Impatient();
  options.max_waiting_records = 2;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kObjects, .until_exit = true});
  Script(&model).MapImages(50, true).Exec(100, 0, true).Exit(200);
  EXPECT_THAT(seen_.lost, ElementsAre(Pair(LossStage::kEarly, 1u)));
  EXPECT_EQ(model.stats().startups_cut_early, 1u);
  EXPECT_THAT(Degradations(Last()), ::testing::Contains(DegradationKind::kRecordsLost));
}

TEST_F(StartupModelTest, WhatItMappedBeforeMayGiveWay) {
  ModelOptions options = Impatient();
  options.max_waiting_records = 8;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kObjects, .until_exit = true});
  Script script(&model);
  for (uint64_t at = 1; at < 40; ++at) script.Map(at, kLibc, kLibcBase, 0x1000, PROT_READ, "/x");
  script.MapImages(50, true).Exec(100, 45, true).Exit(200);
  EXPECT_EQ(model.stats().startups_cut_early, 0u);
  EXPECT_GT(model.waiting().gave_way(), 0u);
}

TEST_F(StartupModelTest, FaultsBeyondTheBoundAreCountedNotAttributed) {
  ModelOptions options = Impatient();
  options.evidence.faults = 10;
  StartupModel model(options, &seen_, &seen_);
  model.SetWatch(0, {.level = Level::kObjects, .until_exit = true});
  Script script(&model);
  script.MapImages(50, false).Exec(100, 0, false);
  for (uint64_t i = 0; i < 100; ++i) script.Fault(200 + i, 0x400000 + i * 16);
  script.Exit(1000);
  EXPECT_EQ(Last().faults.minor, 100u);
  EXPECT_EQ(Last().faults.kernel_minor, 100u);
  EXPECT_EQ(Last().unattributed->minor, 90u);
  EXPECT_THAT(Degradations(Last()), ::testing::Contains(DegradationKind::kLimitReached));
  EXPECT_EQ(model.stats().records_not_kept, 90u);
  EXPECT_EQ(model.stats().records_kept, 12u);  // and two mappings
}

TEST_F(StartupModelTest, ClearingTheLastWatchEndsItsStarts) {
  Watch(true);
  script_.Exec(100, 0, false);
  model_.ClearWatch(0);
  EXPECT_EQ(Last().outcome, Outcome::kIncomplete);
  EXPECT_EQ(model_.open_startups(), 0u);
  EXPECT_THAT(seen_.stopped, ElementsAre(42u));
}

// Whatever evidence is missing or out of place, the sums hold and nothing is said twice.
TEST_F(StartupModelTest, SumsHoldForAnyEvidence) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    Recorder seen;
    StartupModel model(Impatient(), &seen, &seen);
    model.SetWatch(0, {.level = Level::kObjects,
                       .precision = random() % 2 ? Precision::kExact : Precision::kUnperturbed,
                       .until_exit = true});
    Script script(&model);
    const auto linkage = static_cast<Linkage>(1 + random() % 3);
    const bool dynamic = linkage == Linkage::kDynamic;
    if (random() % 4 != 0) {
      script.Image(kExecutable, static_cast<Libc>(1 + random() % 3), linkage,
                   {MarkKind::kEntry, MarkKind::kMain});
    }
    if (random() % 2 != 0) {
      script.Image(kLoader, Libc::kGlibc, Linkage::kDynamic, {MarkKind::kRelocated});
    }
    if (random() % 4 != 0) script.MapImages(50, dynamic);
    script.Exec(100, 0, dynamic);
    uint64_t at = 100;
    for (int step = 0; step < 40; ++step) {
      at += random() % 30;
      switch (random() % 6) {
        case 0:
          script.Mark(at, static_cast<MarkKind>(1 + random() % 11),
                      random() % 2 ? kExecutable : kLoader);
          break;
        case 1:
          script.Map(at, random() % 2 ? kLibc : kExecutable, kLibcBase + (random() % 8) * 0x4000,
                     0x1000 * (1 + random() % 6), random() % 8, "/lib/x.so");
          break;
        case 2:
          script.HiddenFaults(random() % 3);
          break;
        case 3:
          script.BlockedFor(random() % 20);
          break;
        default:
          script.Fault(at, random() % 2 ? kEntryAddress + random() % 3 : random(), random() % 40,
                       random() % 3 == 0, random() % 5 == 0);
      }
    }
    script.Exit(at + random() % 50);
    ASSERT_EQ(seen.finished.size(), 1u);
    const Startup& startup = *seen.finished[0].second;
    ExpectSums(startup);
    EXPECT_EQ(startup.faults.minor, startup.faults.kernel_minor) << "round " << round;
    EXPECT_EQ(startup.faults.major, startup.faults.kernel_major) << "round " << round;
    if (HasFailure()) return;
  }
}

TEST(WaitingRecordsTest, OfWhoGaveNothingForLongestAreForgottenFirst) {
  Recorder seen;
  ModelOptions options;
  options.facts_patience_ns = 0;
  options.max_waiting_processes = 4;
  StartupModel model(options, &seen, &seen);
  model.SetWatch(0, {.level = Level::kObjects});
  Script quiet(&model, 1);
  Script active(&model, 2);
  quiet.MapImages(10, false);
  active.MapImages(20, false);
  for (uint32_t pid = 3; pid < 10; ++pid) {
    Script(&model, pid).Map(30 + pid, kLibc, kLibcBase, 0x1000, PROT_READ, "/lib/libc.so");
    active.Map(30 + pid, kLibc, kLibcBase, 0x1000, PROT_READ, "/lib/libc.so");
  }
  quiet.Exec(100, 0, false).Exit(200);
  active.Exec(100, 0, false).Exit(200);
  ASSERT_EQ(seen.finished.size(), 2u);
  EXPECT_TRUE(seen.finished[0].second->objects.empty());
  EXPECT_EQ(seen.finished[1].second->objects.size(), 2u);
}

TEST(ProgressTest, IsNotMadeWhereNobodyTakesIt) {
  class Uninterested : public Recorder {
   public:
    [[nodiscard]] bool WantsProgress(WatchMask) const override { return false; }
  } seen;
  ModelOptions options;
  options.facts_patience_ns = 0;
  StartupModel model(options, &seen, &seen);
  model.SetWatch(0, {.level = Level::kObjects});
  Script(&model).MapImages(10, false).Exec(100, 0, false).Exit(200);
  EXPECT_TRUE(seen.started.empty());
  EXPECT_TRUE(seen.slices.empty());
  EXPECT_EQ(seen.finished.size(), 1u);
}

}  // namespace
}  // namespace startscope
