// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_PERF_EVENT_H_
#define STARTSCOPE_DAEMON_COLLECT_PERF_EVENT_H_

#include <linux/perf_event.h>

#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// perf_event_open(2) for all processes on `cpu`.
absl::StatusOr<UniqueFd> OpenPerfEvent(const perf_event_attr& attributes, int cpu);

// CPUs that are online now.
std::vector<int> OnlineCpus();

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_PERF_EVENT_H_
