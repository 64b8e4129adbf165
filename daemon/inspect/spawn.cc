// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr char kRemedy[] =
    "the daemon reads files only in its inspector; install startscope-inspector beside startscoped";

std::string OwnFolder() {
  std::array<char, 4096> path;
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0 || size == static_cast<ssize_t>(path.size())) return "";
  const std::string text(path.data(), static_cast<size_t>(size));
  return text.substr(0, text.rfind('/') + 1);
}

}  // namespace

std::vector<std::string> InspectorPaths() {
  std::vector<std::string> paths;
  if (const std::string folder = OwnFolder(); !folder.empty()) {
    paths.push_back(absl::StrCat(folder, kInspectorName));
    paths.push_back(absl::StrCat(folder, STARTSCOPE_LIBEXEC_FROM_SBIN, "/", kInspectorName));
  }
  paths.push_back(absl::StrCat(STARTSCOPE_LIBEXECDIR, "/", kInspectorName));
  return paths;
}

absl::StatusOr<UniqueFd> OpenInspectorProgram(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    UniqueFd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) continue;
    struct stat status {};
    if (!fd.valid() || fstat(fd.get(), &status) != 0) return ErrnoStatus(errno, path, kRemedy);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0) {
      return absl::NotFoundError(absl::StrCat(path, ": not an executable file (", kRemedy, ")"));
    }
    return fd;
  }
  return absl::NotFoundError(absl::StrCat(kInspectorName, ": not found at ",
                                          absl::StrJoin(paths, ", "), " (", kRemedy, ")"));
}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair() {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return std::make_pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

absl::StatusOr<SpawnedProcess> SpawnProgram(int program_fd) {
  SpawnedProcess spawned;
  std::pair<UniqueFd, UniqueFd> ends;
  SS_ASSIGN_OR_RETURN(ends, MakeSocketPair());
  spawned.socket = std::move(ends.first);
  UniqueFd theirs = std::move(ends.second);
  // A descriptor that is already where it shall be would keep its close-on-exec.
  if (theirs.get() == kInspectorSocket) {
    theirs.Reset(fcntl(theirs.get(), F_DUPFD_CLOEXEC, kInspectorSocket + 1));
  }
  // Descriptor 3 is taken by the time the program is executed.
  const UniqueFd program(fcntl(program_fd, F_DUPFD_CLOEXEC, kInspectorSocket + 1));
  if (!program.valid()) return ErrnoStatus(errno, kInspectorName);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), kInspectorSocket);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // A terminal's signals are for the daemon, which ends the inspector.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                            POSIX_SPAWN_SETSID);
  std::array<char*, 2> arguments = {const_cast<char*>(kInspectorName), nullptr};
  std::array<char*, 1> environment = {nullptr};
  const std::string path = absl::StrCat("/proc/self/fd/", program.get());
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(),
                                environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus(error, kInspectorName, "it cannot be executed");
  spawned.pid = pid;
  // It is our child and not waited for yet: the number cannot be another's.
  spawned.pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return spawned;
}

}  // namespace startscope
