// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/tail_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: message types and enumerators

constexpr uint64_t kRange = uint64_t{1} << kRandomnessBits;

class TailSamplerTest : public ::testing::Test {
 protected:
  uint64_t Random() { return random_() % kRange; }

  static double AdjustedCount(const std::vector<SampledStartup>& kept) {
    double count = 0;
    for (const SampledStartup& sampled : kept) count += 1 / sampled.probability;
    return count;
  }

  // A fixed seed: the same draws each time.
  std::mt19937_64 random_{4711};
  absl::Time now_ = absl::UnixEpoch();
  Startup ordinary_ = TestStartup("/bin/a");
};

TEST_F(TailSamplerTest, ReasonsAreFailureLossSlownessAndChance) {
  Startup startup = ordinary_;
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kChance);
  startup.set_total_ns(250'000'000);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kSlow);
  startup.add_degradations()->set_kind(DEGRADATION_KIND_RECORDS_LOST);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kLossy);
  startup.set_outcome(OUTCOME_KILLED);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kFailed);
}

TEST_F(TailSamplerTest, AnExitIsAFailureOnlyWhereMainCouldHaveBeenSeen) {
  Startup startup = ordinary_;
  startup.set_outcome(OUTCOME_EXITED);
  startup.set_exit_status(0);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kChance);
  startup.set_exit_status(1 << 8);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kFailed);
  startup.add_degradations()->set_kind(DEGRADATION_KIND_MAIN_NOT_OBSERVED);
  EXPECT_EQ(ReasonToKeep(startup, 250'000'000), SampleReason::kChance);
}

TEST_F(TailSamplerTest, WithoutSamplingEachStandsForItself) {
  TailSampler sampler({.fraction = 1, .rate = std::nullopt});
  for (int i = 0; i < 100; ++i) sampler.Offer(ordinary_, Random(), now_);
  const auto kept = sampler.Take(now_);
  EXPECT_EQ(kept.size(), 100u);
  EXPECT_EQ(AdjustedCount(kept), 100);
}

TEST_F(TailSamplerTest, AFractionStandsForAll) {
  TailSampler sampler({.fraction = 0.1, .rate = std::nullopt});
  constexpr int kCount = 20'000;
  for (int i = 0; i < kCount; ++i) sampler.Offer(ordinary_, Random(), now_);
  const auto kept = sampler.Take(now_);
  EXPECT_EQ(kept.size() + sampler.left_out(), size_t{kCount});
  // Five standard deviations of the estimate, sqrt(n (1 - p) / p).
  EXPECT_NEAR(AdjustedCount(kept), kCount, 5 * std::sqrt(kCount * 0.9 / 0.1));
}

TEST_F(TailSamplerTest, TheBoundOfAWindowHoldsAndRatesCanBeRecovered) {
  constexpr uint32_t kRate = 2;
  constexpr int kWindows = 2000;
  constexpr int kOrdinary = 60;
  constexpr int kSlow = 20;
  TailSampler sampler({.fraction = 0.1, .slow_ns = 1'000'000'000, .rate = kRate});
  Startup slow = ordinary_;
  slow.set_total_ns(2'000'000'000);
  double slow_count = 0;
  double ordinary_count = 0;
  for (int window = 0; window < kWindows; ++window) {
    for (int i = 0; i < kOrdinary; ++i) sampler.Offer(ordinary_, Random(), now_);
    for (int i = 0; i < kSlow; ++i) sampler.Offer(slow, Random(), now_);
    now_ += kSamplingWindow;
    const auto kept = sampler.Take(now_);
    ASSERT_LE(kept.size(), kRate * absl::ToInt64Seconds(kSamplingWindow));
    for (const SampledStartup& sampled : kept) {
      (sampled.reason == SampleReason::kSlow ? slow_count : ordinary_count) +=
          1 / sampled.probability;
    }
  }
  // Within three hundredths: more than five standard deviations of both.
  EXPECT_NEAR(slow_count / (kWindows * kSlow), 1, 0.03);
  EXPECT_NEAR(ordinary_count / (kWindows * kOrdinary), 1, 0.1);
}

TEST_F(TailSamplerTest, BelowTheBoundAllSlowOnesAreKept) {
  TailSampler sampler({.fraction = 0, .slow_ns = 1, .rate = 1});
  for (int i = 0; i < 5; ++i) sampler.Offer(ordinary_, Random(), now_);
  EXPECT_TRUE(sampler.Take(now_).empty());
  const auto kept = sampler.Take(now_ + kSamplingWindow);
  EXPECT_EQ(kept.size(), 5u);
  EXPECT_EQ(AdjustedCount(kept), 5);
  EXPECT_EQ(sampler.over_rate(), 0u);
}

TEST_F(TailSamplerTest, WhatIsKeptPassesItsOwnThreshold) {
  TailSampler sampler({.fraction = 0.5, .rate = 10});
  std::vector<uint64_t> draws;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t randomness = Random();
    Startup startup = ordinary_;
    startup.set_begin_boottime_ns(randomness);
    sampler.Offer(startup, randomness, now_);
  }
  for (const SampledStartup& sampled : sampler.Flush()) {
    EXPECT_GE(sampled.startup.begin_boottime_ns(), RejectionThreshold(sampled.probability));
  }
}

TEST_F(TailSamplerTest, NothingIsLeftOutUncounted) {
  TailSampler sampler({.fraction = 0.3, .rate = 3});
  size_t kept = 0;
  for (int i = 0; i < 1000; ++i) {
    sampler.Offer(ordinary_, Random(), now_);
    now_ += absl::Milliseconds(50);
    kept += sampler.Take(now_).size();
  }
  kept += sampler.Flush().size();
  EXPECT_EQ(kept + sampler.left_out() + sampler.over_rate(), 1000u);
  EXPECT_EQ(sampler.offered(), 1000u);
}

TEST(SamplingTraceStateTest, IsOpenTelemetrysThreshold) {
  EXPECT_EQ(SamplingTraceState(1), "ot=th:0");
  EXPECT_EQ(SamplingTraceState(0.5), "ot=th:8");
  EXPECT_EQ(SamplingTraceState(0.25), "ot=th:c");
  EXPECT_EQ(SamplingTraceState(1.0 / 256), "ot=th:ff");
}

}  // namespace
}  // namespace startscope
