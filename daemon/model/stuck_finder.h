// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_STUCK_FINDER_H_
#define STARTSCOPE_DAEMON_MODEL_STUCK_FINDER_H_

#include <cstdint>

#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"
#include "daemon/model/startup_builder.h"

namespace startscope {

// Where a startup that still goes on is at `boottime_ns`, from what was seen of it so far. What the
// process does at this moment is not in the evidence, and left open. A pure function; its time is
// bounded by the limits of the evidence.
StuckStartup FindStuck(const Evidence& evidence, const StartupImages& images,
                       const BuildOptions& options, uint64_t boottime_ns);

// When a startup is told of: `after_ns` from its begin, and again each time that doubles. The last
// of these moments at or before `elapsed_ns`; 0: there is none yet.
uint64_t LastStuckMoment(uint64_t after_ns, uint64_t elapsed_ns);
// The first one after `elapsed_ns`.
uint64_t NextStuckMoment(uint64_t after_ns, uint64_t elapsed_ns);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STUCK_FINDER_H_
