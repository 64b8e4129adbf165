// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/command_lookup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

Failure NotFound(const std::string& message) {
  return {kExitCommandNotFound, absl::NotFoundError(message)};
}

Failure NotExecutable(const std::string& message) {
  return {kExitNotExecutable, absl::PermissionDeniedError(message)};
}

// 0, or the errno for which execve would refuse `path`.
int CheckExecutable(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EACCES;
  if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return errno;
  return 0;
}

Failure RefusedFile(const std::string& path, int error_number) {
  switch (error_number) {
    case EISDIR:
      return NotExecutable(absl::StrCat(path, ": is a directory, not a program"));
    case ENOENT:
    case ENOTDIR:
      return NotFound(absl::StrCat(path, ": no such file (check the spelling and the directory)"));
    case EACCES: {
      struct stat info {};
      if (stat(path.c_str(), &info) != 0) {
        return NotExecutable(absl::StrCat(
            path, ": permission denied on the way to it (a directory lacks search permission)"));
      }
      if (!S_ISREG(info.st_mode)) {
        return NotExecutable(absl::StrCat(path, ": not a regular file"));
      }
      struct statvfs mount {};
      if (statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0) {
        return NotExecutable(absl::StrCat(
            path, ": its file system is mounted noexec (copy it elsewhere or remount)"));
      }
      return NotExecutable(absl::StrCat(path, ": not executable for you (try chmod +x)"));
    }
    default:
      return NotExecutable(absl::StrCat(path, ": ", strerror(error_number)));
  }
}

std::string Absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  char buffer[PATH_MAX];
  if (getcwd(buffer, sizeof(buffer)) == nullptr) return path;
  return absl::StrCat(buffer, "/", path);
}

// The path that execvp would execute; what it skips over on the way decides between 126 and 127.
std::variant<std::string, Failure> FindInPath(const std::string& name, const std::string& search) {
  std::optional<std::string> refused;
  for (const std::string& directory : std::vector<std::string>(absl::StrSplit(search, ':'))) {
    const std::string candidate = directory.empty() ? "./" + name : directory + "/" + name;
    const int error_number = CheckExecutable(candidate);
    if (error_number == 0) return candidate;
    if (error_number == EACCES && !refused.has_value()) refused = candidate;
  }
  if (refused.has_value()) return RefusedFile(*refused, EACCES);
  return NotFound(absl::StrCat(name, ": command not found in PATH (give its path, or check PATH)"));
}

// Interpreters that execve goes through before an ELF image runs; the kernel follows at most five.
std::vector<std::string> ImagesOf(const std::string& path, const std::string& search_path) {
  std::string file = path;
  for (int depth = 0; depth < 5; ++depth) {
    UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    char head[256] = {};
    const ssize_t size = fd.valid() ? read(fd.get(), head, sizeof(head) - 1) : -1;
    if (size >= 4 && memcmp(head, "\177ELF", 4) == 0) return {Absolute(file)};
    // Unreadable but executable: the daemon learns of it when it starts.
    if (size < 0) return {Absolute(file)};
    // execvp gives what has no known format to the shell.
    if (size < 2 || head[0] != '#' || head[1] != '!') return {"/bin/sh"};
    std::string line(head + 2, static_cast<size_t>(size) - 2);
    line = line.substr(0, line.find('\n'));
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.empty()) return {};
    file = words[0];
    if (words.size() > 1 && file.size() >= 4 && file.compare(file.size() - 4, 4, "/env") == 0) {
      const auto target = FindInPath(words[1], search_path);
      std::vector<std::string> images = {Absolute(file)};
      if (const auto* found = std::get_if<std::string>(&target)) images.push_back(Absolute(*found));
      return images;
    }
  }
  return {Absolute(file)};
}

}  // namespace

std::variant<ResolvedCommand, Failure> ResolveCommand(const std::string& name,
                                                      const std::string& search_path) {
  if (name.empty()) return NotFound("the command's name is empty");
  std::string path = name;
  if (name.find('/') == std::string::npos) {
    auto found = FindInPath(name, search_path);
    if (auto* failure = std::get_if<Failure>(&found)) return *failure;
    path = std::get<std::string>(found);
  } else if (const int error_number = CheckExecutable(path); error_number != 0) {
    return RefusedFile(path, error_number);
  }
  return ResolvedCommand{.exec_path = path, .images = ImagesOf(path, search_path)};
}

std::optional<std::string> ProgramForLoader(const std::vector<std::string>& command) {
  // Options that take the next word as their value (glibc elf/rtld.c, musl ldso/dynlink.c).
  constexpr std::string_view kWithValue[] = {
      "--library-path", "--inhibit-rpath", "--preload", "--audit", "--argv0",
      "--glibc-hwcaps-prepend", "--glibc-hwcaps-mask"};
  if (command.empty()) return std::nullopt;
  const std::string name = command[0].substr(command[0].rfind('/') + 1);
  if (name.rfind("ld-", 0) != 0 && name.rfind("ld.so", 0) != 0 && name.rfind("ld64.so", 0) != 0) {
    return std::nullopt;
  }
  size_t at = 1;
  while (at < command.size() && command[at].rfind("--", 0) == 0) {
    const std::string& option = command[at];
    const bool takes_next = std::find(std::begin(kWithValue), std::end(kWithValue), option) !=
                            std::end(kWithValue);
    at += takes_next ? 2 : 1;
    if (option == "--") break;
  }
  if (at >= command.size() || command[at].find('/') == std::string::npos) return std::nullopt;
  return Absolute(command[at]);
}

Failure ExecFailure(const std::string& exec_path, int error_number) {
  if (error_number == ENOENT && CheckExecutable(exec_path) == 0) {
    return NotFound(absl::StrCat(
        exec_path, ": the file exists, but its interpreter or dynamic loader does not"));
  }
  if (error_number == ENOEXEC) {
    return NotExecutable(absl::StrCat(exec_path, ": not a program for this machine"));
  }
  if (error_number == E2BIG) {
    return NotExecutable(absl::StrCat(exec_path, ": argument list too long"));
  }
  return RefusedFile(exec_path, error_number);
}

}  // namespace startscope
