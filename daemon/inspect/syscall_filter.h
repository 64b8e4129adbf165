// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_SYSCALL_FILTER_H_
#define STARTSCOPE_DAEMON_INSPECT_SYSCALL_FILTER_H_

#include <cstddef>

#include "absl/status/statusor.h"

namespace startscope {

// From now on this process may read with pread64, close, use memory that is neither a file's nor
// executable, talk over `socket`, and end; any other system call, and any of another ABI, ends it at
// once (SIGSYS). Cannot be undone. Returns how many system calls are allowed.
absl::StatusOr<size_t> InstallSyscallFilter(int socket);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_SYSCALL_FILTER_H_
