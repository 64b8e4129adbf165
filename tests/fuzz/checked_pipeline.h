// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_CHECKED_PIPELINE_H_
#define STARTSCOPE_TESTS_FUZZ_CHECKED_PIPELINE_H_

#include <cstdint>
#include <memory>

#include "daemon/pipeline.h"
#include "tests/fuzz/require.h"

namespace startscope {

// Ends the fuzzer when what is told of a startup does not add up, whatever the records said.
class CheckingListener : public StartupListener, public ImageProber {
 public:
  void OnStarted(WatchMask, const Startup&) override { ++started_; }
  void OnPhaseFinished(WatchMask, const Startup&, const PhaseSlice&) override {}
  void OnReached(WatchMask, MilestoneKind, std::shared_ptr<const Startup> startup) override {
    Check(*startup);
  }
  void OnFinished(WatchMask, std::shared_ptr<const Startup> startup) override { Check(*startup); }
  void OnStuck(WatchMask, const StuckStartup& stuck) override {
    Require(stuck.phase_elapsed_ns <= stuck.elapsed_ns);
  }
  void OnLost(LossStage, uint64_t) override {}
  void OnLoaderActivity(WatchMask, const LoaderActivity&) override {}
  bool RequestImage(const ProbeRequest&) override { return true; }
  bool RequestSymbols(const SymbolRequest&) override { return true; }
  void StopTracking(uint32_t, uint64_t) override {}

  [[nodiscard]] uint64_t started() const { return started_; }

 private:
  static void Check(const Startup& startup) {
    uint64_t end = 0;
    for (const PhaseSlice& slice : startup.phases) {
      Require(slice.offset_ns == end);
      end += slice.duration_ns;
      if (slice.on_cpu_ns && slice.runqueue_ns && slice.blocked_ns) {
        Require(*slice.on_cpu_ns + *slice.runqueue_ns + *slice.blocked_ns == slice.duration_ns);
      }
      if (slice.on_cpu_ns) Require(slice.compute_ns.value_or(0) <= *slice.on_cpu_ns);
      uint64_t blamed = 0;
      for (const TimeShare& share : slice.blame) blamed += share.duration_ns;
      Require(slice.blame.empty() || blamed == slice.duration_ns);
    }
    Require(end == startup.total_ns);
    uint64_t blamed = 0;
    for (const TimeShare& share : startup.blame) blamed += share.duration_ns;
    Require(startup.blame.empty() || blamed == startup.total_ns);
    if (!startup.timeline) return;
    uint64_t last = 0;
    for (const TimelineEntry& entry : startup.timeline->entries) {
      Require(entry.offset_ns >= last && entry.offset_ns <= startup.total_ns);
      last = entry.offset_ns;
    }
  }

  uint64_t started_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_CHECKED_PIPELINE_H_
