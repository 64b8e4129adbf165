// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The seam between the gRPC edge and the capture side: what a watch asks for, and who arms it.

#ifndef STARTSCOPE_DAEMON_SERVE_WATCH_CONTROLLER_H_
#define STARTSCOPE_DAEMON_SERVE_WATCH_CONTROLLER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/probe_costs.h"
#include "daemon/decode/event.h"
#include "daemon/elf/image_facts.h"
#include "daemon/inspect/inspector_state.h"
#include "daemon/model/startup.h"
#include "daemon/model/watch_terms.h"

namespace startscope {

// Who called, as the kernel says (SO_PEERCRED of the connection), or a certificate.
struct PeerIdentity {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool privileged = false;  // root, or a member of the admin group: sees every user's processes
  bool remote = false;  // came over TLS: there is no such process or user here
};

// Decided in the kernel, at exec. Fields that are set must all match.
struct KernelFilter {
  std::optional<uint32_t> uid;
  std::optional<uint32_t> pid;
  std::optional<uint64_t> cgroup_id;
  std::optional<std::string> comm;

  friend bool operator==(const KernelFilter&, const KernelFilter&) = default;
};

struct WatchSpec {
  Level level = Level::kPhases;
  Precision precision = Precision::kExact;
  bool until_exit = false;
  bool waits = false;
  bool syscalls = false;
  bool samples = false;
  bool loader_events = false;
  uint64_t deadline_ns = 0;
  std::vector<KernelFilter> filters;  // OR; empty: everything
  std::optional<uint32_t> ancestor_pid;  // AND with the filters
  std::vector<std::string> prepare_executables;
  std::vector<std::string> prepare_libraries;
  uint64_t stuck_after_ns = 0;
  PeerIdentity peer;

  [[nodiscard]] WatchTerms terms() const {
    return {.level = level,
            .precision = precision,
            .until_exit = until_exit,
            // A call's time is told from its waiting only where that is recorded.
            .waits = waits || syscalls || level >= Level::kPages,
            // What the loader looked for in vain shows in its calls alone.
            .syscalls = syscalls || level >= Level::kFunctions,
            .samples = samples,
            .loader_events = loader_events,
            .deadline_ns = deadline_ns,
            .stuck_after_ns = stuck_after_ns};
  }
};

struct ArmedWatch {
  WatchMask mask = 0;
  uint64_t boottime_ns = 0;
  std::vector<Degradation> degradations;
};

// The plain form of GetStatusResponse, less what the edge itself knows.
struct DaemonStatus {
  struct Feature {
    std::string name;
    bool available = false;
    std::string detail;
  };
  enum class ProbeState : uint8_t { kUnspecified, kIdle, kAttached, kUnavailable };
  struct Probe {
    std::string name;
    ProbeState state = ProbeState::kUnspecified;
    uint32_t attachments = 0;
    std::string detail;
  };
  struct Loss {
    LossStage stage = LossStage::kKernelRing;
    uint64_t produced = 0;
    uint64_t lost = 0;
    std::string knob;
    std::string name;
    bool eviction = false;  // within a bound; nothing that was asked for is missing from a watch
    std::string consequence = {};
  };
  struct Image {
    std::shared_ptr<const ImageFacts> facts;
    uint32_t attached_marks = 0;  // bit per MarkKind
    std::string error;
  };
  std::string kernel_release;
  std::string machine;
  uint32_t abi_version = 0;
  std::vector<Feature> features;
  std::vector<Probe> probes;
  std::vector<Loss> losses;
  std::vector<Image> images;
  uint64_t startups_seen = 0;
  uint64_t startups_open = 0;
  uint64_t records_received = 0;
  InspectorState inspector;
  std::optional<ProbeCosts> costs;
};

// Implemented by the capture side. Called on gRPC threads.
class WatchController {
 public:
  virtual ~WatchController() = default;
  // Returns when everything executed from now on is seen. Blocks.
  virtual absl::StatusOr<ArmedWatch> Arm(const WatchSpec& spec) = 0;
  // With the last watch the last probe goes. Blocks.
  virtual void Disarm(WatchMask mask) = 0;
  virtual DaemonStatus Status() = 0;
  // Measures what probes cost; Status() tells it from then on. Blocks for some hundred milliseconds.
  virtual absl::Status Calibrate() = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_WATCH_CONTROLLER_H_
