// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PRIVILEGE_PRIVILEGE_DROP_H_
#define STARTSCOPE_DAEMON_PRIVILEGE_PRIVILEGE_DROP_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/privilege/capabilities.h"

namespace startscope {

// Who the daemon becomes.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};

// The account of this name. InvalidArgument when there is none.
absl::StatusOr<Account> FindAccount(const std::string& user);

// What the daemon must still be able to do once it is set up.
struct PrivilegePlan {
  // nullopt: stays who it is.
  std::optional<Account> account;
  // False for a daemon that serves a recording: it keeps no capability at all.
  bool traces = true;
  // Marks are placed with perf_event_open: this kernel has no uprobe_multi links.
  bool perf_uprobes = false;
};

// What is left, and why; GetStatus shows it.
struct PrivilegeReport {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<std::string> capabilities;
  // "CAP_X: what it is for", one for each capability that is kept; then what could not be given up.
  std::vector<std::string> reasons;
  bool no_new_privileges = false;
  // The state of the system call filter: "errno", "kill", or why there is none.
  std::string seccomp;
};

// The capabilities that the plan needs on this machine, with a reason each. Reads
// /proc/sys/kernel/perf_event_paranoid.
struct NeededCapability {
  int capability = 0;
  std::string reason;
};
std::vector<NeededCapability> NeededCapabilities(const PrivilegePlan& plan, int perf_event_paranoid,
                                                 bool stays_root);
int PerfEventParanoid();

// PermissionDenied, with what is missing and what to do, when tracing cannot be begun at all. To be asked
// first: an unprivileged start should fail for this reason, not for where it wanted its socket.
absl::Status CheckMayTrace(CapabilitySet permitted);

// Gives up, for good, all that the plan does not need: user and groups, capabilities, the bounding
// and ambient sets, privileges from executing files, core dumps and ptrace by others of the same
// user. To be called before the process has a second thread, since capabilities belong to threads.
// What is needed and not there is no error here: the report says so, and what needs it will say it
// better.
absl::StatusOr<PrivilegeReport> DropPrivileges(const PrivilegePlan& plan);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PRIVILEGE_PRIVILEGE_DROP_H_
