// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_
#define STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"
#include "daemon/serve/startup_service.h"

namespace startscope {

struct ServerOptions {
  // Exactly one: a path to listen on, or a descriptor of one connection to serve.
  std::string listen_path;
  int serve_fd = -1;
  // Members see every user's processes; the socket belongs to it. Ignored when there is no such group.
  std::string admin_group = "startscope";
  int max_connections = 256;
  ServiceOptions service;
};

// The daemon's gRPC server: our service, grpc.health.v1 and reflection, on a Unix socket that we
// accept from ourselves, or on one connection that somebody handed us. Owns the socket and its
// accepting thread. No TCP.
class GrpcServer {
 public:
  // `on_last_connection`, if set: called from the accepting thread when the one connection of
  // serve_fd has closed.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const ServerOptions& options, Hub* hub, WatchController* controller,
      std::function<void()> on_last_connection);
  // Stops accepting, ends all streams within two seconds, removes the socket.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  [[nodiscard]] const CgroupResolver& cgroups() const { return *cgroups_; }

 private:
  GrpcServer() = default;
  absl::Status Listen(const std::string& path);
  void AcceptLoop();
  absl::Status AddConnection(UniqueFd connection);

  ServerOptions options_;
  Hub* hub_ = nullptr;
  std::function<void()> on_last_connection_;
  std::optional<uint32_t> admin_gid_;
  const CgroupResolver* cgroups_ = nullptr;
  std::unique_ptr<CgroupResolver> own_cgroups_;
  std::unique_ptr<PeerRegistry> peers_;
  std::unique_ptr<StartupServiceImpl> service_;
  std::unique_ptr<grpc::Server> server_;
  UniqueFd listener_;
  UniqueFd stop_;
  // Second descriptors of open connections, watched for their end.
  std::vector<UniqueFd> connections_;
  uint64_t socket_inode_ = 0;
  std::thread acceptor_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_GRPC_SERVER_H_
