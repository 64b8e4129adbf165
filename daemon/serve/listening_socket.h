// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_LISTENING_SOCKET_H_
#define STARTSCOPE_DAEMON_SERVE_LISTENING_SOCKET_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// A socket that clients connect to, open from its construction on; a Unix socket's file is removed
// with it. Opened before privileges are dropped; connections wait until somebody accepts.
// Move-only.
class ListeningSocket {
 public:
  // A socket file with its final mode, 0660, never wider, of `owner` (nullopt: ours) and `group`
  // (nullopt: the owner's). A file that a killed daemon left is replaced; one that somebody listens
  // on, or that is no socket, is AlreadyExists.
  static absl::StatusOr<ListeningSocket> OpenUnix(const std::string& path,
                                                  std::optional<uid_t> owner,
                                                  std::optional<gid_t> group);
  // "HOST:PORT" with a numeric address, IPv6 in brackets; port 0 is any free one.
  static absl::StatusOr<ListeningSocket> OpenTcp(const std::string& host_port);

  ListeningSocket() = default;
  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&& other) noexcept;
  ~ListeningSocket();

  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // What it really listens on: "unix:///path" or "tcp://HOST:PORT".
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  void RemoveFile();

  UniqueFd fd_;
  std::string address_;
  std::string path_;
  uint64_t inode_ = 0;
};

// The id of a group; nullopt when there is none of this name.
std::optional<gid_t> FindGroup(const std::string& name);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_LISTENING_SOCKET_H_
