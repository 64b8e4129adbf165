// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/peer_registry.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/text_escape.h"

namespace startscope {
namespace {

// The kernel's overflow user: owns nothing.
constexpr uint32_t kNobody = 65534;

}  // namespace

PeerRegistry::Key PeerRegistry::Set(int fd, const PeerIdentity& identity) {
  absl::MutexLock lock(&mutex_);
  const Key key{fd, next_serial_++};
  peers_[fd] = {identity, key.serial};
  return key;
}

void PeerRegistry::Remove(const Key& key) {
  absl::MutexLock lock(&mutex_);
  const auto found = peers_.find(key.fd);
  if (found != peers_.end() && found->second.serial == key.serial) peers_.erase(found);
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
  return found->second.identity;
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

absl::StatusOr<PeerIdentity> IdentifyTlsPeer(const std::vector<std::string>& alternative_names,
                                             const std::vector<std::string>& common_names,
                                             const std::vector<std::string>& admins) {
  const std::vector<std::string>& names =
      alternative_names.empty() ? common_names : alternative_names;
  for (const std::string& name : names) {
    if (std::find(admins.begin(), admins.end(), name) == admins.end()) continue;
    PeerIdentity identity;
    identity.uid = identity.gid = kNobody;
    identity.remote = true;
    identity.privileged = true;
    return identity;
  }
  return absl::PermissionDeniedError(
      absl::StrCat("the certificate of ", names.empty() ? "nobody" : EscapeToUtf8(names.front()),
                   " is valid but gives no access here (--tls-admin-name names those that do)"));
}

}  // namespace startscope
