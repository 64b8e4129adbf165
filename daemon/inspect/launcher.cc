// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/launcher.h"

#include <array>
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
  return std::unique_ptr<Launcher>(new Launcher(std::move(process)));
}

absl::StatusOr<Frame> Launcher::Exchange(const LaunchOrder& order, const UniqueFd& descriptor,
                                         uint64_t deadline_ns) {
  const int number = descriptor.get();
  const std::span<const int> descriptors(&number, descriptor.valid() ? 1 : 0);
  SS_RETURN_IF_ERROR(
      SendFrame(process_.socket.get(), EncodeOrder(order), descriptors, deadline_ns));
  return ReceiveFrame(process_.socket.get(), kMaxLaunchBytes, 1, deadline_ns);
}

absl::StatusOr<SpawnedProcess> Launcher::Launch(uint64_t deadline_ns) {
  std::pair<UniqueFd, UniqueFd> ends;
  SS_ASSIGN_OR_RETURN(ends, MakeSocketPair());
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<Frame> frame = Exchange({LaunchTask::kStart, 0}, ends.second, deadline_ns);
  if (!frame.ok()) {
    return absl::UnavailableError(
        absl::StrCat(kInspectorName, ": its launcher does not answer: ", frame.status().message(),
                     " (restart the daemon)"));
  }
  const std::optional<LaunchReport> report = DecodeReport(frame->bytes);
  if (!report) return absl::InternalError(absl::StrCat(kInspectorName, ": of another version"));
  if (report->pid == 0 || frame->descriptors.size() != 1) {
    return ErrnoStatus(static_cast<int>(report->status), kInspectorName, "it cannot be started");
  }
  SpawnedProcess child;
  child.pid = static_cast<int>(report->pid);
  child.pidfd = std::move(frame->descriptors[0]);
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
  SS_ASSIGN_OR_RETURN(const Frame frame,
                      Exchange({LaunchTask::kTakeStatus, static_cast<uint32_t>(pid)}, UniqueFd(),
                               MonotonicNs() + kStatusNs));
  const std::optional<LaunchReport> report = DecodeReport(frame.bytes);
  if (!report || report->pid != static_cast<uint32_t>(pid)) return absl::NotFoundError("it has not ended");
  return static_cast<int>(report->status);
}

}  // namespace startscope
