// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_BUILDER_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_BUILDER_H_

#include <optional>
#include <string>

#include "daemon/base/probe_costs.h"
#include "daemon/model/address_map.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"
#include "daemon/model/time_ledger.h"

namespace startscope {

struct BuildOptions {
  Level level = Level::kPhases;
  Precision precision = Precision::kExact;
  bool waits = false;
  bool syscalls = false;
  bool samples = false;
  // The kernel tells of pages brought into the page cache, and of fault-around windows.
  bool pages_read_known = true;
  bool windows_known = true;
  size_t max_objects = 1024;
  size_t max_pages = 8192;
  size_t max_timeline = 262144;
  size_t max_files = 256;
  size_t max_searches = 1024;
  // nullopt: what being watched has cost is not known.
  std::optional<ProbeCosts> costs = std::nullopt;
};

std::string StartupIdOf(const Evidence& evidence);

// Identity and runtime: what is known of a startup when it begins.
Startup DescribeStartup(const Evidence& evidence, const StartupImages& images,
                        const BuildOptions& options);

// Memory that one breakdown after the other is made in.
struct BuildRoom {
  AddressMap map;
  TimeRoom time;
};

// The whole breakdown from the begin to `end`. A pure function: the same evidence gives the same
// startup, live or replayed.
Startup BuildStartup(const Evidence& evidence, const StartupImages& images, const End& end,
                     const BuildOptions& options, BuildRoom* room);
Startup BuildStartup(const Evidence& evidence, const StartupImages& images, const End& end,
                     const BuildOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_BUILDER_H_
