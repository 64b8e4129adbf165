// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_RUN_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_RUN_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// Runs the command, traced from before its exec, and reports its startups. Returns what the process
// exits with: the command's own code, unless startscope itself failed.
[[nodiscard]] int RunCommand(const RunOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_RUN_COMMAND_H_
