// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>

#include <chrono>
#include <utility>

#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr int kMaxSendBytes = 64 << 20;
constexpr std::chrono::seconds kStopPatience{2};
// gRPC's name for the limit of a handshake; its headers export none.
constexpr char kHandshakeTimeout[] = "grpc.server_handshake_timeout_ms";
// Peers that vanished without a word, as over a network they do.
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
// Threads of short calls, beside one for each watch.
constexpr int kSpareThreads = 64;

std::shared_ptr<grpc::ServerCredentials> MutualTls(const TlsMaterial& material) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = material.client_authorities;
  options.pem_key_cert_pairs.push_back({material.key, material.certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const ServerOptions& options, ServerSockets sockets, Hub* hub, WatchController* controller,
    std::function<void()> on_last_connection) {
  // protobuf writes a line about each request that it cannot parse: whoever sends such would fill the log.
  google::protobuf::SetLogHandler(nullptr);
  std::unique_ptr<GrpcServer> self(new GrpcServer(hub));
  GrpcServer* const raw = self.get();
  self->service_ = std::make_unique<StartupServiceImpl>(options.service, hub, controller,
                                                        &self->peers_, &self->cgroups_);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(self->service_.get());
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(kMaxSendBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams);
  builder.AddChannelArgument(
      kHandshakeTimeout,
      static_cast<int>(absl::ToInt64Milliseconds(options.connections.handshake)));
  if (!sockets.served.valid()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(options.idle)));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  }
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(options.service.max_subscribers + kSpareThreads);
  builder.SetResourceQuota(quota);
  if (options.tls) {
    self->tls_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        MutualTls(*options.tls));
  }
  self->server_ = builder.BuildAndStart();
  if (self->server_ == nullptr) {
    return options.tls ? absl::InvalidArgumentError(
                             "the gRPC server could not be started: --tls-cert, --tls-key and "
                             "--tls-client-ca do not fit together or are no certificates")
                       : absl::InternalError("the gRPC server could not be started");
  }
  Acceptor::Handlers handlers;
  handlers.local = [raw](UniqueFd connection) {
    grpc::AddInsecureChannelFromFd(raw->server_.get(), connection.Release());
  };
  handlers.tls = [raw](UniqueFd connection) { raw->AddTls(std::move(connection)); };
  handlers.last_connection_gone = std::move(on_last_connection);
  self->acceptor_ = std::make_unique<Acceptor>(options.connections, options.admin_gid,
                                               &self->peers_, std::move(handlers));
  if (sockets.served.valid()) {
    SS_RETURN_IF_ERROR(self->acceptor_->AddServed(std::move(sockets.served)));
  }
  self->acceptor_->Start(std::move(sockets.local), std::move(sockets.tls));
  return self;
}

GrpcServer::~GrpcServer() {
  acceptor_.reset();  // first: it must not hand connections to a server that has shut down
  hub_->Close();
  if (server_) server_->Shutdown(std::chrono::system_clock::now() + kStopPatience);
}

void GrpcServer::AddTls(UniqueFd connection) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.fd = connection.Release();
  tls_->HandleNewConnection(&parameters);
}

}  // namespace startscope
