// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_FRAME_H_
#define STARTSCOPE_DAEMON_INSPECT_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

inline constexpr size_t kMaxFrameDescriptors = 8;

// A message on a stream socket: its length, its bytes and, with the first of them, descriptors.
struct Frame {
  std::vector<uint8_t> bytes;
  std::vector<UniqueFd> descriptors;
};

// CLOCK_MONOTONIC.
uint64_t MonotonicNs();

// Returns when something has come, or when the deadline (MonotonicNs) has passed.
absl::Status AwaitFrame(int socket, uint64_t deadline_ns);

// With a deadline (MonotonicNs) the calls give DeadlineExceeded when it has passed; without, they
// block. Unavailable: the other side is gone. DataLoss: what came is no frame, is larger than
// `max_bytes`, or carries more than `max_descriptors`.
absl::Status SendFrame(int socket, std::span<const uint8_t> bytes, std::span<const int> descriptors,
                       std::optional<uint64_t> deadline_ns);
absl::StatusOr<Frame> ReceiveFrame(int socket, size_t max_bytes, size_t max_descriptors,
                                   std::optional<uint64_t> deadline_ns);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_FRAME_H_
