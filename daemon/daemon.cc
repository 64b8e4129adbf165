// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/daemon.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "daemon/base/errno_status.h"
#include "daemon/collect/kernel_features.h"
#include "daemon/inspect/launcher.h"
#include "daemon/pipeline.h"
#include "daemon/privilege/privilege_drop.h"
#include "daemon/privilege/service_notifier.h"
#include "daemon/probe/patient_opener.h"

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
  absl::Status Calibrate() override {
    return absl::FailedPreconditionError(
        "calibrate: this daemon serves a recording (--replay) and has no probes");
  }
  bool RequestImage(const ProbeRequest&) override { return true; }
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

// Every connection takes two descriptors, every traced file one.
void RaiseDescriptorLimit() {
  constexpr rlim_t kWanted = 65536;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kWanted));
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Two threads do most of the work. With an arena for each of gRPC's, what is freed in one would stay
// there, out of the others' reach.
void LimitArenas() {
  constexpr int kArenas = 2;
  mallopt(M_ARENA_MAX, kArenas);
}

// The library is built with it, and gRPC takes several locks for each message.
void LeaveDeadlocksToTests() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

// Threads made from now on run before others'; kOrdinary: no longer. Without the right to, nothing
// changes.
enum class Urgency : int { kOrdinary = 0, kUrgent = -10 };

void SetUrgency(Urgency urgency) { setpriority(PRIO_PROCESS, 0, static_cast<int>(urgency)); }

// The kernel's records have the machine's process ids, which lead nowhere in another namespace.
void WarnOfPidNamespace() {
  constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;  // include/uapi/linux/nsfs.h
  struct stat status {};
  if (stat("/proc/self/ns/pid", &status) != 0 || status.st_ino == kInitialPidNamespace) return;
  std::fprintf(stderr,
               "startscoped: this is not the machine's own namespace of process ids: programs are told of, "
               "but their files are not found, and descendants cannot be watched (run with --pid=host, "
               "hostPID: true)\n");
}

// Everything that needs the privileges of the start: sockets and their owners, keys.
absl::StatusOr<ServerSockets> OpenSockets(const DaemonOptions& options,
                                          const std::optional<Account>& account,
                                          ServerOptions* server) {
  ServerSockets sockets;
  server->admin_gid = FindGroup(options.admin_group);
  if (options.serve_fd >= 0) {
    sockets.served.Reset(options.serve_fd);
    return sockets;
  }
  if (!options.listen_tcp.empty()) {
    absl::StatusOr<TlsMaterial> tls = ReadTlsFiles(options.tls);
    if (!tls.ok()) return tls.status();
    server->tls = *std::move(tls);
    SS_ASSIGN_OR_RETURN(sockets.tls, ListeningSocket::OpenTcp(options.listen_tcp));
  }
  if (!options.listen_path.empty()) {
    std::optional<uid_t> owner;
    std::optional<gid_t> group = server->admin_gid;
    if (account) {
      owner = account->uid;
      if (!group) group = account->gid;
    }
    SS_ASSIGN_OR_RETURN(sockets.local,
                        ListeningSocket::OpenUnix(options.listen_path, owner, group));
  }
  return sockets;
}

// From here on the process has what it needs to trace, and nothing else.
absl::StatusOr<PrivilegeReport> LockDown(const DaemonOptions& options,
                                         const KernelFeatures& features,
                                         const std::optional<Account>& account) {
  PrivilegePlan plan;
  plan.account = account;
  plan.traces = options.replay_path.empty();
  plan.perf_uprobes = plan.traces && !features.uprobe_multi;
  absl::StatusOr<PrivilegeReport> report = DropPrivileges(plan);
  if (!report.ok()) return report;
  SS_RETURN_IF_ERROR(InstallSyscallFilter(options.seccomp, /*keeps_root=*/report->uid == 0));
  report->seccomp = options.seccomp == FilterAction::kOff     ? "off"
                    : options.seccomp == FilterAction::kErrno ? "errno"
                                                              : "kill";
  return report;
}

