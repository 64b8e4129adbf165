// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMAND_LOOKUP_H_
#define STARTSCOPE_CLIENT_COMMAND_LOOKUP_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/exit_codes.h"

namespace startscope {

// A command found the way execvp(3) finds it.
struct ResolvedCommand {
  // What is handed to execve: holds a slash, may be relative.
  std::string exec_path;
  // Absolute paths of the images that the command starts first: the file itself or, for a script,
  // its interpreter.
  std::vector<std::string> images;
};

// Looks `name` up in `search_path` (the value of PATH) unless it holds a slash. A Failure carries
// kExitCommandNotFound or kExitNotExecutable, the cause and the remedy.
[[nodiscard]] std::variant<ResolvedCommand, Failure> ResolveCommand(const std::string& name,
                                                                    const std::string& search_path);

// The absolute path of the program that a loader (ld.so, ld-musl) is given to run; nothing if `command` is
// no such call, or its program is looked for among the libraries.
[[nodiscard]] std::optional<std::string> ProgramForLoader(const std::vector<std::string>& command);

// The failure that an execve of `exec_path` which returned `error_number` means to the user.
[[nodiscard]] Failure ExecFailure(const std::string& exec_path, int error_number);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMAND_LOOKUP_H_
