// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_TAIL_SAMPLER_H_
#define STARTSCOPE_CLIENT_EXPORT_TAIL_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// Why a startup was kept: something about it, or chance alone.
enum class SampleReason : uint8_t { kFailed, kLossy, kSlow, kChance };
[[nodiscard]] absl::string_view SampleReasonName(SampleReason reason);

struct SamplingOptions {
  // Of startups that are neither failed, lossy nor slow; 1: all.
  double fraction = 0.01;
  uint64_t slow_ns = 250'000'000;
  // Startups a second, whatever they are, over a window; absent: no bound.
  std::optional<uint32_t> rate = 2;
};

// The bound is kept over so long: a short burst of failures is kept whole.
inline constexpr absl::Duration kSamplingWindow = absl::Seconds(5);

[[nodiscard]] SampleReason ReasonToKeep(const startscope::v1::Startup& startup, uint64_t slow_ns);

struct SampledStartup {
  startscope::v1::Startup startup;
  SampleReason reason = SampleReason::kChance;
  // With which it was kept, so that it stands for 1 / probability startups.
  double probability = 1;
};

// Randomness of a trace: 56 bits, as OpenTelemetry takes them from a trace's id.
inline constexpr int kRandomnessBits = 56;

// OpenTelemetry's threshold of a probability: what is sampled has at least so much randomness.
[[nodiscard]] uint64_t RejectionThreshold(double probability);
// It as trace state: "ot=th:c".
[[nodiscard]] std::string SamplingTraceState(double probability);

// Chooses which startups are handed on, when all is known of them. Failed, lossy and slow ones are
// kept and of the others a fraction; where these are still too many for one second, priority
// sampling (Duffield, Lund, Thorup) keeps as many as are allowed. The sum of 1 / probability over
// the kept ones is an unbiased estimate of how many there were, in all and of any kind. Holds at
// most `rate` + 1 startups, for a second. One thread; time is passed in.
class TailSampler {
 public:
  explicit TailSampler(const SamplingOptions& options) : options_(options) {}

  // `randomness` has 56 bits. Without a rate what is kept can be taken at once.
  void Offer(startscope::v1::Startup startup, uint64_t randomness, absl::Time now);
  // Those whose window is over.
  std::vector<SampledStartup> Take(absl::Time now);
  // All that are left.
  std::vector<SampledStartup> Flush();

  [[nodiscard]] uint64_t offered() const { return offered_; }
  // Left out by chance, and for the bound of the window.
  [[nodiscard]] uint64_t left_out() const { return left_out_; }
  [[nodiscard]] uint64_t over_rate() const { return over_rate_; }

 private:
  struct Candidate {
    SampledStartup sampled;  // probability: of the startup's kind
    double priority = 0;
  };

  [[nodiscard]] size_t WindowBound() const;
  void CloseWindow();

  const SamplingOptions options_;
  std::optional<absl::Time> window_end_;
  // A heap, the least priority first.
  std::vector<Candidate> candidates_;
  std::vector<SampledStartup> ready_;
  uint64_t offered_ = 0;
  uint64_t left_out_ = 0;
  uint64_t over_rate_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_TAIL_SAMPLER_H_
