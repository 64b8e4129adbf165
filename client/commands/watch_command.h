// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_WATCH_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_WATCH_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// Prints startups as they happen until the limit, the duration, a signal or the daemon ends it.
[[nodiscard]] int WatchCommand(const WatchOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_WATCH_COMMAND_H_
