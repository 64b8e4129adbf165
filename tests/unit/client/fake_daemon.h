// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_
#define STARTSCOPE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "daemon/base/unique_fd.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

using WatchWriter = grpc::ServerWriter<startscope::v1::WatchStartupsResponse>;

// A service that does what a test says. Hooks run on gRPC's threads; set them before any client.
class ScriptedService final : public startscope::v1::StartupService::Service {
 public:
  std::function<grpc::Status(grpc::ServerContext*, const startscope::v1::WatchStartupsRequest&,
                             WatchWriter*)>
      on_watch;
  std::function<grpc::Status(const startscope::v1::ListStartupsRequest&,
                             startscope::v1::ListStartupsResponse*)>
      on_list;
  std::function<grpc::Status(const std::string& id, startscope::v1::Startup*)> on_get;
  std::function<grpc::Status(startscope::v1::GetStatusResponse*)> on_status;

 private:
  grpc::Status WatchStartups(grpc::ServerContext* context,
                             const startscope::v1::WatchStartupsRequest* request,
                             WatchWriter* writer) override;
  grpc::Status ListStartups(grpc::ServerContext*,
                            const startscope::v1::ListStartupsRequest* request,
                            startscope::v1::ListStartupsResponse* response) override;
  grpc::Status GetStartup(grpc::ServerContext*, const startscope::v1::GetStartupRequest* request,
                          startscope::v1::Startup* startup) override;
  grpc::Status GetStatus(grpc::ServerContext*, const startscope::v1::GetStatusRequest*,
                         startscope::v1::GetStatusResponse* response) override;
};

// A gRPC server without a port, to which connected sockets are handed.
[[nodiscard]] std::unique_ptr<grpc::Server> ServeConnections(ScriptedService& service);
void AddConnection(grpc::Server& server, int fd);

// A scripted daemon on a Unix socket in a directory of its own.
class FakeDaemon {
 public:
  FakeDaemon();
  ~FakeDaemon();

  ScriptedService service;

  [[nodiscard]] std::string address() const { return "unix://" + directory_ + "/sock"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  // What a daemon that dies does to its clients.
  void CutConnections();

 private:
  void Accept();

  std::string directory_;
  UniqueFd listener_;
  std::unique_ptr<grpc::Server> server_;
  std::thread acceptor_;
  absl::Mutex mutex_;
  std::vector<UniqueFd> connections_ ABSL_GUARDED_BY(mutex_);
};

[[nodiscard]] startscope::v1::WatchStartupsResponse ArmedMessage();
[[nodiscard]] startscope::v1::WatchStartupsResponse FinishedMessage(
    startscope::v1::Startup startup);
// A startup that reached main, with two phases.
[[nodiscard]] startscope::v1::Startup SampleStartup(uint32_t pid, const std::string& executable);
// Returns when the client has ended its watch.
void WaitForCancel(WatchWriter* writer);
// The next line of a FIFO that the traced command writes to; waits for it.
[[nodiscard]] std::string ReadFifoLine(int fd);

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_
