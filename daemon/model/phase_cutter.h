// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_PHASE_CUTTER_H_
#define STARTSCOPE_DAEMON_MODEL_PHASE_CUTTER_H_

#include <optional>
#include <vector>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/phase_policy.h"

namespace startscope {

struct Cut {
  std::vector<PhaseSlice> slices;   // contiguous from 0 to the end; times and sources only
  std::optional<Boundary> main;     // when main was reached, if before or at the end
  std::vector<Phase> not_observed;  // phases whose begin was missed while a later one was seen
};

// Lays the policy's phases over the observed boundaries. A phase whose begin was not seen is left to
// the one before it.
Cut CutPhases(std::span<const PhaseRule> policy, const BoundaryFinder& finder,
              const std::optional<Boundary>& main, const Evidence& evidence, const End& end);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_PHASE_CUTTER_H_
