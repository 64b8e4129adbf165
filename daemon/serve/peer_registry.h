// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_
#define STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

// Who is behind each connection. gRPC C++ offers a service no Unix peer credentials, but names a
// connection that was handed to it as a descriptor "fd:N"; we accept connections ourselves, read the
// kernel's word on the peer, and look it up by that name. A descriptor number is reused only after
// its connection is closed, and its entry is replaced before the new connection is handed over. Any
// thread.
class PeerRegistry {
 public:
  void Set(int fd, const PeerIdentity& identity);
  // `peer` as grpc::ServerContext::peer() gives it. nullopt: not a connection of ours.
  [[nodiscard]] std::optional<PeerIdentity> Find(const std::string& peer) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<int, PeerIdentity> peers_ ABSL_GUARDED_BY(mutex_);
};

// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket. `admin_gid`: members see everything.
absl::StatusOr<PeerIdentity> ReadPeerIdentity(int fd, std::optional<uint32_t> admin_gid);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_
