// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_SHOW_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_SHOW_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// Prints one of the daemon's recent startups in full.
[[nodiscard]] int ShowCommand(const ShowOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_SHOW_COMMAND_H_
