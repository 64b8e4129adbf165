// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/daemon.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "daemon/base/errno_status.h"
#include "daemon/pipeline.h"

namespace startscope {
namespace {

// Serves a recording: nothing can be armed.
class ReplayController : public WatchController, public ImageProber {
 public:
  absl::StatusOr<ArmedWatch> Arm(const WatchSpec&) override {
    return absl::FailedPreconditionError(
        "this daemon serves a recording (--replay); use ListStartups and GetStartup");
  }
  void Disarm(WatchMask) override {}
  DaemonStatus Status() override { return {}; }
  void RequestImage(const ProbeRequest&) override {}
  bool RequestSymbols(const SymbolRequest&) override { return true; }
  void StopTracking(uint32_t, uint64_t) override {}
};

absl::Status Replay(const DaemonOptions& options, Hub* hub, ReplayController* controller) {
  SS_ASSIGN_OR_RETURN(const std::unique_ptr<ReplayEventSource> source,
                      ReplayEventSource::Open(options.replay_path));
  Pipeline pipeline(options.capture.model, hub, controller);
  while (source->Wait(0)) {
    source->Drain([&](const RawRecord& record) { pipeline.OnRecord(record); });
  }
  pipeline.Finish();
  return source->status();
}

void WaitForStop(int signal_fd, int stop_fd) {
  pollfd polled[] = {{signal_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

absl::Status RunDaemon(const DaemonOptions& options) {
  // Blocked before any thread exists, so that every thread inherits it.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const UniqueFd signals(signalfd(-1, &stop_signals, SFD_CLOEXEC));
  const UniqueFd stop(eventfd(0, EFD_CLOEXEC));

  const CgroupResolver cgroups;
  Hub hub(options.hub, &cgroups);
  ReplayController replay;
  std::unique_ptr<Capture> capture;
  WatchController* controller = &replay;
  if (options.replay_path.empty()) {
    SS_ASSIGN_OR_RETURN(capture, Capture::Start(options.capture, &hub));
    controller = capture.get();
  } else {
    SS_RETURN_IF_ERROR(Replay(options, &hub, &replay));
  }
  absl::StatusOr<std::unique_ptr<GrpcServer>> server =
      GrpcServer::Start(options.server, &hub, controller, [&] {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t ignored = write(stop.get(), &one, sizeof(one));
      });
  if (!server.ok()) return server.status();
  std::fprintf(stderr, "startscoped: ready\n");
  WaitForStop(signals.get(), stop.get());
  server->reset();
  capture.reset();
  return absl::OkStatus();
}

}  // namespace startscope
