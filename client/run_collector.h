// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RUN_COLLECTOR_H_
#define STARTSCOPE_CLIENT_RUN_COLLECTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// One execution of the command. A command that executes another in its place has several startups.
struct Run {
  pid_t pid = -1;
  bool ended = false;
  // As waitpid gives it; valid once `ended`.
  int wait_status = 0;
  // In order of begin.
  std::vector<startscope::v1::Startup> startups{};
};

// Sorts the startups of one watch to the runs they belong to, and tells when a run has all of its
// own. Pure: no clock, no I/O; one thread.
class RunCollector {
 public:
  // `foreign_pids`: pids of this process's namespace are not the daemon's.
  RunCollector(startscope::v1::Until until, bool foreign_pids)
      : until_(until), foreign_pids_(foreign_pids) {}

  void Begin(pid_t pid);
  // Of the run begun last.
  void End(int wait_status);
  // False when it belongs to no run: another descendant, say.
  bool Add(startscope::v1::Startup startup);

  enum class Completeness : uint8_t {
    // Nothing arrived yet for some run.
    kMissing,
    // Every run has something, but a later image of an exec chain may follow.
    kPlausible,
    // Every run has the startup in which its process ended.
    kComplete,
  };
  [[nodiscard]] Completeness completeness() const;
  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }

 private:
  [[nodiscard]] Completeness CompletenessOf(const Run& run) const;

  const startscope::v1::Until until_;
  const bool foreign_pids_;
  std::vector<Run> runs_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RUN_COLLECTOR_H_
