// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/private_daemon.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/find_program.h"
#include "client/render/text_sanitizer.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr int kServedFd = 3;
constexpr size_t kTailBytes = 16 * 1024;
// Detaching its probes takes the daemon up to seconds on some kernels.
constexpr absl::Duration kStopTimeout = absl::Seconds(5);
constexpr absl::Duration kTerminateTimeout = absl::Seconds(5);

class SpawnSetup {
 public:
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

}  // namespace

absl::StatusOr<std::string> FindDaemonBinary() {
  std::string path;
  SS_ASSIGN_OR_RETURN(path, FindProgram("startscoped", "STARTSCOPE_DAEMON"));
  if (!path.empty()) return path;
  return absl::NotFoundError(
      "no daemon is running, and startscoped was not found to start a private one (install it, or "
      "name it in STARTSCOPE_DAEMON)");
}

absl::StatusOr<std::unique_ptr<PrivateDaemon>> PrivateDaemon::Start() {
  std::string binary;
  SS_ASSIGN_OR_RETURN(binary, FindDaemonBinary());
  auto daemon = std::unique_ptr<PrivateDaemon>(new PrivateDaemon());
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return ErrnoStatus(errno, "socket pair for a private daemon");
  }
  daemon->connection_.Reset(pair[0]);
  const UniqueFd served(pair[1]);
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe for a private daemon");
  daemon->output_.Reset(output[0]);
  // Above kServedFd: the file actions below overwrite the low numbers in order.
  const UniqueFd output_end(fcntl(output[1], F_DUPFD_CLOEXEC, kServedFd + 1));
  close(output[1]);
  if (!output_end.valid()) return ErrnoStatus(errno, "pipe for a private daemon");

  SpawnSetup setup;
  posix_spawn_file_actions_addopen(&setup.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&setup.actions, output_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, output_end.get(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, served.get(), kServedFd);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&setup.attributes, &none);
  posix_spawnattr_setsigdefault(&setup.attributes, &all);
  // Its own process group: a Ctrl-C is for the client, which then ends the daemon in good order.
  posix_spawnattr_setpgroup(&setup.attributes, 0);
  posix_spawnattr_setflags(&setup.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const std::string serve_flag = absl::StrCat("--serve-fd=", kServedFd);
  char* const argv[] = {const_cast<char*>("startscoped"), const_cast<char*>(serve_flag.c_str()),
                        nullptr};
  const int error_number =
      posix_spawn(&daemon->pid_, binary.c_str(), &setup.actions, &setup.attributes, argv, environ);
  if (error_number != 0) {
    daemon->pid_ = -1;
    return ErrnoStatus(error_number, absl::StrCat("cannot start ", binary));
  }
  daemon->pid_fd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, daemon->pid_, 0)));
  daemon->reader_ = std::thread([raw = daemon.get()] { raw->CollectOutput(); });
  if (!daemon->pid_fd_.valid()) return ErrnoStatus(errno, "pidfd_open", "needs Linux 5.3 or newer");
  return daemon;
}

void PrivateDaemon::CollectOutput() {
  char buffer[4096];
  while (true) {
    const ssize_t size = read(output_.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    absl::MutexLock lock(&mutex_);
    tail_.append(buffer, static_cast<size_t>(size));
    if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  }
}

bool PrivateDaemon::WaitForEnd(absl::Duration timeout) {
  if (pid_ < 0) return true;
  const absl::Time deadline = absl::Now() + timeout;
  pollfd entry{.fd = pid_fd_.get(), .events = POLLIN, .revents = 0};
  int ready;
  do {
    const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
    ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  // Its end of the pipe is closed, unless a child of its still holds it.
  if (reader_.joinable()) reader_.join();
  return true;
}

std::string PrivateDaemon::LastWords(absl::Duration timeout) {
  WaitForEnd(timeout);
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> lines;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(tail_, '\n', absl::SkipWhitespace()))) {
    lines.push_back("  " + SanitizeText(line, true));
  }
  std::string words;
  for (const std::string& line : lines) absl::StrAppend(&words, words.empty() ? "" : "\n", line);
  return words;
}

void PrivateDaemon::Stop() {
  connection_.Reset();
  if (WaitForEnd(kStopTimeout)) return;
  kill(pid_, SIGTERM);
  if (WaitForEnd(kTerminateTimeout)) return;
  kill(pid_, SIGKILL);
  WaitForEnd(absl::InfiniteDuration());
}

PrivateDaemon::~PrivateDaemon() {
  Stop();
  if (reader_.joinable()) reader_.join();
}

}  // namespace startscope
