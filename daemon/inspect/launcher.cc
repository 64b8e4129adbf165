// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr uint64_t kStatusNs = 1'000'000'000;

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> Launcher::Start(const std::vector<std::string>& paths) {
  UniqueFd program;
  SS_ASSIGN_OR_RETURN(program, OpenInspectorProgram(paths));
  SS_ASSIGN_OR_RETURN(SpawnedProcess process, SpawnProgram(program.get()));
  return std::unique_ptr<Launcher>(new Launcher(kInspectorName, std::move(process)));
}

absl::StatusOr<std::unique_ptr<Launcher>> Launcher::Fork(const char* name,
                                                         const std::function<int(int)>& child) {
  std::pair<UniqueFd, UniqueFd> ends;
  SS_ASSIGN_OR_RETURN(ends, MakeSocketPair());
  SpawnedProcess process;
  process.pid = fork();
  if (process.pid < 0) return ErrnoStatus(errno, name, "it cannot be started");
  if (process.pid == 0) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
    dup2(ends.second.get(), kInspectorSocket);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) dup2(nothing, fd);
    close_range(kInspectorSocket + 1, ~0u, 0);
    // A terminal's signals are for the daemon.
    setsid();
    ServeLaunches(kInspectorSocket, [&child] { return child(kInspectorSocket); });
    _exit(0);
  }
  process.pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  process.socket = std::move(ends.first);
  return std::unique_ptr<Launcher>(new Launcher(name, std::move(process)));
}

absl::StatusOr<Launcher::Answer> Launcher::Exchange(LaunchOrder order, const UniqueFd& descriptor,
                                                    uint64_t deadline_ns) {
  const int socket = process_.socket.get();
  const int number = descriptor.get();
  const std::span<const int> descriptors(&number, descriptor.valid() ? 1 : 0);
  order.number = ++last_number_;
  SS_RETURN_IF_ERROR(SendFrame(socket, EncodeOrder(order), descriptors, deadline_ns));
  while (true) {
    // A report is sent in one piece: once some of it is there, all is.
    SS_RETURN_IF_ERROR(AwaitFrame(socket, deadline_ns));
    SS_ASSIGN_OR_RETURN(Frame frame, ReceiveFrame(socket, kMaxLaunchBytes, 1, std::nullopt));
    const std::optional<LaunchReport> report = DecodeReport(frame.bytes);
    if (!report) return absl::InternalError("of another version");
    Answer answer = {*report, UniqueFd()};
    if (!frame.descriptors.empty()) answer.descriptor = std::move(frame.descriptors[0]);
    if (report->number == order.number) return answer;
    // A child for which nobody waits any more.
    if (answer.descriptor.valid()) {
      SS_RETURN_IF_ERROR(SendFrame(socket, EncodeOrder({LaunchTask::kForget, report->pid}), {}, deadline_ns));
    }
  }
}

absl::StatusOr<SpawnedProcess> Launcher::Launch(uint64_t deadline_ns) {
  std::pair<UniqueFd, UniqueFd> ends;
  SS_ASSIGN_OR_RETURN(ends, MakeSocketPair());
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<Answer> answer = Exchange({LaunchTask::kStart, 0}, ends.second, deadline_ns);
  if (!answer.ok()) {
    return absl::UnavailableError(
        absl::StrCat(name_, ": its launcher does not answer: ", answer.status().message(),
                     " (restart the daemon if it stays so)"));
  }
  if (answer->report.pid == 0 || !answer->descriptor.valid()) {
    const int error = answer->report.status != 0 ? static_cast<int>(answer->report.status) : EPROTO;
    return ErrnoStatus(error, name_, "it cannot be started");
  }
  SpawnedProcess child;
  child.pid = static_cast<int>(answer->report.pid);
  child.pidfd = std::move(answer->descriptor);
  child.socket = std::move(ends.first);
  return child;
}

void Launcher::Kill(int pid) {
  absl::MutexLock lock(&mutex_);
  SendFrame(process_.socket.get(), EncodeOrder({LaunchTask::kKill, static_cast<uint32_t>(pid)}), {},
            MonotonicNs() + kStatusNs)
      .IgnoreError();
}

absl::StatusOr<int> Launcher::TakeStatus(int pid) {
  absl::MutexLock lock(&mutex_);
  SS_ASSIGN_OR_RETURN(const Answer answer,
                      Exchange({LaunchTask::kTakeStatus, static_cast<uint32_t>(pid)}, UniqueFd(),
                               MonotonicNs() + kStatusNs));
  if (answer.report.pid != static_cast<uint32_t>(pid)) return absl::NotFoundError("it has not ended");
  return static_cast<int>(answer.report.status);
}

}  // namespace startscope
