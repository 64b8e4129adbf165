// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_ACCEPTOR_H_
#define STARTSCOPE_DAEMON_SERVE_ACCEPTOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"
#include "daemon/serve/listening_socket.h"
#include "daemon/serve/peer_registry.h"

namespace startscope {

// docs/tuning.md explains them; each is an option of startscoped.
struct ConnectionLimits {
  // Unix connections at once, and those of one user who is neither root nor in the admin group.
  int max_connections = 256;
  int max_connections_per_user = 32;
  // TLS connections at once: the network cannot take the places of local clients.
  int max_tls_connections = 32;
  // From connecting to the HTTP/2 preface, or to the end of the TLS handshake.
  absl::Duration handshake = absl::Seconds(5);
};

struct AcceptorStats {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // beyond a limit
  uint64_t dropped = 0;  // spoke no HTTP/2, or not in time
};

// Accepts connections, decides who may stay, and hands those to gRPC. One thread of its own, which
// never blocks but in poll(2). Keeps a second descriptor of every connection, to see its end and to
// count it; what a refused client is told is an HTTP/2 GOAWAY with the reason.
class Acceptor {
 public:
  // Called on the acceptor's thread.
  struct Handlers {
    std::function<void(UniqueFd connection)> local;  // its identity is in the registry
    std::function<void(UniqueFd connection)> tls;    // gRPC still has to shake hands
    std::function<void()> last_connection_gone;      // only for a connection given to AddServed
  };

  Acceptor(const ConnectionLimits& limits, std::optional<uint32_t> admin_gid,
           PeerRegistry* registry, Handlers handlers);
  // Stops accepting. Connections stay with gRPC.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Before Start(): one connection that somebody opened for us. It counts against no limit, and
  // when it ends `last_connection_gone` is called.
  absl::Status AddServed(UniqueFd connection);
  // Either socket may be invalid: nothing comes from there.
  void Start(ListeningSocket local, ListeningSocket tls);

  [[nodiscard]] AcceptorStats stats() const;

 private:
  struct Connection {
    UniqueFd watched;  // a duplicate, once it is handed over; before, the connection itself
    bool tls = false;
    bool served = false;
    bool handed_over = false;
    bool partial = false;  // some of the preface is there
    PeerIdentity identity;
    PeerRegistry::Key key;
    absl::Time deadline = absl::InfiniteFuture();
  };

  void Loop();
  // False: nobody is waiting.
  bool AcceptFrom(const ListeningSocket& socket, bool tls);
  // Why a newcomer may not stay; empty: it may.
  [[nodiscard]] std::string ReasonToRefuse(bool tls, const PeerIdentity& identity) const;
  // Looks for the preface; false: the connection is of no use.
  bool Advance(Connection& connection);
  bool HandOver(Connection& connection);
  // Forgets a connection; closes it when it is still ours.
  void Remove(size_t index);
  [[nodiscard]] int PollTimeout() const;

  const ConnectionLimits limits_;
  const std::optional<uint32_t> admin_gid_;
  PeerRegistry* const registry_;
  const Handlers handlers_;
  ListeningSocket local_;
  ListeningSocket tls_;
  UniqueFd stop_;
  std::vector<Connection> connections_;
  int tls_count_ = 0;
  int local_count_ = 0;
  absl::flat_hash_map<uint32_t, int> by_user_;
  // Out of descriptors: nothing is accepted before this time.
  absl::Time paused_until_ = absl::InfinitePast();
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_ACCEPTOR_H_
