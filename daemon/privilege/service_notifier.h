// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PRIVILEGE_SERVICE_NOTIFIER_H_
#define STARTSCOPE_DAEMON_PRIVILEGE_SERVICE_NOTIFIER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// What a service manager is told, by the protocol of sd_notify(3): datagrams to the Unix socket
// that NOTIFY_SOCKET names. Without one every method does nothing. One thread.
class ServiceNotifier {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, takes them out of the environment, and
  // opens the socket, so that later no address needs to be resolved. InvalidArgument when one is
  // malformed.
  static absl::StatusOr<ServiceNotifier> FromEnvironment();

  void Ready(const std::string& status);
  void Stopping();
  // To be called only when the work really proceeds.
  void Alive();
  // How long the manager waits for Alive() before it kills; nullopt: it does not watch.
  [[nodiscard]] std::optional<absl::Duration> watchdog() const { return watchdog_; }

 private:
  void Send(const std::string& message);

  UniqueFd socket_;
  std::optional<absl::Duration> watchdog_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PRIVILEGE_SERVICE_NOTIFIER_H_
