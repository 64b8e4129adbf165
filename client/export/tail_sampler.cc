// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/tail_sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: message types and enumerators

constexpr uint64_t kRandomnessRange = uint64_t{1} << kRandomnessBits;

bool HasDegradation(const Startup& startup, DegradationKind kind) {
  return std::any_of(startup.degradations().begin(), startup.degradations().end(),
                     [kind](const Degradation& d) { return d.kind() == kind; });
}

bool Failed(const Startup& startup) {
  switch (startup.outcome()) {
    case OUTCOME_KILLED:
    case OUTCOME_EXEC_FAILED:
    case OUTCOME_DEADLINE:
      return true;
    case OUTCOME_EXITED:
      // Where main was not observed, an exit says nothing of the start.
      return startup.exit_status() != 0 &&
             !HasDegradation(startup, DEGRADATION_KIND_MAIN_NOT_OBSERVED);
    default:
      return false;
  }
}

bool Lossy(const Startup& startup) {
  return startup.outcome() == OUTCOME_INCOMPLETE ||
         HasDegradation(startup, DEGRADATION_KIND_RECORDS_LOST) ||
         HasDegradation(startup, DEGRADATION_KIND_INCONSISTENT) ||
         HasDegradation(startup, DEGRADATION_KIND_LIMIT_REACHED);
}

}  // namespace

absl::string_view SampleReasonName(SampleReason reason) {
  switch (reason) {
    case SampleReason::kFailed:
      return "failed";
    case SampleReason::kLossy:
      return "lossy";
    case SampleReason::kSlow:
      return "slow";
    case SampleReason::kChance:
      return "chance";
  }
  return "";
}

SampleReason ReasonToKeep(const Startup& startup, uint64_t slow_ns) {
  if (Failed(startup)) return SampleReason::kFailed;
  if (Lossy(startup)) return SampleReason::kLossy;
  return startup.total_ns() >= slow_ns ? SampleReason::kSlow : SampleReason::kChance;
}

uint64_t RejectionThreshold(double probability) {
  const double rejected = (1 - probability) * static_cast<double>(kRandomnessRange);
  return static_cast<uint64_t>(
      std::clamp(rejected, 0.0, static_cast<double>(kRandomnessRange - 1)));
}

std::string SamplingTraceState(double probability) {
  std::string digits = absl::StrFormat("%014x", RejectionThreshold(probability));
  digits.resize(std::max<size_t>(digits.find_last_not_of('0') + 1, 1));
  return absl::StrCat("ot=th:", digits);
}

void TailSampler::Offer(Startup startup, uint64_t randomness, absl::Time now) {
  if (window_end_.has_value() && now >= *window_end_) CloseWindow();
  ++offered_;
  const SampleReason reason = ReasonToKeep(startup, options_.slow_ns);
  const double weight = reason == SampleReason::kChance ? options_.fraction : 1;
  // Much randomness is a small draw, in (0, 1]: OpenTelemetry's "at least the threshold".
  const double draw = static_cast<double>(kRandomnessRange - randomness % kRandomnessRange) /
                      static_cast<double>(kRandomnessRange);
  if (draw > weight) {
    ++left_out_;
    return;
  }
  SampledStartup sampled{std::move(startup), reason, weight};
  if (!options_.rate.has_value()) {
    ready_.push_back(std::move(sampled));
    return;
  }
  if (!window_end_.has_value()) window_end_ = now + kSamplingWindow;
  const auto least_first = [](const Candidate& a, const Candidate& b) {
    return a.priority > b.priority;
  };
  candidates_.push_back({std::move(sampled), weight / draw});
  std::push_heap(candidates_.begin(), candidates_.end(), least_first);
  // One more than is allowed: its priority is the threshold that the others passed.
  if (candidates_.size() > WindowBound() + 1) {
    std::pop_heap(candidates_.begin(), candidates_.end(), least_first);
    candidates_.pop_back();
    ++over_rate_;
  }
}

size_t TailSampler::WindowBound() const {
  return static_cast<size_t>(absl::ToInt64Seconds(kSamplingWindow)) * *options_.rate;
}

void TailSampler::CloseWindow() {
  window_end_.reset();
  const bool over = candidates_.size() > WindowBound();
  over_rate_ += over ? 1 : 0;
  const double threshold = over ? candidates_.front().priority : 1;
  for (size_t i = over ? 1 : 0; i < candidates_.size(); ++i) {
    SampledStartup& sampled = candidates_[i].sampled;
    sampled.probability = std::min(1.0, sampled.probability / threshold);
    ready_.push_back(std::move(sampled));
  }
  candidates_.clear();
}

std::vector<SampledStartup> TailSampler::Take(absl::Time now) {
  if (window_end_.has_value() && now >= *window_end_) CloseWindow();
  return std::exchange(ready_, {});
}

std::vector<SampledStartup> TailSampler::Flush() {
  if (window_end_.has_value()) CloseWindow();
  return std::exchange(ready_, {});
}

}  // namespace startscope
