// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Stands for startscoped as a private daemon in the client's tests: serves descriptor 3 until that
// connection closes. Its environment says what it does:
//   FAKE_DAEMON_FAIL=TEXT    writes TEXT to stderr and exits at once
//   FAKE_DAEMON_DIE=1        ends as soon as a watch is armed
//   FAKE_DAEMON_STUBBORN=1   ignores the end of its connection, and ends on SIGTERM only
//   FAKE_DAEMON_MARK=FILE    creates FILE when it ends in good order

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tests/unit/client/fake_daemon.h"

namespace {

constexpr int kServedFd = 3;

void Mark() {
  if (const char* mark = getenv("FAKE_DAEMON_MARK")) std::ofstream(mark) << "ended\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || strcmp(argv[1], "--serve-fd=3") != 0) return 2;
  if (const char* text = getenv("FAKE_DAEMON_FAIL")) {
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &terminate, nullptr);

  startscope::ScriptedService service;
  service.on_watch = [](grpc::ServerContext* context,
                        const startscope::v1::WatchStartupsRequest& request,
                        startscope::WatchWriter* writer) {
    writer->Write(startscope::ArmedMessage());
    if (getenv("FAKE_DAEMON_DIE") != nullptr) _exit(9);
    if (request.allow_size() > 0) {
      auto startup = startscope::SampleStartup(request.allow(0).pid(0), "/bin/private");
      startup.set_outcome(startscope::v1::OUTCOME_EXITED);
      writer->Write(startscope::FinishedMessage(startup));
    }
    startscope::WaitForCancel(writer);
    return grpc::Status::OK;
  };
  service.on_status = [](startscope::v1::GetStatusResponse* response) {
    response->set_version("private-test");
    return grpc::Status::OK;
  };
  const auto server = startscope::ServeConnections(service);
  // gRPC owns its descriptor; ours only tells when the peer has gone.
  const int watched = fcntl(kServedFd, F_DUPFD_CLOEXEC, 10);
  startscope::AddConnection(*server, kServedFd);
  if (getenv("FAKE_DAEMON_STUBBORN") != nullptr) {
    int number = 0;
    sigwait(&terminate, &number);
    Mark();
    _exit(0);
  }
  pollfd entry{.fd = watched, .events = POLLRDHUP, .revents = 0};
  while (poll(&entry, 1, -1) < 0) {
  }
  Mark();
  _exit(0);
}
