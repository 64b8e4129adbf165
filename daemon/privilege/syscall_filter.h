// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PRIVILEGE_SYSCALL_FILTER_H_
#define STARTSCOPE_DAEMON_PRIVILEGE_SYSCALL_FILTER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace startscope {

// What a system call that the daemon has no use for meets.
enum class FilterAction {
  kOff,    // there is no filter
  kErrno,  // EPERM
  kKill,   // the process is killed: what a test suite wants
};

// "off", "errno", "kill"; InvalidArgument for others.
absl::StatusOr<FilterAction> ParseFilterAction(const std::string& text);

// Installs the filter on the calling thread and all that it will create; it stays, through execve
// too. Needs no_new_privs. It refuses by name what an intruder would want and the daemon never does
// (other processes' memory, mounts, modules, namespaces, other users' identities, file handles,
// changing files' owners and modes, sockets but Unix ones); bpf(2) and perf_event_open(2) it must
// let pass. The only way left to execute a program is execveat(FD, "", …, AT_EMPTY_PATH), that is
// fexecve(3) of a descriptor opened before. The service's unit adds an allow-list on top.
// `keeps_root`: setfsuid and setfsgid may also go back to 0.
absl::Status InstallSyscallFilter(FilterAction action, bool keeps_root);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PRIVILEGE_SYSCALL_FILTER_H_
