// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_PROBE_ATTACHER_H_
#define STARTSCOPE_DAEMON_COLLECT_PROBE_ATTACHER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "daemon/collect/bpf_object.h"
#include "daemon/elf/image_facts.h"

struct bpf_link;
struct perf_event_attr;

namespace startscope {

// What a set of watches needs in the kernel.
struct ProbeNeeds {
  bool process = false;         // exec, fork, exit
  bool fault_entries = false;   // instruction fetches (level PHASES), all entries above
  bool fault_completions = false;
  uint32_t details = 0;  // SS_DETAIL_*
  friend bool operator==(const ProbeNeeds&, const ProbeNeeds&) = default;
};

// Attaches and detaches probes: the union of what watches need, nothing else. All methods block for
// as long as the kernel takes; any thread but the core thread.
class ProbeAttacher {
 public:
  explicit ProbeAttacher(BpfObject* object) : object_(object) {}
  ~ProbeAttacher();

  // Brings the kernel-event probes to exactly `needs`. What can't be attached is left out and named
  // in the status of its probe; an error means that nothing can be followed.
  absl::Status SetNeeds(const ProbeNeeds& needs);

  struct MarkResult {
    uint32_t attached_marks = 0;  // bit per MarkKind
    std::string error;            // empty when every site was taken
  };
  // Puts a uprobe on every site of `facts`, those of its init functions included, through the
  // descriptor that was inspected, so that no path is resolved again. `image` goes into the cookies.
  // `kinds`: bit per MarkKind that is wanted; other sites are left alone.
  MarkResult AttachMarks(uint32_t image, int fd, const ImageFacts& facts, uint32_t kinds);
  void DetachMarks(uint32_t image) { DetachMarks(std::vector<uint32_t>{image}); }
  // Each waits for the kernel's grace period, so many are detached side by side.
  void DetachMarks(const std::vector<uint32_t>& images);
  void DetachAllMarks();

  struct ProbeState {
    std::string name;
    bool loaded = false;
    uint32_t attachments = 0;
    std::string detail;
  };
  [[nodiscard]] std::vector<ProbeState> States() const;

 private:
  using Links = std::vector<bpf_link*>;

  absl::Status AttachTracepoint(const std::string& program) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AttachPerCpu(const std::string& program, const perf_event_attr& attributes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Want(const std::string& program, bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Detach(const std::string& program) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  BpfObject* const object_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Links> links_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> errors_ ABSL_GUARDED_BY(mutex_);
  struct ImageMarks {
    std::vector<int> fds;   // uprobe_multi: one link for all sites
    Links links;            // perf uprobes: one a site
    uint32_t sites = 0;
  };
  std::map<uint32_t, ImageMarks> marks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_PROBE_ATTACHER_H_