// Waits for a signal or for `stop_fd`. Meanwhile the service manager's watchdog is petted, each
// time after the core thread has answered: a daemon whose core hangs is restarted.
void WaitForStop(int signal_fd, int stop_fd, Capture* capture, ServiceNotifier* notifier) {
  constexpr int kPetsPerTimeout = 4;
  const std::optional<absl::Duration> watchdog = notifier->watchdog();
  const int timeout_ms =
      watchdog ? std::max<int>(
                     1, static_cast<int>(absl::ToInt64Milliseconds(*watchdog)) / kPetsPerTimeout)
               : -1;
  pollfd polled[] = {{signal_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
  while (true) {
    const int ready = poll(polled, 2, timeout_ms);
    if (ready > 0) return;
    if (ready == 0 && (capture == nullptr || capture->CoreAnswers())) notifier->Alive();
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
  RaiseDescriptorLimit();
  LimitArenas();
  LeaveDeadlocksToTests();
  SS_ASSIGN_OR_RETURN(ServiceNotifier notifier, ServiceNotifier::FromEnvironment());
  const UniqueFd signals(signalfd(-1, &stop_signals, SFD_CLOEXEC));
  const UniqueFd stop(eventfd(0, EFD_CLOEXEC));

  std::optional<Account> account;
  if (!options.user.empty()) {
    SS_ASSIGN_OR_RETURN(account, FindAccount(options.user));
  }
  if (options.replay_path.empty()) {
    SS_ASSIGN_OR_RETURN(const ThreadCapabilities start, ReadCapabilities());
    SS_RETURN_IF_ERROR(CheckMayTrace(start.permitted));
    WarnOfPidNamespace();
  }
  ServerOptions server_options = options.server;
  SS_ASSIGN_OR_RETURN(ServerSockets sockets, OpenSockets(options, account, &server_options));
  // Before the privileges go, which its children need in order to have fewer still.
  std::unique_ptr<Launcher> inspectors;
  KernelFeatures features;
  if (options.replay_path.empty()) {
    features = ReadKernelFeatures();
    SS_ASSIGN_OR_RETURN(inspectors, Launcher::Start(InspectorPaths()));
  }
  // On a machine with more to do than it can, the ring must still be emptied before it is full.
  SetUrgency(Urgency::kUrgent);
  SS_ASSIGN_OR_RETURN(server_options.service.privileges, LockDown(options, features, account));
  // After them, whose children need no more, and before there are threads.
  std::unique_ptr<Launcher> openers;
  if (options.replay_path.empty()) {
    SS_ASSIGN_OR_RETURN(openers, StartOpenerLauncher());
  }

  const CgroupResolver cgroups;
  Hub hub(options.hub, &cgroups);
  ReplayController replay;
  std::unique_ptr<Capture> capture;
  WatchController* controller = &replay;
  if (options.replay_path.empty()) {
    SS_ASSIGN_OR_RETURN(capture, Capture::Start(options.capture, features, {inspectors.get(), openers.get()}, &hub));
    controller = capture.get();
  } else {
    SS_RETURN_IF_ERROR(Replay(options, &hub, &replay));
  }
  SetUrgency(Urgency::kOrdinary);  // clients can wait
  const std::string address = sockets.tls.address();
  absl::StatusOr<std::unique_ptr<GrpcServer>> server =
      GrpcServer::Start(server_options, std::move(sockets), &hub, controller, [&] {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t ignored = write(stop.get(), &one, sizeof(one));
      });
  if (!server.ok()) return server.status();
  if (!address.empty()) std::fprintf(stderr, "startscoped: listening on %s\n", address.c_str());
  std::fprintf(stderr, "startscoped: ready\n");
  notifier.Ready("serving; nothing is attached while nobody watches");
  WaitForStop(signals.get(), stop.get(), capture.get(), &notifier);
  notifier.Stopping();
  server->reset();
  capture.reset();
  return absl::OkStatus();
}

}  // namespace startscope
