// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/process_now.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

// More than one timer tick at any usual rate: a thread that ran meanwhile was charged for it.
constexpr absl::Duration kRunCheck = absl::Milliseconds(20);
constexpr size_t kMaxProcFile = 4096;

// System calls that wait on an open file, and which argument it is.
struct FileArgument {
  absl::string_view call;
  size_t argument;
};
constexpr FileArgument kFileArguments[] = {
    {"read", 0},       {"pread64", 0},         {"readv", 0},     {"preadv", 0},
    {"preadv2", 0},    {"write", 0},           {"pwrite64", 0},  {"writev", 0},
    {"pwritev", 0},    {"pwritev2", 0},        {"fsync", 0},     {"fdatasync", 0},
    {"fallocate", 0},  {"ftruncate", 0},       {"flock", 0},     {"fcntl", 0},
    {"ioctl", 0},      {"getdents64", 0},      {"fstat", 0},     {"recvfrom", 0},
    {"recvmsg", 0},    {"recvmmsg", 0},        {"sendto", 0},    {"sendmsg", 0},
    {"sendmmsg", 0},   {"accept", 0},          {"accept4", 0},   {"connect", 0},
    {"epoll_wait", 0}, {"epoll_pwait", 0},     {"readahead", 0}, {"splice", 0},
    {"sendfile", 1},   {"copy_file_range", 0}, {"mmap", 4},
};

// Empty when it cannot be read.
std::string ReadAt(const UniqueFd& process, const char* name) {
  const UniqueFd file(openat(process.get(), name, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {};
  std::string text(kMaxProcFile, '\0');
  const ssize_t length = read(file.get(), text.data(), text.size());
  text.resize(length > 0 ? static_cast<size_t>(length) : 0);
  return text;
}

struct Stat {
  char state = 0;
  uint64_t start_ticks = 0;
};

// proc_pid_stat(5): the third field follows the last parenthesis, whatever the name is.
std::optional<Stat> ReadStat(const UniqueFd& process) {
  constexpr size_t kStart = 22 - 3;
  const std::string text = ReadAt(process, "stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(name_end + 1), ' ', absl::SkipEmpty());
  Stat stat;
  if (fields.size() <= kStart || fields[0].size() != 1) return std::nullopt;
  stat.state = fields[0][0];
  if (!absl::SimpleAtoi(fields[kStart], &stat.start_ticks)) return std::nullopt;
  return stat;
}

// Time that the main thread has run; nullopt where the kernel does not tell.
std::optional<uint64_t> RunTimeNs(const UniqueFd& process) {
  const std::string text = ReadAt(process, "schedstat");
  uint64_t ran_ns = 0;
  if (!absl::SimpleAtoi(absl::string_view(text).substr(0, text.find(' ')), &ran_ns)) {
    return std::nullopt;
  }
  return ran_ns;
}

StuckActivity ActivityOf(const UniqueFd& process, char state, bool may_wait) {
  switch (state) {
    case 'S':
    case 'I':
      return StuckActivity::kBlockedOther;
    case 'D':
      return StuckActivity::kBlockedIo;
    case 'T':
    case 't':
      return StuckActivity::kStopped;
    case 'R':
      break;
    default:
      return StuckActivity::kUnspecified;
  }
  const std::optional<uint64_t> before = may_wait ? RunTimeNs(process) : std::nullopt;
  if (!before) return StuckActivity::kUnspecified;
  absl::SleepFor(kRunCheck);
  const std::optional<uint64_t> after = RunTimeNs(process);
  if (!after) return StuckActivity::kUnspecified;
  return *after != *before ? StuckActivity::kRunning : StuckActivity::kRunnable;
}

// What a link in the process's fd directory shows; empty when it cannot be read.
std::string FileBehind(const UniqueFd& process, uint64_t descriptor) {
  std::array<char, kMaxProcFile> target;
  const ssize_t length = readlinkat(process.get(), absl::StrCat("fd/", descriptor).c_str(),
                                    target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<size_t>(length)) : std::string();
}

// proc_pid_syscall(5): the number and six arguments, -1 outside of a call, or "running".
void DescribeCall(const UniqueFd& process, StuckStartup* stuck) {
  const std::string text = ReadAt(process, "syscall");
  const std::vector<absl::string_view> fields = absl::StrSplit(text, ' ');
  uint32_t number = 0;
  if (fields.size() < 7 || !absl::SimpleAtoi(fields[0], &number)) return;
  stuck->system_call = SyscallName(number);
  for (const FileArgument& known : kFileArguments) {
    uint64_t descriptor = 0;
    if (known.call != stuck->system_call) continue;
    if (!absl::SimpleHexAtoi(fields[1 + known.argument], &descriptor)) return;
    if (descriptor > INT32_MAX) return;  // mmap of memory has -1
    stuck->file = FileBehind(process, descriptor);
  }
}

bool MayLookInto(const PeerIdentity& caller, const UniqueFd& process) {
  if (caller.privileged) return true;
  // Of a process that changed its user or is not dumpable, this directory is root's (proc(5)).
  struct stat status {};
  return fstatat(process.get(), "fd", &status, 0) == 0 && status.st_uid == caller.uid;
}

}  // namespace

void DescribeProcessNow(const PeerIdentity& caller, bool may_wait, StuckStartup* stuck) {
  // The directory stays that of this very process, even if the pid is given to another.
  const UniqueFd process(
      open(absl::StrCat("/proc/", stuck->process.pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process.valid()) return;
  const uint64_t ns_per_tick = 1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const std::optional<Stat> stat = ReadStat(process);
  if (!stat || stat->start_ticks != stuck->process.start_boottime_ns / ns_per_tick) return;
  stuck->activity = ActivityOf(process, stat->state, may_wait);
  if (!MayLookInto(caller, process)) return;
  // "0" is for none, and for kernels that do not tell.
  const std::string channel = ReadAt(process, "wchan");
  if (channel != "0") stuck->wait_channel = channel;
  if (!stuck->compat && stat->state != 'R') DescribeCall(process, stuck);
}

}  // namespace startscope
