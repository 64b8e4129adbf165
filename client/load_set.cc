// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/load_set.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"

extern char** environ;

namespace startscope {
namespace {

constexpr char kLoaderCache[] = "/etc/ld.so.cache";
constexpr size_t kMaxListBytes = 1 << 20;
constexpr size_t kMaxProgramHeaders = 256;
constexpr absl::Duration kListTimeout = absl::Seconds(10);

void AddResolved(const std::string& path, std::vector<std::string>* files) {
  const std::unique_ptr<char, decltype(&free)> resolved(realpath(path.c_str(), nullptr), &free);
  if (resolved == nullptr) return;
  const std::string file = resolved.get();
  if (std::find(files->begin(), files->end(), file) == files->end()) files->push_back(file);
}

bool ReadAt(int fd, uint64_t offset, void* to, size_t size) {
  return pread(fd, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

// Standard output of a command; empty when it fails, says too much or takes too long.
std::string OutputOf(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, command.front().c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  writer.Reset();
  if (error != 0) return "";
  std::string output;
  const absl::Time deadline = absl::Now() + kListTimeout;
  bool whole = false;
  while (output.size() < kMaxListBytes) {
    pollfd entry{.fd = reader.get(), .events = POLLIN, .revents = 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || poll(&entry, 1, static_cast<int>(left)) <= 0) break;
    char buffer[4096];
    const ssize_t size = read(reader.get(), buffer, sizeof(buffer));
    if (size <= 0) {
      whole = size == 0;
      break;
    }
    output.append(buffer, static_cast<size_t>(size));
  }
  if (!whole) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? output : "";
}

// Lines like `libz.so.1 => /lib/libz.so.1 (0x…)` and `/lib64/ld.so (0x…)`.
void AddListed(const std::string& output, std::vector<std::string>* files) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(output, '\n'))) {
    const size_t end = line.rfind(" (0x");
    if (end == std::string::npos) continue;
    const size_t begin = line.find('/');
    const size_t arrow = line.find(" => ");
    const size_t path = arrow == std::string::npos ? begin : arrow + 4;
    if (path < end && line[path] == '/') AddResolved(line.substr(path, end - path), files);
  }
}

}  // namespace

std::string ProgramInterpreter(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  Elf64_Ehdr header{};
  if (!file.valid() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      !ReadAt(file.get(), 0, &header, sizeof(header)) ||
      std::string_view(reinterpret_cast<const char*>(header.e_ident), SELFMAG) != ELFMAG ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return "";
  }
  const size_t count = std::min<size_t>(header.e_phnum, kMaxProgramHeaders);
  for (size_t i = 0; i < count; ++i) {
    Elf64_Phdr program{};
    if (!ReadAt(file.get(), header.e_phoff + i * sizeof(program), &program, sizeof(program))) break;
    if (program.p_type != PT_INTERP) continue;
    if (program.p_filesz < 2 || program.p_filesz > PATH_MAX) break;
    std::string name(program.p_filesz, '\0');
    if (!ReadAt(file.get(), program.p_offset, name.data(), name.size())) break;
    return name.substr(0, name.find('\0'));
  }
  return "";
}

std::vector<std::string> FilesToLoad(const ResolvedCommand& command) {
  std::vector<std::string> files;
  AddResolved(command.exec_path, &files);
  for (const std::string& image : command.images) {
    AddResolved(image, &files);
    const std::string interpreter = ProgramInterpreter(image);
    if (!absl::StartsWith(interpreter, "/")) continue;
    AddResolved(interpreter, &files);
    AddResolved(kLoaderCache, &files);
    AddListed(OutputOf({interpreter, "--list", image}), &files);
  }
  return files;
}

std::vector<std::string> LibrariesToLoad(const ResolvedCommand& command) {
  std::vector<std::string> others = {kLoaderCache};
  AddResolved(command.exec_path, &others);
  for (const std::string& image : command.images) AddResolved(image, &others);
  std::vector<std::string> libraries;
  for (std::string& file : FilesToLoad(command)) {
    if (libraries.size() == kMaxLibrariesToPrepare) break;
    if (std::find(others.begin(), others.end(), file) == others.end()) {
      libraries.push_back(std::move(file));
    }
  }
  return libraries;
}

std::vector<std::string> FilesMapped(const startscope::v1::Startup& startup) {
  std::vector<std::string> files;
  for (const auto& object : startup.objects()) {
    if (object.inode() != 0 && !object.deleted()) AddResolved(object.path(), &files);
  }
  return files;
}

}  // namespace startscope
