// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/privilege/service_notifier.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// Takes a variable out of the environment: children must not speak for the service.
std::string TakeVariable(const char* name) {
  const char* value = getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

}  // namespace

absl::StatusOr<ServiceNotifier> ServiceNotifier::FromEnvironment() {
  ServiceNotifier notifier;
  const std::string path = TakeVariable("NOTIFY_SOCKET");
  const std::string watchdog = TakeVariable("WATCHDOG_USEC");
  const std::string watchdog_pid = TakeVariable("WATCHDOG_PID");
  if (path.empty()) return notifier;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((path[0] != '/' && path[0] != '@') || path.size() < 2 ||
      path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("NOTIFY_SOCKET=", path, ": must be an absolute path or an abstract name"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() +
                                           (path[0] == '@' ? 0 : 1));
  notifier.socket_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!notifier.socket_.valid() ||
      connect(notifier.socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("NOTIFY_SOCKET=", path));
  }
  uint64_t microseconds = 0;
  uint64_t pid = 0;
  if (!watchdog.empty() && (!absl::SimpleAtoi(watchdog, &microseconds) || microseconds == 0)) {
    return absl::InvalidArgumentError(absl::StrCat("WATCHDOG_USEC=", watchdog, ": not a time"));
  }
  // Set for another process: not our watchdog (sd_watchdog_enabled(3)).
  const bool ours = watchdog_pid.empty() || (absl::SimpleAtoi(watchdog_pid, &pid) &&
                                             pid == static_cast<uint64_t>(getpid()));
  if (microseconds != 0 && ours) {
    notifier.watchdog_ = absl::Microseconds(static_cast<int64_t>(microseconds));
  }
  return notifier;
}

void ServiceNotifier::Ready(const std::string& status) {
  Send(absl::StrCat("READY=1\nSTATUS=", status));
}

void ServiceNotifier::Stopping() { Send("STOPPING=1"); }

void ServiceNotifier::Alive() { Send("WATCHDOG=1"); }

void ServiceNotifier::Send(const std::string& message) {
  if (!socket_.valid()) return;
  // A manager that does not read is not waited for.
  [[maybe_unused]] const ssize_t sent =
      send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

}  // namespace startscope
