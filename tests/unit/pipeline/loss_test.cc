// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What is lost is told, and marks the startups it may concern, also those that begin and end before the
// next look at the rings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "bpf/event.h"
#include "daemon/collect/recording.h"
#include "daemon/loss_report.h"
#include "daemon/pipeline.h"
#include "tests/unit/model/scripted_startup.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

template <typename T>
std::span<const uint8_t> BytesOf(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

class LossTest : public ::testing::Test {
 protected:
  LossTest() : pipeline_(Impatient(), &seen_, &seen_) {
    const WatchTerms terms = {.level = Level::kObjects, .until_exit = true};
    pipeline_.OnRecord({RecordOrigin::kWatch, EncodeWatchSet(0, terms)});
  }
  static ModelOptions Impatient() {
    ModelOptions options;
    options.facts_patience_ns = 0;
    return options;
  }

  template <typename T>
  void Ring(uint16_t kind, uint32_t pid, uint64_t at, T event) {
    event.header = {kind, sizeof(T), 0, at, pid, pid, /*start_boottime_ns=*/pid};
    pipeline_.OnRecord({RecordOrigin::kRing, BytesOf(event)});
  }
  void Exec(uint32_t pid, uint64_t at) {
    ss_exec_event exec{};
    exec.begin_boottime_ns = at;
    exec.begin_source = SS_BEGIN_PREPARE_EXEC;
    exec.watch_mask = 1;
    Ring(SS_EVENT_EXEC, pid, at + 1, exec);
  }
  void Exit(uint32_t pid, uint64_t at) { Ring(SS_EVENT_EXIT, pid, at, ss_exit_event{}); }
  void Unknown(uint64_t at) { Ring(SS_EVENT_KIND_COUNT, 1, at, ss_exit_event{}); }
  void Lost(LossStage stage, uint64_t count) {
    const struct {
      uint32_t stage, zero;
      uint64_t count;
    } lost = {static_cast<uint32_t>(stage), 0, count};
    pipeline_.OnRecord({RecordOrigin::kLost, BytesOf(lost)});
  }
  // As kernels before 6.0 tell of it: with the next mapping record for which there is room.
  void LostAsRecord(uint64_t at, uint64_t count) {
    struct {
      perf_event_header header;
      uint64_t id, count;
      uint32_t pid, tid;
      uint64_t time;
      uint32_t cpu, reserved;
    } record = {{PERF_RECORD_LOST, 0, sizeof(record)}, 0, count, 1, 1, at, 0, 0};
    pipeline_.OnRecord({RecordOrigin::kSideband, BytesOf(record)});
  }
  void Drained(uint64_t at) { pipeline_.OnRecord({RecordOrigin::kDrained, BytesOf(at)}); }

  // Whether each finished startup says that records were lost, in order.
  std::vector<bool> Marked() const {
    std::vector<bool> marked;
    for (const auto& [mask, startup] : seen_.finished) {
      marked.push_back(std::any_of(
          startup->degradations.begin(), startup->degradations.end(),
          [](const Degradation& one) { return one.kind == DegradationKind::kRecordsLost; }));
    }
    return marked;
  }

  Recorder seen_;
  Pipeline pipeline_;
};

TEST_F(LossTest, AStartupWithinOneDrainIsMarkedForWhatCouldNotBeDecodedInIt) {
  Exec(42, 100);
  Unknown(150);
  Exit(42, 200);
  Drained(300);
  EXPECT_THAT(Marked(), ElementsAre(true));
  EXPECT_THAT(seen_.lost, ElementsAre(Pair(LossStage::kDecode, 1u)));
}

TEST_F(LossTest, SoItIsForWhatEachRingLost) {
  const LossStage stages[] = {LossStage::kKernelRing, LossStage::kMappingRing,
                              LossStage::kKernelState};
  uint32_t pid = 42;
  for (const LossStage stage : stages) {
    // Two drains apart from the loss before.
    Drained(1000 * pid);
    Drained(1000 * pid + 1);
    Exec(pid, 1000 * pid + 100);
    Exit(pid, 1000 * pid + 200);
    Lost(stage, 3);
    Drained(1000 * pid + 300);
    ++pid;
  }
  EXPECT_THAT(Marked(), ElementsAre(true, true, true));
  EXPECT_THAT(seen_.lost, ElementsAre(Pair(stages[0], 3u), Pair(stages[1], 3u), Pair(stages[2], 3u)));
}

TEST_F(LossTest, ALossThatIsToldWithALaterRecordConcernsWhatEndedBeforeIt) {
  Exec(42, 100);
  Exit(42, 200);
  LostAsRecord(250, 5);
  Drained(300);
  EXPECT_THAT(Marked(), ElementsAre(true));
  EXPECT_EQ(pipeline_.received().mappings_lost, 5u);
}

TEST_F(LossTest, AStartupLongAfterALossIsNotMarked) {
  Unknown(50);
  Drained(60);
  Drained(70);
  Drained(80);
  Exec(42, 100);
  Exit(42, 200);
  Drained(300);
  EXPECT_THAT(Marked(), ElementsAre(false));
}

TEST_F(LossTest, WhatIsBeyondARecordingsSizeIsCounted) {
  const std::string path = ::testing::TempDir() + "/full.rec";
  std::filesystem::remove(path);
  const auto writer = RecordingWriter::Create(path, 64);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<uint8_t> bytes(24);
  for (int i = 0; i < 5; ++i) (*writer)->Write({RecordOrigin::kRing, bytes});
  (*writer)->Write({RecordOrigin::kRing, {bytes.data(), 1}});  // it would fit, but not follow
  EXPECT_EQ((*writer)->written(), 2u);
  EXPECT_EQ((*writer)->omitted(), 4u);
}

TEST(LossReportTest, EveryPlaceSaysWhatItCountsAndWhatFollows) {
  LossFigures figures;
  figures.recording = true;
  std::set<std::string> names;
  for (const DaemonStatus::Loss& loss : ReportLosses(figures)) {
    EXPECT_TRUE(names.insert(loss.name).second) << loss.name;
    EXPECT_FALSE(loss.name.empty());
    EXPECT_FALSE(loss.consequence.empty()) << loss.name;
    EXPECT_EQ(loss.lost, 0u) << loss.name;
  }
}

TEST(LossReportTest, WhatTheKernelGeneratedIsWhatItPutIntoItsRingAndWhatItDropped) {
  LossFigures figures;
  figures.kernel.produced[SS_EVENT_EXEC] = 10;
  figures.kernel.produced[SS_EVENT_FAULT] = 100;
  figures.kernel.dropped[SS_EVENT_FAULT] = 7;
  figures.received = {.events = 110, .mappings = 20, .mappings_lost = 4};
  const std::vector<DaemonStatus::Loss> losses = ReportLosses(figures);
  const auto of = [&](LossStage stage) {
    return *std::find_if(losses.begin(), losses.end(),
                         [&](const DaemonStatus::Loss& loss) { return loss.stage == stage; });
  };
  EXPECT_EQ(of(LossStage::kKernelRing).produced, 117u);
  EXPECT_EQ(of(LossStage::kKernelRing).lost, 7u);
  EXPECT_EQ(of(LossStage::kMappingRing).produced, 24u);
  EXPECT_EQ(of(LossStage::kMappingRing).lost, 4u);
  EXPECT_EQ(of(LossStage::kDecode).produced, 130u);
}

}  // namespace
}  // namespace startscope
