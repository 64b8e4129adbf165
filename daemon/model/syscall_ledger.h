// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_SYSCALL_LEDGER_H_
#define STARTSCOPE_DAEMON_MODEL_SYSCALL_LEDGER_H_

#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// Sums the system calls of a startup by number, and its looks for files that were not there by name
// and directory.
SyscallUse SumSyscalls(const Evidence& evidence, const End& end, size_t max_searches);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_SYSCALL_LEDGER_H_
