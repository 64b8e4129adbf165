// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_LAUNCHER_H_
#define STARTSCOPE_DAEMON_INSPECT_LAUNCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/inspect/frame.h"
#include "daemon/inspect/launch_service.h"
#include "daemon/inspect/spawn.h"

namespace startscope {

// Starts children for a daemon that cannot do so itself: because it may no longer do what making a
// sandbox takes, or because it has threads. A process of its own, which reads nothing of others' and
// does nothing but start children and end them. Ends with its owner. Any thread.
class Launcher {
 public:
  // Executes the first of `paths` that is there. Fails, saying what to do, where none is.
  static absl::StatusOr<std::unique_ptr<Launcher>> Start(const std::vector<std::string>& paths);

  // Copies this process, which has one thread, under that name. The copy keeps nothing open; in its
  // children `child` runs, with the socket that it is given.
  static absl::StatusOr<std::unique_ptr<Launcher>> Fork(const char* name,
                                                        const std::function<int(int)>& child);

  // A new child, with a socket to it.
  absl::StatusOr<SpawnedProcess> Launch(uint64_t deadline_ns);
  void Kill(int pid);
  // As of wait(2), of a child that has ended.
  absl::StatusOr<int> TakeStatus(int pid);

 private:
  Launcher(std::string name, SpawnedProcess process)
      : name_(std::move(name)), process_(std::move(process)) {}
  struct Answer {
    LaunchReport report;
    UniqueFd descriptor;
  };
  // The report of this very order: those of orders that were given up may still come before it.
  absl::StatusOr<Answer> Exchange(LaunchOrder order, const UniqueFd& descriptor,
                                 uint64_t deadline_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  absl::Mutex mutex_;
  SpawnedProcess process_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_LAUNCHER_H_
