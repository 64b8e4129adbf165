// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_PRIVATE_DAEMON_H_
#define STARTSCOPE_CLIENT_PRIVATE_DAEMON_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// A startscoped that serves this client alone, over a socket pair: there is no socket file, and the
// daemon ends when the connection closes, however the client dies. Owns the process, and a thread
// that keeps the end of what it writes. Used by the main thread.
class PrivateDaemon {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<PrivateDaemon>> Start();
  ~PrivateDaemon();
  PrivateDaemon(const PrivateDaemon&) = delete;
  PrivateDaemon& operator=(const PrivateDaemon&) = delete;

  // Our end of the socket pair; once.
  [[nodiscard]] UniqueFd TakeConnection() { return std::move(connection_); }
  // Waits for the daemon to end by itself; the last of what it wrote, made safe to print.
  [[nodiscard]] std::string LastWords(absl::Duration timeout);
  // To be called with the connection closed: waits for the end, then insists. Idempotent.
  void Stop();

 private:
  PrivateDaemon() = default;

  bool WaitForEnd(absl::Duration timeout);
  void CollectOutput();

  UniqueFd connection_;
  UniqueFd output_;
  UniqueFd pid_fd_;
  pid_t pid_ = -1;
  std::thread reader_;
  absl::Mutex mutex_;
  std::string tail_ ABSL_GUARDED_BY(mutex_);
};

// Where startscoped is: STARTSCOPE_DAEMON, beside this program, ../libexec, ../sbin, /usr/sbin,
// PATH.
[[nodiscard]] absl::StatusOr<std::string> FindDaemonBinary();

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_PRIVATE_DAEMON_H_
