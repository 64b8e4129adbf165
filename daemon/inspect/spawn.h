// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_SPAWN_H_
#define STARTSCOPE_DAEMON_INSPECT_SPAWN_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// The descriptor under which the inspector finds its end of the socket.
inline constexpr int kInspectorSocket = 3;
inline constexpr char kInspectorName[] = "startscope-inspector";

// Where the inspector of this daemon may be: beside it, then in the folder for such programs.
std::vector<std::string> InspectorPaths();

// Opens the first of `paths` that is an executable file. What is executed later is this very file,
// whatever the path means by then.
absl::StatusOr<UniqueFd> OpenInspectorProgram(const std::vector<std::string>& paths);

struct SpawnedProcess {
  int pid = 0;
  UniqueFd pidfd;
  UniqueFd socket;  // ours
};

// A socket pair for talking to a child: ours, and theirs.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair();

// Executes the program with a socket as its only descriptor beside the standard ones, in a session
// of its own, with no environment. Any thread.
absl::StatusOr<SpawnedProcess> SpawnProgram(int program_fd);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_SPAWN_H_
