// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The model's two outward interfaces: whom it tells, and whom it asks. Both are called on the core
// thread and must not block.

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_LISTENER_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_LISTENER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/decode/event.h"
#include "daemon/model/startup.h"

namespace startscope {

// A control group that began more startups than it may: those beyond were not followed.
struct ThrottledGroup {
  WatchMask watches = 0;  // that wanted some of them
  uint64_t cgroup_id = 0;  // 0: groups that are no longer known
  uint32_t uid = 0;        // of the last of them
  uint64_t count = 0;      // since it was told last
  uint64_t total = 0;
  uint64_t since_boottime_ns = 0;
};

// Receives results. A startup gives OnStarted once, OnPhaseFinished for each phase in order,
// OnReached for each end condition passed on the way (kMain while the watch goes on to exit), and
// OnFinished exactly once, last.
class StartupListener {
 public:
  virtual ~StartupListener() = default;
  // Whether anybody takes OnStarted and OnPhaseFinished of these watches; they need not be called
  // otherwise.
  [[nodiscard]] virtual bool WantsProgress(WatchMask /*watches*/) const { return true; }
  // Between the two, results come one after the other: nobody need be woken for each. `boottime_ns`:
  // up to when everything has been told.
  virtual void BeginBatch() {}
  virtual void EndBatch(uint64_t /*boottime_ns*/) {}
  // `startup` has identity only: no phases yet. Runtime may be unknown.
  virtual void OnStarted(WatchMask watches, const Startup& startup) = 0;
  virtual void OnPhaseFinished(WatchMask watches, const Startup& startup, const PhaseSlice& slice) = 0;
  // A complete breakdown that ends at the milestone; the process is still followed.
  virtual void OnReached(WatchMask watches, MilestoneKind milestone, std::shared_ptr<const Startup> startup) = 0;
  // Nothing more follows for this startup. With `at` kMain the tracking ended there.
  virtual void OnFinished(WatchMask watches, std::shared_ptr<const Startup> startup) = 0;
  // The loader did something after a startup that was finished before.
  virtual void OnLoaderActivity(WatchMask watches, const LoaderActivity& activity) = 0;
  // A startup has been going on for longer than a watch's threshold; told again each time it doubles.
  virtual void OnStuck(WatchMask watches, const StuckStartup& stuck) = 0;
  virtual void OnLost(LossStage stage, uint64_t count) = 0;
  // At most once a second for each group.
  virtual void OnThrottled(const ThrottledGroup& /*group*/) {}
};

// A file that a process runs and that the model has no facts about yet.
struct ProbeRequest {
  FileId file;
  FileId mapped_file;    // of the executable: under what numbers it is mapped, when that is known
  std::string path;      // as the process sees it
  uint32_t pid = 0;      // a process that has it mapped
  uint64_t start_boottime_ns = 0;
  uint32_t parent_pid = 0;   // sees the same files, often, and may live longer
  uint64_t map_address = 0;  // 0: the executable itself (/proc/PID/exe)
  uint64_t map_size_bytes = 0;
  bool is_loader = false;
  bool is_library = false;   // only its identity is wanted, and what it needs
};

// Addresses of a file, as file offsets, whose functions are wanted.
struct SymbolRequest {
  FileId file;
  std::string path;
  uint32_t pid = 0;
  uint32_t parent_pid = 0;
  std::vector<uint64_t> file_offsets;
};

// The one way back: asks for a file to be inspected and probed. The answer, if any, comes as an
// ImageEvent. Called at most once a file until it answers.
class ImageProber {
 public:
  virtual ~ImageProber() = default;
  // False: there are too many requests, and none of this one.
  virtual bool RequestImage(const ProbeRequest& request) = 0;
  // Answered by one SymbolsEvent for the file, or never. False: there are too many requests.
  virtual bool RequestSymbols(const SymbolRequest& request) = 0;
  // The kernel need not follow this process any longer (deadline passed).
  virtual void StopTracking(uint32_t pid, uint64_t start_boottime_ns) = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_LISTENER_H_
