// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/peer_registry.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "daemon/base/errno_status.h"

namespace startscope {

void PeerRegistry::Set(int fd, const PeerIdentity& identity) {
  absl::MutexLock lock(&mutex_);
  peers_[fd] = identity;
}

std::optional<PeerIdentity> PeerRegistry::Find(const std::string& peer) const {
  constexpr char kPrefix[] = "fd:";
  int fd = -1;
  if (peer.rfind(kPrefix, 0) != 0 ||
      !absl::SimpleAtoi(absl::string_view(peer).substr(sizeof(kPrefix) - 1), &fd)) {
    return std::nullopt;
  }
  absl::MutexLock lock(&mutex_);
  const auto found = peers_.find(fd);
  if (found == peers_.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<PeerIdentity> ReadPeerIdentity(int fd, std::optional<uint32_t> admin_gid) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus(errno, "SO_PEERCRED of a client");
  }
  PeerIdentity identity;
  identity.pid = static_cast<uint32_t>(credentials.pid);
  identity.uid = credentials.uid;
  identity.gid = credentials.gid;
  identity.privileged = credentials.uid == 0;
  if (!admin_gid) return identity;
  std::vector<gid_t> groups(1024);
  size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
    groups.resize(size / sizeof(gid_t));
    groups.push_back(credentials.gid);
    if (std::find(groups.begin(), groups.end(), *admin_gid) != groups.end()) {
      identity.privileged = true;
    }
  }
  return identity;
}

}  // namespace startscope
