// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_CAPTURE_H_
#define STARTSCOPE_DAEMON_CAPTURE_H_

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/base/probe_costs.h"
#include "daemon/collect/bpf_event_source.h"
#include "daemon/collect/bpf_object.h"
#include "daemon/collect/kernel_features.h"
#include "daemon/collect/probe_attacher.h"
#include "daemon/collect/recording.h"
#include "daemon/loss_report.h"
#include "daemon/pipeline.h"
#include "daemon/probe/image_registry.h"
#include "daemon/redact/argument_redactor.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

struct CaptureOptions {
  BpfObjectOptions bpf;
  uint32_t mapping_ring_pages = 128;  // per CPU, a power of two
  std::string record_path;            // empty: nothing is recorded
  uint64_t record_max_bytes = 1ull << 30;
  std::vector<std::string> redact;  // patterns beside the built-in ones, for arguments
  ModelOptions model;
  ImageRegistryOptions images;
  InspectorOptions inspector;
  bool calibrate = true;  // measure at the start what our probes cost
};

// The capture side: loads the programs, runs the core thread (drain → decode → model → listener), and
// arms and disarms watches. Any number of gRPC threads may call the WatchController methods; they are
// taken one at a time. With no watch nothing is attached and no side-band is open.
class Capture : public WatchController, public ImageProber {
 public:
  // What starts the processes that read files and those that open them.
  struct Launchers {
    Launcher* inspectors = nullptr;
    Launcher* openers = nullptr;
  };
  // `listener` is called on the core thread; it and the launchers must outlive this.
  static absl::StatusOr<std::unique_ptr<Capture>> Start(const CaptureOptions& options,
                                                        const KernelFeatures& features,
                                                        const Launchers& launchers,
                                                        StartupListener* listener);
  ~Capture() override;

  absl::StatusOr<ArmedWatch> Arm(const WatchSpec& spec) override;
  void Disarm(WatchMask mask) override;
  DaemonStatus Status() override;
  absl::Status Calibrate() override;

  // Whether the core thread has done something since it was asked last; asks it again. One thread.
  bool CoreAnswers();

 private:
  Capture(const CaptureOptions& options, StartupListener* listener)
      : options_(options), listener_(listener) {}

  // ImageProber, on the core thread.
  bool RequestImage(const ProbeRequest& request) override;
  bool RequestSymbols(const SymbolRequest& request) override;
  void StopTracking(uint32_t pid, uint64_t start_boottime_ns) override;

  void CoreLoop();
  // Runs `command` on the core thread; the second form waits for it.
  void Post(std::function<void()> command);
  void RunOnCore(const std::function<void()>& command);
  void RunCommands();
  void OnRecord(const RawRecord& given);
  void OnCosts(const ProbeCosts& costs);
  // At most once a second: of control groups that begin more startups than they may.
  void TellThrottled();
  void CopyFigures();

  // The slots of one watch: shared where another has the same rule already, which `fresh` are not.
  struct TakenSlots {
    std::vector<int> all;
    std::vector<int> fresh;
  };
  absl::StatusOr<TakenSlots> TakeSlots(const std::vector<KernelFilter>& filters,
                                       std::optional<uint32_t> ancestor, const WatchTerms& terms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(arm_mutex_);
  absl::Status AttachFor(const WatchSpec& spec, std::vector<Degradation>* degradations)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(arm_mutex_);
  // Brings probes, marks and side-band to what the taken slots need.
  // Control groups come and go: those that exist now are excluded.
  void ExcludeCgroups() ABSL_EXCLUSIVE_LOCKS_REQUIRED(arm_mutex_);
  absl::Status UpdateProbes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(arm_mutex_);
  void Release(const std::vector<int>& slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(arm_mutex_);

  const CaptureOptions options_;
  StartupListener* const listener_;
  const CgroupResolver cgroups_;
  KernelFeatures features_;
  std::unique_ptr<BpfObject> object_;
  std::unique_ptr<ProbeAttacher> attacher_;
  std::unique_ptr<BpfEventSource> source_;
  std::unique_ptr<Inspector> inspector_;
  std::unique_ptr<ImageRegistry> images_;
  std::unique_ptr<ArgumentRedactor> redactor_;  // where arguments are collected
  std::unique_ptr<RecordingWriter> recording_;
  std::unique_ptr<Pipeline> pipeline_;
  // Of the core thread.
  ThrottleLedger throttled_;
  uint64_t throttled_looked_ns_ = 0;

  // Known to Status(), and to the model from the record on that tells it.
  absl::Mutex costs_mutex_;
  std::optional<ProbeCosts> costs_ ABSL_GUARDED_BY(costs_mutex_);

  absl::Mutex arm_mutex_;
  struct Slot {
    int watches = 0;  // that have this rule; 0: free
    WatchTerms terms;
    KernelFilter filter;
    std::optional<uint32_t> ancestor;
  };
  std::array<Slot, SS_RULE_MAX> slots_ ABSL_GUARDED_BY(arm_mutex_);
  int next_slot_ ABSL_GUARDED_BY(arm_mutex_) = 0;

  absl::Mutex command_mutex_;
  std::vector<std::function<void()>> commands_ ABSL_GUARDED_BY(command_mutex_);
  std::atomic<bool> stopping_{false};
  std::atomic<bool> core_answered_{true};
  std::atomic<int> watches_{0};
  std::atomic<bool> marks_attached_{false};
  // What the core thread had counted when it last emptied the rings, for Status().
  absl::Mutex figures_mutex_;
  LossFigures figures_ ABSL_GUARDED_BY(figures_mutex_);
  uint64_t startups_open_ ABSL_GUARDED_BY(figures_mutex_) = 0;
  std::thread core_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_CAPTURE_H_
