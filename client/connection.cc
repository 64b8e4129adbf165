// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/connection.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/render/text_sanitizer.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

// One startup with every fault as a timeline can be large; the daemon sends at most this much.
constexpr int kMaxMessageBytes = 64 << 20;
// What may be under way to us. With gRPC's default the daemon is told after every few startups that
// we have read them, and has to read that.
constexpr int kWindowBytes = 1 << 20;
constexpr absl::Duration kLastWordsTimeout = absl::Seconds(2);

struct ConnectError {
  int error_number = 0;
};

std::variant<UniqueFd, ConnectError> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ConnectError{errno};
  int result;
  do {
    result = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return ConnectError{errno};
  return fd;
}

std::shared_ptr<grpc::Channel> ChannelOver(UniqueFd fd) {
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // a Unix socket has no distance to measure
  return grpc::CreateCustomInsecureChannelFromFd("startscope", fd.Release(), arguments);
}

Failure NoDaemon(const std::string& path, int error_number, bool named, bool allow_private) {
  const bool is_root = geteuid() == 0;
  std::string remedy;
  switch (error_number) {
    case EACCES:
    case EPERM:
      remedy = "you may not use this socket: join its group (usually startscope), or run as root";
      break;
    case ENOENT:
    case ECONNREFUSED:
      remedy = "is startscoped running? start it with systemctl start startscoped";
      if (!named && !allow_private) remedy += "; a private daemon would know nothing of the past";
      if (!named && allow_private && !is_root) remedy += ", or run as root to get a private one";
      break;
    default:
      remedy = "check the address";
  }
  return {
      kExitNoDaemon,
      ErrnoStatus(error_number, absl::StrCat("no daemon at ", SanitizeText(path, true)), remedy)};
}

}  // namespace

absl::StatusOr<std::string> SocketPath(const std::string& address) {
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix://")) {
    if (!absl::StartsWith(path, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("address '", address, "': unix:// needs an absolute path (unix:///path)"));
    }
  } else if (!absl::ConsumePrefix(&path, "unix:") && !absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("address '", address, "': only Unix sockets are spoken (unix:///path)"));
  }
  if (path.empty() || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("address '", address,
                                                   "': the path must have 1 to ",
                                                   sizeof(sockaddr_un{}.sun_path) - 1, " bytes"));
  }
  return std::string(path);
}

std::string DaemonAddress(const std::string& given) {
  if (!given.empty()) return given;
  const char* environment = getenv("STARTSCOPE_ADDRESS");
  const bool set = environment != nullptr && environment[0] != '\0';
  return set ? environment : kDefaultAddress;
}

std::variant<std::unique_ptr<Connection>, Failure> Connection::Open(
    const ConnectionOptions& options) {
  const char* environment = getenv("STARTSCOPE_ADDRESS");
  const bool from_environment = environment != nullptr && environment[0] != '\0';
  const bool named = !options.address.empty() || from_environment;
  absl::StatusOr<std::string> path = SocketPath(DaemonAddress(options.address));
  if (!path.ok()) return Failure{kExitUsage, path.status()};

  auto connection = std::unique_ptr<Connection>(new Connection());
  auto connected = ConnectUnix(*path);
  if (auto* fd = std::get_if<UniqueFd>(&connected)) {
    connection->description_ = absl::StrCat("daemon at ", *path);
    connection->channel_ = ChannelOver(std::move(*fd));
  } else {
    const int error_number = std::get<ConnectError>(connected).error_number;
    const bool absent = error_number == ENOENT || error_number == ECONNREFUSED;
    if (named || geteuid() != 0 || !absent || !options.allow_private_daemon) {
      return NoDaemon(*path, error_number, named, options.allow_private_daemon);
    }
    absl::StatusOr<std::unique_ptr<PrivateDaemon>> daemon = PrivateDaemon::Start();
    if (!daemon.ok()) return Failure{kExitNoDaemon, daemon.status()};
    connection->description_ = "private daemon";
    connection->channel_ = ChannelOver((*daemon)->TakeConnection());
    connection->daemon_ = *std::move(daemon);
  }
  connection->stub_ = startscope::v1::StartupService::NewStub(connection->channel_);
  return connection;
}

Connection::~Connection() {
  stub_.reset();
  channel_.reset();
  if (daemon_ != nullptr) daemon_->Stop();
}

Failure Connection::Explain(const grpc::Status& status, bool mid_stream) {
  const std::string text = SanitizeText(status.error_message(), true);
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE: {
      std::string message = absl::StrCat(
          "the ", description_, mid_stream ? " went away in the middle of the stream" : " failed");
      if (daemon_ != nullptr) {
        const std::string words = daemon_->LastWords(kLastWordsTimeout);
        if (!words.empty()) {
          absl::StrAppend(&message, "; it said:\n", words);
        } else {
          absl::StrAppend(&message, " without a word (", text, ")");
        }
        return {kExitDaemonFailed, absl::UnavailableError(message)};
      }
      absl::StrAppend(&message, " (", text, "); see journalctl -u startscoped");
      return {mid_stream ? kExitConnectionLost : kExitNoDaemon, absl::UnavailableError(message)};
    }
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {kExitDaemonFailed, absl::DeadlineExceededError(absl::StrCat(
                                     "the ", description_, " did not answer in time"))};
    case grpc::StatusCode::NOT_FOUND:
      return {kExitNotFound, absl::NotFoundError(text)};
    case grpc::StatusCode::UNIMPLEMENTED:
      return {kExitDaemonFailed, absl::UnimplementedError(absl::StrCat("the ", description_,
                                                                       " cannot do this: ", text))};
    default:
      return {kExitDaemonFailed,
              absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                           absl::StrCat("the ", description_, " refused: ", text))};
  }
}

}  // namespace startscope
