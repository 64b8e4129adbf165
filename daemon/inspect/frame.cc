// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/frame.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr uint32_t kMagic = 0x73735049;

struct FrameHeader {
  uint32_t magic = kMagic;
  uint32_t bytes = 0;
};

// Returns when the socket may do what is wanted. Without a deadline nothing is waited for: the
// socket's own calls block.
absl::Status AwaitReady(int socket, short events, std::optional<uint64_t> deadline_ns) {
  if (!deadline_ns) return absl::OkStatus();
  while (true) {
    const uint64_t now = MonotonicNs();
    if (now >= *deadline_ns) return absl::DeadlineExceededError("no answer in time");
    const uint64_t left_ns = *deadline_ns - now;
    const timespec left = {static_cast<time_t>(left_ns / 1'000'000'000),
                           static_cast<long>(left_ns % 1'000'000'000)};
    pollfd polled = {socket, events, 0};
    const int ready = ppoll(&polled, 1, &left, nullptr);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "poll");
  }
}

absl::Status GoneOr(int error_number, const char* call) {
  if (error_number == EPIPE || error_number == ECONNRESET) {
    return absl::UnavailableError("the other side is gone");
  }
  return ErrnoStatus(error_number, call);
}

absl::Status SendPart(int socket, std::span<const uint8_t>* bytes, std::span<const int> descriptors,
                      std::optional<uint64_t> deadline_ns) {
  iovec part = {const_cast<uint8_t*>(bytes->data()), bytes->size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMaxFrameDescriptors * sizeof(int))> control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (deadline_ns ? MSG_DONTWAIT : 0);
  const ssize_t sent = sendmsg(socket, &message, flags);
  if (sent >= 0) {
    *bytes = bytes->subspan(static_cast<size_t>(sent));
    return absl::OkStatus();
  }
  if (errno == EINTR || errno == EAGAIN) return absl::OkStatus();
  return GoneOr(errno, "sendmsg");
}

absl::Status SendAll(int socket, std::span<const uint8_t> bytes, std::span<const int> descriptors,
                     std::optional<uint64_t> deadline_ns) {
  while (!bytes.empty()) {
    absl::Status status = AwaitReady(socket, POLLOUT, deadline_ns);
    const size_t before = bytes.size();
    if (status.ok()) status = SendPart(socket, &bytes, descriptors, deadline_ns);
    if (!status.ok()) return status;
    if (bytes.size() != before) descriptors = {};
  }
  return absl::OkStatus();
}

absl::Status TakeDescriptors(msghdr* message, size_t max_descriptors,
                             std::vector<UniqueFd>* descriptors) {
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
      descriptors->emplace_back(fd);
    }
  }
  if (descriptors->size() > max_descriptors || (message->msg_flags & MSG_CTRUNC) != 0) {
    return absl::DataLossError("more descriptors than there may be");
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(int socket, std::span<uint8_t> bytes, size_t max_descriptors,
                        std::vector<UniqueFd>* descriptors, std::optional<uint64_t> deadline_ns) {
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMaxFrameDescriptors * sizeof(int))> control;
  while (!bytes.empty()) {
    absl::Status status = AwaitReady(socket, POLLIN, deadline_ns);
    if (!status.ok()) return status;
    iovec part = {bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (max_descriptors > 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
    }
    const int flags = MSG_CMSG_CLOEXEC | (deadline_ns ? MSG_DONTWAIT : 0);
    const ssize_t got = recvmsg(socket, &message, flags);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return GoneOr(errno, "recvmsg");
    status = TakeDescriptors(&message, max_descriptors, descriptors);
    if (!status.ok()) return status;
    if (got == 0) return absl::UnavailableError("the other side is gone");
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

absl::Status AwaitFrame(int socket, uint64_t deadline_ns) {
  return AwaitReady(socket, POLLIN, deadline_ns);
}

absl::Status SendFrame(int socket, std::span<const uint8_t> bytes, std::span<const int> descriptors,
                       std::optional<uint64_t> deadline_ns) {
  if (descriptors.size() > kMaxFrameDescriptors) {
    return absl::InvalidArgumentError("more descriptors than a frame takes");
  }
  const FrameHeader header = {kMagic, static_cast<uint32_t>(bytes.size())};
  std::vector<uint8_t> whole(sizeof(header) + bytes.size());
  std::memcpy(whole.data(), &header, sizeof(header));
  std::copy(bytes.begin(), bytes.end(), whole.begin() + sizeof(header));
  return SendAll(socket, whole, descriptors, deadline_ns);
}

absl::StatusOr<Frame> ReceiveFrame(int socket, size_t max_bytes, size_t max_descriptors,
                                   std::optional<uint64_t> deadline_ns) {
  Frame frame;
  FrameHeader header;
  std::array<uint8_t, sizeof(header)> raw;
  SS_RETURN_IF_ERROR(ReceiveAll(socket, raw, max_descriptors, &frame.descriptors, deadline_ns));
  std::memcpy(&header, raw.data(), sizeof(header));
  if (header.magic != kMagic || header.bytes > max_bytes) {
    return absl::DataLossError(absl::StrCat("no frame, or one of ", header.bytes, " bytes"));
  }
  frame.bytes.resize(header.bytes);
  std::vector<UniqueFd> none;  // they come with the first byte
  SS_RETURN_IF_ERROR(ReceiveAll(socket, frame.bytes, 0, &none, deadline_ns));
  return frame;
}

}  // namespace startscope
