// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_PROBE_COSTS_H_
#define STARTSCOPE_DAEMON_BASE_PROBE_COSTS_H_

#include <cstdint>

namespace startscope {

// What one thing that we do costs a followed process on this machine, in nanoseconds; 0: not measured.
// Fixed layout: a recording holds it as it is.
struct ProbeCosts {
  uint64_t uprobe_hit_ns = 0;       // on an instruction that the kernel emulates, its record included
  uint64_t record_ns = 0;           // a fault of which the entry is recorded
  uint64_t completed_fault_ns = 0;  // a fault of which the completion is recorded too
  uint64_t mapping_ns = 0;          // a mapping that the side-band tells of
  uint64_t breakpoint_page_ns = 0;  // a page of code in which the kernel places breakpoints

  // What was not measured as it was before.
  [[nodiscard]] ProbeCosts OrElse(const ProbeCosts& before) const {
    const auto either = [](uint64_t now_ns, uint64_t before_ns) {
      return now_ns != 0 ? now_ns : before_ns;
    };
    return {either(uprobe_hit_ns, before.uprobe_hit_ns), either(record_ns, before.record_ns),
            either(completed_fault_ns, before.completed_fault_ns),
            either(mapping_ns, before.mapping_ns),
            either(breakpoint_page_ns, before.breakpoint_page_ns)};
  }
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_BASE_PROBE_COSTS_H_
