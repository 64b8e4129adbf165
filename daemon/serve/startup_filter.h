// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_STARTUP_FILTER_H_
#define STARTSCOPE_DAEMON_SERVE_STARTUP_FILTER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "daemon/model/startup.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/watch_controller.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// allow minus deny, as the caller gave them, and what the caller may see at all. Immutable; any
// thread.
class StartupFilter {
 public:
  using Filters = google::protobuf::RepeatedPtrField<v1::Filter>;

  // INVALID_ARGUMENT names the field that exceeds a limit.
  static absl::StatusOr<StartupFilter> Create(const Filters& allow, const Filters& deny,
                                              const PeerIdentity& peer);

  [[nodiscard]] bool Matches(const Startup& startup, const CgroupResolver& cgroups) const;

  // Whether the caller may know of what this user runs.
  [[nodiscard]] bool MaySeeUser(uint32_t uid) const {
    return peer_.privileged || (!peer_.remote && peer_.uid == uid);
  }

  // A superset of what this filter lets pass, for the kernel; empty: everything.
  [[nodiscard]] std::vector<KernelFilter> ForKernel(const CgroupResolver& cgroups) const;

 private:
  StartupFilter() = default;
  std::vector<v1::Filter> allow_;
  std::vector<v1::Filter> deny_;
  PeerIdentity peer_;
};

// A caller without privilege sees processes of its own user only, and none that changed privileges
// at exec.
bool MaySee(const PeerIdentity& peer, const Startup& startup);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_STARTUP_FILTER_H_
