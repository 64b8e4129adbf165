// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_
#define STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/unique_fd.h"
#include "daemon/serve/acceptor.h"
#include "daemon/serve/listening_socket.h"
#include "daemon/serve/startup_service.h"
#include "daemon/serve/tls_files.h"

namespace startscope {

// docs/tuning.md explains the limits; each is an option of startscoped.
struct ServerOptions {
  // Members see every user's processes. nullopt: there is no such group.
  std::optional<uint32_t> admin_gid;
  ConnectionLimits connections;
  int max_message_bytes = 1 << 20;  // of a request
  int max_streams = 64;             // calls at once on one connection
  // A connection without a call for so long is closed; gRPC clients reconnect by themselves. Not
  // for a connection that was handed to us.
  absl::Duration idle = absl::Minutes(10);
  std::optional<TlsMaterial> tls;  // what the TLS socket needs
  ServiceOptions service;
};

// Where connections come from. Each may be invalid.
struct ServerSockets {
  ListeningSocket local;
  ListeningSocket tls;
  UniqueFd served;  // one open connection
};

// The daemon's gRPC server: our service, grpc.health.v1 and reflection. gRPC listens on nothing
// itself: the Acceptor accepts, limits, and hands it open connections, those of the TLS socket to
// be shaken hands with by gRPC. Owns sockets, acceptor and service.
class GrpcServer {
 public:
  // `on_last_connection`, if set: called from the accepting thread when the one connection that we
  // were given has closed.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const ServerOptions& options, ServerSockets sockets, Hub* hub, WatchController* controller,
      std::function<void()> on_last_connection);
  // Stops accepting, ends all streams within two seconds, removes the socket.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  [[nodiscard]] AcceptorStats acceptor_stats() const { return acceptor_->stats(); }

 private:
  explicit GrpcServer(Hub* hub) : hub_(hub) {}
  void AddTls(UniqueFd connection);

  Hub* const hub_;
  CgroupResolver cgroups_;
  PeerRegistry peers_;
  std::unique_ptr<StartupServiceImpl> service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> tls_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_
