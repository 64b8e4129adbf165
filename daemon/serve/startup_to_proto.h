// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The only place where model structs become wire messages.

#ifndef STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_
#define STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_

#include "daemon/model/startup.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/watch_controller.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

struct ProtoContext {
  // What to add to boot time for wall-clock time.
  int64_t realtime_minus_boottime_ns = 0;
  const CgroupResolver* cgroups = nullptr;  // nullptr: no paths
};

// `level`: parts above it are left out. `brief`: as in lists, without objects.
void ToProto(const Startup& from, Level level, bool brief, const ProtoContext& context,
             v1::Startup* to);
void ToProto(const PhaseSlice& from, v1::PhaseSlice* to);
void ToProto(const Degradation& from, v1::Degradation* to);
void ToProto(const DaemonStatus& from, v1::GetStatusResponse* to);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_STARTUP_TO_PROTO_H_
