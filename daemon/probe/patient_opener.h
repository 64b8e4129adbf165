// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_
#define STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/probe/file_opener.h"

namespace startscope {

struct PatientOpenerOptions {
  absl::Duration patience = absl::Milliseconds(500);
  size_t max_stuck = 8;
};

// Opens files of others, whose file system may never answer (FUSE, a network), in threads of its own:
// the caller waits so long and no longer. A thread that does not come back is given up, and ends by
// itself if the call ever returns; with too many of those nothing is opened any more. Any thread.
class PatientOpener {
 public:
  using Call = std::function<absl::StatusOr<OpenedFile>()>;

  explicit PatientOpener(const PatientOpenerOptions& options = {});
  ~PatientOpener();
  PatientOpener(const PatientOpener&) = delete;
  PatientOpener& operator=(const PatientOpener&) = delete;

  // What `call` returned; DeadlineExceeded, naming `path`, when it did not. `call` may outlive this
  // function: it owns what it uses.
  absl::StatusOr<OpenedFile> Open(const std::string& path, Call call);

 private:
  struct Worker;
  struct Stuck;
  static void Run(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Stuck>& stuck);

  const PatientOpenerOptions options_;
  const std::shared_ptr<Stuck> stuck_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<Worker>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_PATIENT_OPENER_H_
