// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_INSPECTOR_H_
#define STARTSCOPE_DAEMON_INSPECT_INSPECTOR_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/base/unique_fd.h"
#include "daemon/elf/debug_file.h"
#include "daemon/inspect/inspector_process.h"
#include "daemon/inspect/inspector_state.h"
#include "daemon/inspect/refused_files.h"

namespace startscope {

// What may be the separate debug file of another file; regular, open for reading.
struct DebugCandidate {
  UniqueFd fd;
  uint64_t size_bytes = 0;
  uint64_t device = 0;
};

// Opens what may be the debug file that is meant, best first, at most kMaxDebugCandidates.
using OpenDebugCandidates = std::function<std::vector<DebugCandidate>(const DebugReference&)>;

// A regular file, open for reading, as it was when it was opened.
struct FileToInspect {
  int fd = -1;  // not owned
  std::string path;
  FileStamp stamp;
  uid_t owner = 0;
  mode_t mode = 0;
  OpenDebugCandidates open_debug_candidates;  // empty: it is looked at without
};

struct InspectorOptions {
  uint64_t start_ns = 5'000'000'000;    // for the first start
  uint64_t look_up_ns = 1'000'000'000;  // for one file, all attempts together
  size_t refused_files = 256;
};

// Everything that the daemon wants to know from the bytes of a file goes through here: into
// sandboxed children, and back as facts that were checked. Children that end are replaced; files
// that end them are refused from then on. Files that only root can write and files of others never
// share a child, nor do those of two owners, so that a file which takes one over can only lie about
// its owner's. Blocks for as long as a look-up may take. Any thread; one look-up at a time.
class Inspector {
 public:
  // Fails, saying what to do, when a child cannot be started: nothing is ever read without one.
  static absl::StatusOr<std::unique_ptr<Inspector>> Start(const InspectorOptions& options,
                                                          Launcher* launcher);

  struct Kind {
    bool is_loader = false;
    bool is_library = false;
  };
  struct Result {
    ImageFacts facts;  // `error` set where the file could not be looked at; `file` is not filled
    bool passing = false;  // the error is not the file's: ask again another time
  };
  Result Inspect(const FileToInspect& file, const Kind& kind);

  // Parallel to `file_offsets`; empty where nothing is known.
  std::vector<std::string> FindFunctions(const FileToInspect& file,
                                         const std::vector<uint64_t>& file_offsets);

  // Replaces children that ended while nobody asked. To be called now and then.
  void Tend();

  [[nodiscard]] InspectorState State();

 private:
  struct Slot {
    std::unique_ptr<InspectorProcess> process;
    uid_t owner = 0;
  };
  struct Hanging {
    std::unique_ptr<InspectorProcess> process;
    uint64_t device = 0;  // that it hangs in; 0: one of those of debug files
    std::vector<uint64_t> debug_devices;
  };
  struct Failure {
    std::string reason;
    bool passing = false;
  };

  Inspector(const InspectorOptions& options, Launcher* launcher)
      : options_(options), launcher_(launcher), refused_(options.refused_files) {}

  // The answer, or why there is none.
  absl::StatusOr<InspectAnswer> LookUp(const FileToInspect& file, const InspectQuery& query,
                                       Failure* failure) ABSL_LOCKS_EXCLUDED(mutex_);
  // Says in `debug_devices` where the debug files are that it handed over, one for each.
  absl::StatusOr<InspectAnswer> Converse(InspectorProcess* process, const FileToInspect& file,
                                         InspectQuery query, uint64_t deadline_ns,
                                         std::vector<uint64_t>* debug_devices)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Slot& SlotFor(const FileToInspect& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts a child where there is none, not sooner after the last end than is decent.
  absl::Status Fill(Slot& slot, uint64_t deadline_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  InspectorEnd TakeAway(Slot& slot, const absl::Status& failure, uint64_t device,
                        const std::vector<uint64_t>& debug_devices = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool DebugFilesHang(uint64_t device) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetReleased() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const InspectorOptions options_;
  Launcher* const launcher_;

  absl::Mutex mutex_;
  std::array<Slot, 2> slots_ ABSL_GUARDED_BY(mutex_);  // root's files, and one other owner's
  std::vector<Hanging> hanging_ ABSL_GUARDED_BY(mutex_);
  RefusedFiles refused_ ABSL_GUARDED_BY(mutex_);
  std::string sandbox_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_query_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t restarts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t timeouts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t ends_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_end_ns_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_INSPECTOR_H_
