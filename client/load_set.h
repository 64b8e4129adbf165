// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_LOAD_SET_H_
#define STARTSCOPE_CLIENT_LOAD_SET_H_

#include <string>
#include <vector>

#include "client/command_lookup.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// Files that starting a command will read, as far as can be told before it runs: the script, the
// images, their program interpreter, and what that says it would load (ld.so --list, with this
// process's own environment and rights; no code of the program runs). Absolute, resolved paths,
// none twice. What a program opens by itself is not among them.
[[nodiscard]] std::vector<std::string> FilesToLoad(const ResolvedCommand& command);

// The most libraries that a daemon prepares for one watch.
inline constexpr size_t kMaxLibrariesToPrepare = 1024;

// The shared libraries among them, the program interpreter included; at most
// kMaxLibrariesToPrepare.
[[nodiscard]] std::vector<std::string> LibrariesToLoad(const ResolvedCommand& command);

// Files that a start was seen to map.
[[nodiscard]] std::vector<std::string> FilesMapped(const startscope::v1::Startup& startup);

// The program interpreter that an ELF file names; empty: none, or no such file. Never trusts the
// file.
[[nodiscard]] std::string ProgramInterpreter(const std::string& path);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_LOAD_SET_H_
