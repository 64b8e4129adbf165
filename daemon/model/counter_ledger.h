// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_COUNTER_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_COUNTER_LEDGER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

struct FaultSums {
  uint64_t minor = 0;
  uint64_t major = 0;
  uint64_t minor_ns = 0;
  uint64_t total_ns = 0;
};

struct LedgerResult {
  std::vector<FaultSums> phases;  // parallel to the slices
  // Counted by the kernel, seen by no record of ours.
  uint64_t unrecorded_minor = 0;
  uint64_t unrecorded_major = 0;
  // Faults of which only the entry was recorded, by what the next reading shows they became.
  uint64_t uncompleted_minor = 0;
  uint64_t uncompleted_major = 0;
  // Last reading of the kernel's own counters, less the reading at the begin.
  std::optional<uint64_t> kernel_minor;
  std::optional<uint64_t> kernel_major;
  bool counts_contradict = false;
  bool threads_not_read = false;
};

// Books every fault of a startup into exactly one phase: recorded faults where they happened, faults
// that only the kernel counted where the count was next read. The sum over the phases is the
// kernel's count whenever nothing was lost. `slices` must be contiguous and in order.
LedgerResult BookFaults(const Evidence& evidence, const End& end,
                        const std::vector<PhaseSlice>& slices, bool ignore_marks);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_COUNTER_LEDGER_H_
