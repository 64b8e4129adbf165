// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_SIZE_IN_MEMORY_H_
#define STARTSCOPE_DAEMON_SERVE_SIZE_IN_MEMORY_H_

#include <cstddef>

#include "daemon/model/startup.h"

namespace startscope {

// Bytes of memory that one of these takes with all that it owns, as glibc's malloc rounds them. What
// it shares with others, the facts of its files, is not in it.
size_t SizeInMemory(const Startup& startup);
size_t SizeInMemory(const LoaderActivity& activity);
size_t SizeInMemory(const StuckStartup& stuck);
size_t SizeInMemory(const PhaseSlice& slice);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_SIZE_IN_MEMORY_H_
