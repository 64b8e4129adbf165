// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_
#define STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

// Who is behind each connection. gRPC C++ offers a service no Unix peer credentials, but names a
// connection that was handed to it as a descriptor "fd:N"; we accept connections ourselves, read
// the kernel's word on the peer, and look it up by that name. A descriptor number is reused only
// after its connection is closed, and its entry is replaced before the new connection is handed
// over. Any thread.
class PeerRegistry {
 public:
  // Names one entry: a later one of the same descriptor number is another.
  struct Key {
    int fd = -1;
    uint64_t serial = 0;
  };
  Key Set(int fd, const PeerIdentity& identity);
  void Remove(const Key& key);
  // `peer` as grpc::ServerContext::peer() gives it. nullopt: not a connection of ours.
  [[nodiscard]] std::optional<PeerIdentity> Find(const std::string& peer) const;

 private:
  mutable absl::Mutex mutex_;
  struct Entry {
    PeerIdentity identity;
    uint64_t serial = 0;
  };
  absl::flat_hash_map<int, Entry> peers_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_serial_ ABSL_GUARDED_BY(mutex_) = 1;
};

// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket. `admin_gid`: members see everything.
absl::StatusOr<PeerIdentity> ReadPeerIdentity(int fd, std::optional<uint32_t> admin_gid);

// Who is behind a TLS connection whose certificate was verified, by the names in it: its URI and
// DNS alternative names (a SPIFFE id is one), or, where it has none, its common name. One that is
// in `admins` may see everything, any other nothing: PermissionDenied. Nobody on the network is a
// local user: the identity has no process.
absl::StatusOr<PeerIdentity> IdentifyTlsPeer(const std::vector<std::string>& alternative_names,
                                             const std::vector<std::string>& common_names,
                                             const std::vector<std::string>& admins);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_PEER_REGISTRY_H_
