// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_BPF_OBJECT_H_
#define STARTSCOPE_DAEMON_COLLECT_BPF_OBJECT_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/event.h"
#include "daemon/collect/kernel_features.h"
#include "daemon/collect/throttle_ledger.h"
#include "daemon/elf/image_facts.h"

struct startscope_bpf;
struct bpf_program;

namespace startscope {

struct BpfObjectOptions {
  uint32_t ring_bytes = 8u << 20;  // a power of two
  // Startups that one control group may begin in a second, and at once; 0: no limit.
  uint32_t cgroup_rate = 2000;
  uint32_t argument_bytes = 0;     // collected of each start's arguments; 0: argv[0] alone
  // Programs the operator does not want, by name (--without-probe).
  std::set<std::string> unwanted_programs;
};

// The loaded BPF object: programs verified and in the kernel, none attached. A program that the
// kernel refuses is left out and named in refusals(), unless nothing works without it. Setup on the
// main thread; rules and counters from any thread (each is one map operation).
class BpfObject {
 public:
  static absl::StatusOr<std::unique_ptr<BpfObject>> Load(const KernelFeatures& features,
                                                         const BpfObjectOptions& options);
  ~BpfObject();
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;

  struct Refusal {
    std::string program;
    std::string reason;
  };
  [[nodiscard]] const std::vector<Refusal>& refusals() const { return refusals_; }
  // nullptr when the program is not loaded.
  [[nodiscard]] bpf_program* program(const std::string& name) const;
  [[nodiscard]] int ring_fd() const;
  // on_mark was loaded for uprobe_multi links; it then takes no perf uprobe.
  [[nodiscard]] bool marks_use_uprobe_multi() const { return marks_use_uprobe_multi_; }

  // Rules take effect at the next exec. The slot must be below SS_RULE_MAX.
  absl::Status SetRule(uint32_t slot, const ss_rule& rule);
  void ClearRule(uint32_t slot);

  // Control groups of whose processes nothing is recorded from the next exec on: id and depth below the
  // root of each. At most SS_NEVER_CGROUPS; what is beyond is ignored.
  struct CgroupPlace {
    uint64_t id = 0;
    uint32_t level = 0;
  };
  void SetNeverCgroups(const std::vector<CgroupPlace>& places);

  // Whether an exec of this file needs the daemon's attention at once.
  void SetFileKnown(const FileId& file, bool known);

  // Stops following a process (its deadline passed). Harmless when it is gone.
  void StopFollowing(uint32_t pid, uint64_t start_boottime_ns);
  // Follows a process that has executed nothing: a child of ours that measures our own probes.
  absl::Status FollowForCalibration(uint32_t pid, uint32_t level);
  // Empties the ring and takes all counters back to zero; call with all probes detached.
  void ForgetCalibration();
  // Forgets every process being followed; call with all probes detached.
  void ResetTracking();
  // Sums of all CPUs.
  [[nodiscard]] ss_stats ReadStats() const;
  // Control groups some of whose startups were not followed for want of budget.
  [[nodiscard]] std::vector<ThrottledCgroup> ReadThrottled() const;

 private:
  BpfObject() = default;
  absl::Status TryLoad(const std::set<std::string>& left_out, const BpfObjectOptions& options);
  void PublishRules();

  startscope_bpf* skeleton_ = nullptr;
  std::vector<Refusal> refusals_;
  bool marks_use_uprobe_multi_ = false;
  std::vector<ss_rule> rules_ = std::vector<ss_rule>(SS_RULE_MAX);
};

// Names of the programs in bpf/, for status and options.
extern const char* const kBpfPrograms[];
extern const int kBpfProgramCount;
// Without it nothing can be traced.
bool IsEssentialProgram(const std::string& program);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_BPF_OBJECT_H_
