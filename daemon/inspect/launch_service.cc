// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/launch_service.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "daemon/decode/byte_archive.h"
#include "daemon/inspect/frame.h"

namespace startscope {

template <>
inline constexpr LaunchTask kLastValue<LaunchTask> = LaunchTask::kForget;

namespace {

// What a start is answered with, and the pidfd.
LaunchReport StartChild(int socket, int childs_socket, const std::function<int()>& child,
                        UniqueFd* pidfd) {
  const pid_t pid = fork();
  if (pid < 0) return {0, 0, static_cast<uint32_t>(errno)};
  if (pid == 0) {
    dup2(childs_socket, socket);
    _exit(child());
  }
  // Not waited for before it is asked for: the number is its own.
  pidfd->Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (pidfd->valid()) return {0, static_cast<uint32_t>(pid), 0};
  const uint32_t error = static_cast<uint32_t>(errno);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return {0, 0, error};
}

}  // namespace

std::vector<uint8_t> EncodeOrder(const LaunchOrder& order) {
  ByteWriter writer;
  writer(order.task);
  writer(order.pid);
  writer(order.number);
  return writer.Take();
}

std::vector<uint8_t> EncodeReport(const LaunchReport& report) {
  ByteWriter writer;
  writer(report.number);
  writer(report.pid);
  writer(report.status);
  return writer.Take();
}

std::optional<LaunchOrder> DecodeOrder(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  LaunchOrder order;
  reader(order.task);
  reader(order.pid);
  reader(order.number);
  if (!reader.complete()) return std::nullopt;
  return order;
}

std::optional<LaunchReport> DecodeReport(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  LaunchReport report;
  reader(report.number);
  reader(report.pid);
  reader(report.status);
  if (!reader.complete()) return std::nullopt;
  return report;
}

void ServeLaunches(int socket, const std::function<int()>& child) {
  std::set<uint32_t> children;
  std::set<uint32_t> forgotten;  // killed, and not gone yet
  while (true) {
    std::erase_if(forgotten, [](uint32_t pid) {
      return waitpid(static_cast<pid_t>(pid), nullptr, WNOHANG) != 0;
    });
    absl::StatusOr<Frame> frame = ReceiveFrame(socket, kMaxLaunchBytes, 1, std::nullopt);
    if (!frame.ok()) return;
    const std::optional<LaunchOrder> order = DecodeOrder(frame->bytes);
    if (!order) return;
    LaunchReport report;
    UniqueFd pidfd;
    if (order->task == LaunchTask::kStart) {
      if (frame->descriptors.size() != 1) return;
      report = StartChild(socket, frame->descriptors[0].get(), child, &pidfd);
      if (report.pid != 0) children.insert(report.pid);
    } else if (children.contains(order->pid)) {
      const pid_t pid = static_cast<pid_t>(order->pid);
      if (order->task == LaunchTask::kKill) {
        kill(pid, SIGKILL);
        continue;
      }
      if (order->task == LaunchTask::kForget) {
        kill(pid, SIGKILL);
        children.erase(order->pid);
        forgotten.insert(order->pid);
        continue;
      }
      int status = 0;
      if (waitpid(pid, &status, WNOHANG) == pid) {
        report = {0, order->pid, static_cast<uint32_t>(status)};
        children.erase(order->pid);
      }
    } else if (order->task != LaunchTask::kTakeStatus) {
      continue;
    }
    report.number = order->number;
    const int number = pidfd.get();
    const std::span<const int> descriptors(&number, pidfd.valid() ? 1 : 0);
    if (!SendFrame(socket, EncodeReport(report), descriptors, std::nullopt).ok()) return;
  }
}

}  // namespace startscope
