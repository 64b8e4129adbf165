// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_CHILD_PROCESS_H_
#define STARTSCOPE_CLIENT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "client/signal_guard.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

enum class CommandOutput : uint8_t {
  kUntouched,
  // stdout goes to our stderr: our own stdout is data.
  kStdoutToStderr,
  kDiscarded,
};

struct ChildOptions {
  std::string exec_path;
  std::vector<std::string> argv;
  CommandOutput output = CommandOutput::kUntouched;
  // Restored in the child, whatever this process has changed since.
  InitialSignals signals;
};

// A command that exists as a process, with its pid, before it is executed: tracing can be armed for
// that pid first. The child shares our memory until its execve (as posix_spawn does): a forked copy
// would have to be torn down inside the very exec being measured. A thread of ours is suspended
// meanwhile. Used by one thread; owns the child until it is reaped, and never leaves it unreleased.
class ChildProcess {
 public:
  // The child waits for Release.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ChildProcess>> Prepare(ChildOptions options);
  // An unreleased child goes away without executing anything; a running one is left alone.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Lets it execute. Returns 0 when the exec succeeded, otherwise its errno; the child is then
  // gone.
  [[nodiscard]] int Release();
  // Readable once the child has ended.
  [[nodiscard]] int pid_fd() const { return pid_fd_.get(); }
  // Waits for the end; the status as waitpid gives it.
  int Reap();
  void Signal(int number) const;

 private:
  struct Shared;
  ChildProcess() = default;

  static int RunChild(void* shared);
  static void Launch(Shared& shared);

  std::unique_ptr<Shared> shared_;
  std::thread launcher_;
  UniqueFd release_;
  UniqueFd pid_fd_;
  pid_t pid_ = -1;
  bool reaped_ = false;
};

// What a shell would report for a wait status: the exit code, or 128 + the signal.
[[nodiscard]] int ShellCode(int wait_status);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_CHILD_PROCESS_H_
