// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_LAUNCH_SERVICE_H_
#define STARTSCOPE_DAEMON_INSPECT_LAUNCH_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace startscope {

inline constexpr size_t kMaxLaunchBytes = 64;

enum class LaunchTask : uint8_t {
  kStart,       // comes with the child's end of a socket; answered with its pidfd
  kKill,        // not answered
  kTakeStatus,  // waits for a child that has ended
  kForget,      // kills it, and sees to its status when there is one; not answered
};

struct LaunchOrder {
  LaunchTask task = LaunchTask::kStart;
  uint32_t pid = 0;
  uint64_t number = 0;  // of the order; its report has the same
};

struct LaunchReport {
  uint64_t number = 0;
  uint32_t pid = 0;     // 0: it failed
  uint32_t status = 0;  // as of wait(2), or the errno of what failed
};

std::vector<uint8_t> EncodeOrder(const LaunchOrder& order);
std::vector<uint8_t> EncodeReport(const LaunchReport& report);
std::optional<LaunchOrder> DecodeOrder(std::span<const uint8_t> bytes);
std::optional<LaunchReport> DecodeReport(std::span<const uint8_t> bytes);

// The launcher's side: starts, ends and waits for children until the other side closes `socket`. In a
// child, `child` runs with descriptor `socket` being what came with the order; its result is the exit
// status. Only its own children are ever killed. One thread, and none when called.
void ServeLaunches(int socket, const std::function<int()>& child);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_LAUNCH_SERVICE_H_
