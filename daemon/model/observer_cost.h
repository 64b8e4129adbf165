// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_OBSERVER_COST_H_
#define STARTSCOPE_DAEMON_MODEL_OBSERVER_COST_H_

#include <cstdint>
#include <optional>

#include "daemon/base/probe_costs.h"
#include "daemon/model/evidence.h"

namespace startscope {

// How many pages of code the kernel had to copy for this process alone, to place breakpoints in them.
// Each costs more than the hits: it is written afresh in every start.
uint64_t BreakpointPages(const Evidence& evidence, const StartupImages& images);

// What the records of a startup, and `breakpoint_pages` pages of code with breakpoints in them, have
// cost it. Not in it: the programs at exec and exit, and what the hooks cost where they record nothing.
// nullopt: something that the startup has was not measured.
std::optional<uint64_t> EstimateObserverCost(const Evidence& evidence, uint64_t breakpoint_pages,
                                             const ProbeCosts& costs);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_OBSERVER_COST_H_
