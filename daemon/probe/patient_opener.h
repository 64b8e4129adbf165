// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_
#define STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/inspect/launcher.h"
#include "daemon/inspect/spawn.h"
#include "daemon/probe/open_request.h"

namespace startscope {

struct PatientOpenerOptions {
  absl::Duration patience = absl::Milliseconds(500);
  size_t max_stuck = 8;
  // Processes that open at the same time; further calls wait for one of them.
  size_t max_working = 4;
};

// What starts the processes that open files: a copy of this process, made before it has a second
// thread and anything to hold on to, with the rights that it has then less those to trace.
absl::StatusOr<std::unique_ptr<Launcher>> StartOpenerLauncher();

// Opens files of others, whose file system may never answer (FUSE, a network), in processes of
// their own: the caller waits so long and no longer. One that does not come back is killed; where
// the kernel lets it hang even so, it keeps nothing of the daemon's open and holds nobody up, the
// end of the daemon least of all, as a thread would. With too many of those only
// files are opened that surely answer, until some end. Any thread.
class PatientOpener {
 public:
  // `launcher` must outlive this. One process is started already: files of short-lived programs are
  // there to be opened for a moment only.
  PatientOpener(Launcher* launcher, const PatientOpenerOptions& options);

  // As OpenNow would; DeadlineExceeded, naming the path, when that takes too long.
  absl::StatusOr<OpenedFile> Open(const OpenRequest& request);

 private:
  // Aborted: what was to open it has ended, for no reason of the file's.
  absl::StatusOr<OpenedFile> TryToOpen(const OpenRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<SpawnedProcess> TakeWorker(const OpenRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] uint64_t DeadlineNs() const;
  void ForgetEnded() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Launcher* const launcher_;
  const PatientOpenerOptions options_;
  absl::Mutex mutex_;
  std::vector<SpawnedProcess> idle_ ABSL_GUARDED_BY(mutex_);
  std::vector<SpawnedProcess> stuck_ ABSL_GUARDED_BY(mutex_);  // killed, and not gone yet
  size_t working_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_
