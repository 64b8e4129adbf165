// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_CONNECTION_H_
#define STARTSCOPE_CLIENT_CONNECTION_H_

#include <memory>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "client/exit_codes.h"
#include "client/private_daemon.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

inline constexpr char kDefaultAddress[] = "unix:///run/startscope/startscope.sock";

struct ConnectionOptions {
  // --address; empty: STARTSCOPE_ADDRESS, then kDefaultAddress.
  std::string address;
  // Root gets a daemon of its own when none was named and none is running.
  bool allow_private_daemon = true;
};

// A client's one connection to a daemon, its own private one perhaps. Made and destroyed by the
// main thread; the stub may be used by any. It does not reconnect.
class Connection {
 public:
  [[nodiscard]] static std::variant<std::unique_ptr<Connection>, Failure> Open(
      const ConnectionOptions& options);
  // Closes the connection, which ends a private daemon, and waits for that.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] startscope::v1::StartupService::Stub& stub() { return *stub_; }
  [[nodiscard]] bool is_private() const { return daemon_ != nullptr; }
  // Where the connection leads, for messages.
  [[nodiscard]] const std::string& description() const { return description_; }

  // What a failed call means to the user; `mid_stream` once the first answer has come. Asks a
  // private daemon that went away for its last words.
  [[nodiscard]] Failure Explain(const grpc::Status& status, bool mid_stream);

 private:
  Connection() = default;

  std::string description_;
  std::unique_ptr<PrivateDaemon> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<startscope::v1::StartupService::Stub> stub_;
};

// The address that is meant by --address `given`: itself, or STARTSCOPE_ADDRESS, or kDefaultAddress.
[[nodiscard]] std::string DaemonAddress(const std::string& given);

// The file system path of a `unix:PATH` or `unix:///PATH` address, or of a bare absolute path.
[[nodiscard]] absl::StatusOr<std::string> SocketPath(const std::string& address);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_CONNECTION_H_
