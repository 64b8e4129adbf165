// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_STATUS_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_STATUS_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// Prints the daemon's state; a daemon that cannot measure makes the exit code non-zero.
[[nodiscard]] int StatusCommand(const StatusOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_STATUS_COMMAND_H_
