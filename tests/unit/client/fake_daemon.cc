// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "tests/unit/client/fake_daemon.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/time/clock.h"
#include "tests/unit/client/client_program.h"

namespace startscope {
namespace {

using startscope::v1::Startup;
using startscope::v1::WatchStartupsResponse;

struct OrderedHook {
  OrderedHook() { OrderAroundClient(); }
  ~OrderedHook() { OrderAroundClient(); }
};

grpc::Status NotScripted() { return {grpc::StatusCode::INTERNAL, "not scripted"}; }

}  // namespace

grpc::Status ScriptedService::WatchStartups(grpc::ServerContext* context,
                                            const startscope::v1::WatchStartupsRequest* request,
                                            WatchWriter* writer) {
  const OrderedHook ordered;
  return on_watch ? on_watch(context, *request, writer) : NotScripted();
}

grpc::Status ScriptedService::ListStartups(grpc::ServerContext*,
                                           const startscope::v1::ListStartupsRequest* request,
                                           startscope::v1::ListStartupsResponse* response) {
  const OrderedHook ordered;
  return on_list ? on_list(*request, response) : NotScripted();
}

grpc::Status ScriptedService::GetStartup(grpc::ServerContext*,
                                         const startscope::v1::GetStartupRequest* request,
                                         Startup* startup) {
  const OrderedHook ordered;
  return on_get ? on_get(request->startup_id(), startup) : NotScripted();
}

grpc::Status ScriptedService::GetStatus(grpc::ServerContext*,
                                        const startscope::v1::GetStatusRequest*,
                                        startscope::v1::GetStatusResponse* response) {
  const OrderedHook ordered;
  return on_status ? on_status(response) : NotScripted();
}

std::unique_ptr<grpc::Server> ServeConnections(ScriptedService& service) {
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

void AddConnection(grpc::Server& server, int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  grpc::AddInsecureChannelFromFd(&server, fd);
}

FakeDaemon::FakeDaemon() {
  std::string pattern = std::string(P_tmpdir) + "/startscope-fake-XXXXXX";
  directory_ = mkdtemp(pattern.data());
  server_ = ServeConnections(service);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (directory_ + "/sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
  listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  listen(listener_.get(), 16);
  acceptor_ = std::thread([this] { Accept(); });
}

void FakeDaemon::Accept() {
  while (true) {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    absl::MutexLock lock(&mutex_);
    connections_.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    AddConnection(*server_, fd);
  }
}

void FakeDaemon::CutConnections() {
  absl::MutexLock lock(&mutex_);
  for (const UniqueFd& connection : connections_) shutdown(connection.get(), SHUT_RDWR);
}

FakeDaemon::~FakeDaemon() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  std::filesystem::remove_all(directory_);
}

WatchStartupsResponse ArmedMessage() {
  WatchStartupsResponse message;
  message.mutable_armed()->set_daemon_version("test");
  return message;
}

WatchStartupsResponse FinishedMessage(Startup startup) {
  WatchStartupsResponse message;
  *message.mutable_startup_finished() = std::move(startup);
  return message;
}

Startup SampleStartup(uint32_t pid, const std::string& executable) {
  Startup startup;
  startup.set_startup_id(std::to_string(pid) + "-5000-1");
  startup.mutable_process()->set_pid(pid);
  startup.mutable_process()->set_executable(executable);
  startup.mutable_exec_time()->set_seconds(1'790'000'000);
  startup.set_outcome(startscope::v1::OUTCOME_REACHED);
  startup.set_total_ns(300'000);
  auto* kernel = startup.add_phases();
  kernel->set_phase(startscope::v1::PHASE_KERNEL_EXEC);
  kernel->set_duration_ns(100'000);
  auto* loader = startup.add_phases();
  loader->set_phase(startscope::v1::PHASE_LOADER_BOOTSTRAP);
  loader->set_offset_ns(100'000);
  loader->set_duration_ns(200'000);
  auto* milestone = startup.add_milestones();
  milestone->set_kind(startscope::v1::MILESTONE_KIND_MAIN);
  milestone->set_offset_ns(300'000);
  return startup;
}

void WaitForCancel(WatchWriter* writer) {
  WatchStartupsResponse heartbeat;
  heartbeat.mutable_heartbeat();
  // Writing is how a synchronous service learns that its client has gone; the pace only spares CPU.
  while (writer->Write(heartbeat)) absl::SleepFor(absl::Milliseconds(5));
}

std::string ReadFifoLine(int fd) {
  std::string line;
  char c = 0;
  while (read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace startscope
