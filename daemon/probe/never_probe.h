// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PROBE_NEVER_PROBE_H_
#define STARTSCOPE_DAEMON_PROBE_NEVER_PROBE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace startscope {

// What an operator wants left alone: files in which no breakpoint is ever placed, and control
// groups of whose processes nothing is recorded. A value.
class NeverProbe {
 public:
  // One rule: "/path", "build-id:HEX" or "cgroup:/path" (below the cgroup v2 root, with all groups
  // below it). InvalidArgument says what is wrong with it.
  absl::Status Add(const std::string& rule);
  // The rules of a file, one a line; blank lines and lines that begin with # mean nothing.
  absl::Status AddFile(const std::string& path);

  // Whether the open file `fd` is one of them: by the name it was met under, by its name in our own
  // view, by its build id, or by being the same file as a rule's path is now, whatever link led to
  // it.
  [[nodiscard]] bool ExcludesFile(int fd, const std::string& met_as,
                                  const std::string& build_id) const;
  [[nodiscard]] const std::vector<std::string>& cgroups() const { return cgroups_; }

 private:
  std::vector<std::string> paths_;
  std::vector<std::string> build_ids_;
  std::vector<std::string> cgroups_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_NEVER_PROBE_H_
