// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_INSPECTOR_PROCESS_H_
#define STARTSCOPE_DAEMON_INSPECT_INSPECTOR_PROCESS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"
#include "daemon/inspect/launcher.h"
#include "daemon/inspect/protocol.h"

namespace startscope {

// How an inspector ended.
struct InspectorEnd {
  enum class Blame : uint8_t {
    kItself,   // a fault, a forbidden system call, an answer that is none
    kOutside,  // somebody killed it
    kTooSlow,  // it was ended for that
    kStarved,  // too slow, but it hardly ran: the machine was busy elsewhere
  };
  Blame blame = Blame::kItself;
  std::string how;       // "it …"
  bool is_gone = false;  // false: it hangs in the kernel and ends when that lets go
};

// One sandboxed process, the launcher's child. Ended with its owner. One thread at a time.
class InspectorProcess {
 public:
  // Returns when its sandbox is in place. Deadlines are of MonotonicNs().
  static absl::StatusOr<std::unique_ptr<InspectorProcess>> Start(Launcher* launcher,
                                                                 uint64_t deadline_ns);
  ~InspectorProcess();
  InspectorProcess(const InspectorProcess&) = delete;
  InspectorProcess& operator=(const InspectorProcess&) = delete;

  [[nodiscard]] const std::string& sandbox() const { return sandbox_; }
  [[nodiscard]] int pid() const { return process_.pid; }
  // Time spent on queries.
  [[nodiscard]] uint64_t busy_ns() const { return busy_ns_; }
  // It has ended, whoever saw to it. Waits for nothing.
  [[nodiscard]] bool HasEnded() const;

  // One query with its files. After any error the process is of no use: End() it.
  absl::StatusOr<InspectAnswer> Ask(const InspectQuery& query, std::span<const int> files,
                                    uint64_t deadline_ns);

  // Ends it if it has not, because of `failure`, and says how that went.
  InspectorEnd End(const absl::Status& failure);

 private:
  InspectorProcess(Launcher* launcher, SpawnedProcess process)
      : launcher_(launcher), process_(std::move(process)) {}
  // Waits for the end and takes its status. False: not ended in that time.
  bool Reap(int timeout_ms, InspectorEnd* end);
  [[nodiscard]] bool IsStarved() const;

  Launcher* const launcher_;
  SpawnedProcess process_;
  std::string sandbox_;
  uint64_t busy_ns_ = 0;
  uint64_t cpu_ns_before_ = 0;  // of the query at hand
  uint64_t asked_ns_ = 0;
  bool reaped_ = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_INSPECTOR_PROCESS_H_
