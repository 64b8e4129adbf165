// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/phase_cutter.h"

#include <utility>

#include "absl/container/inlined_vector.h"

namespace startscope {

Cut CutPhases(std::span<const PhaseRule> policy, const BoundaryFinder& finder,
              const std::optional<Boundary>& main, const Evidence& evidence, const End& end) {
  struct Begin {
    Phase phase;
    Boundary at;
  };
  Cut cut;
  constexpr size_t kMostPhases = 8;
  absl::InlinedVector<Begin, kMostPhases> begins;
  absl::InlinedVector<Phase, kMostPhases> missing;
  const uint64_t origin = evidence.exec.begin_boottime_ns;
  for (const PhaseRule& rule : policy) {
    const std::optional<Boundary> found =
        rule.begins_at == Moment::kMain ? main : finder.Find(rule.begins_at);
    const bool in_order =
        found && (begins.empty() || found->boottime_ns >= begins.back().at.boottime_ns);
    if (!found || !in_order) {
      missing.push_back(rule.phase);
      continue;
    }
    if (found->boottime_ns > end.boottime_ns) break;
    cut.not_observed.insert(cut.not_observed.end(), missing.begin(), missing.end());
    missing.clear();
    if (rule.phase == Phase::kMain) {
      cut.main = found;
      if (found->boottime_ns == end.boottime_ns && end.milestone == MilestoneKind::kMain) break;
    }
    begins.push_back({rule.phase, *found});
  }
  cut.slices.reserve(begins.size());
  for (size_t i = 0; i < begins.size(); ++i) {
    PhaseSlice slice;
    const bool last = i + 1 == begins.size();
    const uint64_t finish = last ? end.boottime_ns : begins[i + 1].at.boottime_ns;
    slice.phase = begins[i].phase;
    slice.offset_ns = begins[i].at.boottime_ns - origin;
    slice.duration_ns = finish - begins[i].at.boottime_ns;
    slice.begin_source = begins[i].at.source;
    slice.end_source = last ? end.source : begins[i + 1].at.source;
    cut.slices.push_back(std::move(slice));
  }
  return cut;
}

}  // namespace startscope
