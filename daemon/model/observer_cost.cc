// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/observer_cost.h"

#include <algorithm>

namespace startscope {

std::optional<uint64_t> EstimateObserverCost(const Evidence& evidence, uint64_t breakpoint_pages,
                                             const ProbeCosts& costs) {
  const auto completed = static_cast<uint64_t>(
      std::count_if(evidence.faults.begin(), evidence.faults.end(),
                    [](const Timed<FaultEvent>& fault) { return fault.value.completed; }));
  const struct {
    uint64_t count;
    uint64_t each_ns;
  } parts[] = {
      {completed, costs.completed_fault_ns},
      // Other records are made as those of a fault's entry are.
      {evidence.faults.size() - completed + evidence.pages_read.size() + evidence.waits.size() +
           evidence.calls.size() + evidence.samples.size(),
       costs.record_ns},
      {evidence.mappings.size(), costs.mapping_ns},
      {evidence.marks.size(), costs.uprobe_hit_ns},
      {breakpoint_pages, costs.breakpoint_page_ns},
  };
  uint64_t sum_ns = 0;
  for (const auto& part : parts) {
    if (part.count != 0 && part.each_ns == 0) return std::nullopt;
    sum_ns += part.count * part.each_ns;
  }
  return sum_ns;
}

}  // namespace startscope
