// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_LIST_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_LIST_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// Prints the daemon's recent startups, newest first.
[[nodiscard]] int ListCommand(const ListOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_LIST_COMMAND_H_
