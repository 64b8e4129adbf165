// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/grpc_server.h"

#include <fcntl.h>
#include <grp.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr int kMaxReceiveBytes = 1 << 20;
constexpr int kMaxSendBytes = 64 << 20;
constexpr int kBacklog = 128;
constexpr std::chrono::seconds kStopPatience{2};

std::optional<uint32_t> FindGroup(const std::string& name) {
  group entry{};
  group* found = nullptr;
  char buffer[4096];
  if (getgrnam_r(name.c_str(), &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "socket ", path, ": the path must have 1 to ", sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

// A socket file that nobody listens on is what a killed daemon left: it may be replaced.
absl::Status RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": exists and is not a socket (give another --listen path)"));
  }
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": a running daemon listens there (stop it, or give another --listen "
                           "path)"));
  }
  if (errno != ECONNREFUSED) return ErrnoStatus(errno, path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const ServerOptions& options, Hub* hub, WatchController* controller,
    std::function<void()> on_last_connection) {
  std::unique_ptr<GrpcServer> self(new GrpcServer);
  self->options_ = options;
  self->hub_ = hub;
  self->on_last_connection_ = std::move(on_last_connection);
  self->admin_gid_ = FindGroup(options.admin_group);
  self->own_cgroups_ = std::make_unique<CgroupResolver>();
  self->cgroups_ = self->own_cgroups_.get();
  self->peers_ = std::make_unique<PeerRegistry>();
  self->service_ = std::make_unique<StartupServiceImpl>(options.service, hub, controller,
                                                        self->peers_.get(), self->cgroups_);
  self->stop_.Reset(eventfd(0, EFD_CLOEXEC));
  if (!options.listen_path.empty()) SS_RETURN_IF_ERROR(self->Listen(options.listen_path));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(self->service_.get());
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.SetMaxSendMessageSize(kMaxSendBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64);
  self->server_ = builder.BuildAndStart();
  if (self->server_ == nullptr) return absl::InternalError("the gRPC server could not be started");
  if (options.serve_fd >= 0) {
    SS_RETURN_IF_ERROR(self->AddConnection(UniqueFd(options.serve_fd)));
  }
  self->acceptor_ = std::thread([raw = self.get()] { raw->AcceptLoop(); });
  return self;
}

GrpcServer::~GrpcServer() {
  if (acceptor_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = write(stop_.get(), &one, sizeof(one));
    acceptor_.join();
  }
  hub_->Close();
  if (server_) server_->Shutdown(std::chrono::system_clock::now() + kStopPatience);
  struct stat status{};
  if (socket_inode_ != 0 && lstat(options_.listen_path.c_str(), &status) == 0 &&
      status.st_ino == socket_inode_) {
    unlink(options_.listen_path.c_str());
  }
}

absl::Status GrpcServer::Listen(const std::string& path) {
  SS_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  SS_RETURN_IF_ERROR(RemoveStaleSocket(path, address));
  listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return ErrnoStatus(errno, "socket(AF_UNIX)");
  // bind() creates the file with the mode that the mask leaves: it is never wider than 0660.
  const mode_t old_mask = umask(0117);
  const int bound =
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(old_mask);
  if (bound != 0) {
    return ErrnoStatus(error, absl::StrCat("binding ", path),
                       error == ENOENT ? "its directory must exist" : "");
  }
  struct stat status{};
  if (lstat(path.c_str(), &status) == 0) socket_inode_ = status.st_ino;
  if (admin_gid_ && chown(path.c_str(), static_cast<uid_t>(-1), *admin_gid_) != 0) {
    return ErrnoStatus(errno, absl::StrCat("giving ", path, " to group ", options_.admin_group));
  }
  if (listen(listener_.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listening on ", path));
  }
  return absl::OkStatus();
}

absl::Status GrpcServer::AddConnection(UniqueFd connection) {
  absl::StatusOr<PeerIdentity> identity = ReadPeerIdentity(connection.get(), admin_gid_);
  if (!identity.ok()) return identity.status();
  const int flags = fcntl(connection.get(), F_GETFL);
  fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK);
  fcntl(connection.get(), F_SETFD, FD_CLOEXEC);
  UniqueFd watched(fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!watched.valid()) return ErrnoStatus(errno, "duplicating a connection");
  connections_.push_back(std::move(watched));
  peers_->Set(connection.get(), *identity);
  grpc::AddInsecureChannelFromFd(server_.get(), connection.Release());
  return absl::OkStatus();
}

void GrpcServer::AcceptLoop() {
  while (true) {
    std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
    const bool full = static_cast<int>(connections_.size()) >= options_.max_connections;
    polled.push_back({listener_.valid() && !full ? listener_.get() : -1, POLLIN, 0});
    for (const UniqueFd& connection : connections_) {
      polled.push_back({connection.get(), POLLRDHUP, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    for (size_t i = polled.size(); i-- > 2;) {
      if (polled[i].revents == 0) continue;
      connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i - 2));
      if (!listener_.valid() && on_last_connection_) {
        on_last_connection_();
        return;
      }
    }
    if ((polled[1].revents & POLLIN) == 0) continue;
    UniqueFd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    // A client whose identity the kernel will not tell is not served; its connection just closes.
    if (accepted.valid()) AddConnection(std::move(accepted)).IgnoreError();
  }
}

}  // namespace startscope
