// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/inspector_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"
#include "daemon/inspect/frame.h"

namespace startscope {
namespace {

// A process that has closed its socket is ending, one that was killed ends at once.
constexpr int kEndingMs = 200;
// Less of its time than one in this on a CPU, while it wanted one, is none of its doing.
constexpr uint64_t kStarvedShare = 4;

uint64_t CpuNs(int pid) {
  clockid_t clock = 0;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(used.tv_nsec);
}

bool IsKill(int signal) {
  return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP ||
         signal == SIGQUIT;
}

std::string HowItEnded(int status) {
  if (WIFEXITED(status)) return absl::StrCat("it gave up (exit ", WEXITSTATUS(status), ")");
  const int signal = WTERMSIG(status);
  if (signal == SIGSYS) return "it called what it must not (SIGSYS)";
  if (signal == SIGXCPU) return "it used up its CPU time (SIGXCPU)";
  const char* name = sigabbrev_np(signal);
  return absl::StrCat("it was ended by SIG", name != nullptr ? name : "?");
}

}  // namespace

absl::StatusOr<std::unique_ptr<InspectorProcess>> InspectorProcess::Start(Launcher* launcher,
                                                                          uint64_t deadline_ns) {
  SS_ASSIGN_OR_RETURN(SpawnedProcess spawned, launcher->Launch(deadline_ns));
  std::unique_ptr<InspectorProcess> self(new InspectorProcess(launcher, std::move(spawned)));
  absl::StatusOr<Frame> frame =
      ReceiveFrame(self->process_.socket.get(), kMaxHelloBytes, 0, deadline_ns);
  if (!frame.ok()) {
    return absl::UnavailableError(absl::StrCat(kInspectorName, ": did not start: ",
                                               self->End(frame.status()).how));
  }
  const std::optional<InspectorHello> hello = DecodeHello(frame->bytes);
  if (!hello || hello->protocol != kInspectorProtocol) {
    return absl::InternalError(
        absl::StrCat(kInspectorName, ": of another version; install the one that came with this "
                                     "startscoped"));
  }
  if (!hello->error.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(kInspectorName, ": no sandbox: ", hello->error));
  }
  self->sandbox_ = hello->sandbox;
  return self;
}

InspectorProcess::~InspectorProcess() {
  if (!reaped_) End(absl::CancelledError("no longer needed"));
}

bool InspectorProcess::HasEnded() const {
  pollfd polled = {process_.pidfd.get(), POLLIN, 0};
  return poll(&polled, 1, 0) > 0;
}

absl::StatusOr<InspectAnswer> InspectorProcess::Ask(const InspectQuery& query,
                                                    std::span<const int> files,
                                                    uint64_t deadline_ns) {
  asked_ns_ = MonotonicNs();
  cpu_ns_before_ = CpuNs(process_.pid);
  const int socket = process_.socket.get();
  SS_RETURN_IF_ERROR(SendFrame(socket, EncodeQuery(query), files, deadline_ns));
  SS_ASSIGN_OR_RETURN(const Frame frame, ReceiveFrame(socket, kMaxAnswerBytes, 0, deadline_ns));
  busy_ns_ += MonotonicNs() - asked_ns_;
  std::optional<InspectAnswer> answer = DecodeAnswer(frame.bytes);
  if (!answer || answer->number != query.number) {
    return absl::DataLossError("it answered with what is no answer");
  }
  return *std::move(answer);
}

bool InspectorProcess::Reap(int timeout_ms, InspectorEnd* end) {
  pollfd polled = {process_.pidfd.get(), POLLIN, 0};
  int ready = 0;
  while ((ready = poll(&polled, 1, timeout_ms)) < 0 && errno == EINTR) {
  }
  if (ready <= 0) return false;
  reaped_ = true;
  end->is_gone = true;
  const absl::StatusOr<int> status = launcher_->TakeStatus(process_.pid);
  if (!status.ok()) {
    end->how = absl::StrCat("it is gone, and so is what started it: ", status.status().message());
    end->blame = InspectorEnd::Blame::kOutside;
    return true;
  }
  end->how = HowItEnded(*status);
  end->blame = WIFSIGNALED(*status) && IsKill(WTERMSIG(*status)) ? InspectorEnd::Blame::kOutside
                                                                 : InspectorEnd::Blame::kItself;
  return true;
}

// Ready to run all the time, and hardly on a CPU.
bool InspectorProcess::IsStarved() const {
  std::ifstream file(absl::StrCat("/proc/", process_.pid, "/stat"));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(") ");
  const bool runnable = name_end != std::string::npos && text.substr(name_end + 2, 1) == "R";
  return runnable &&
         (CpuNs(process_.pid) - cpu_ns_before_) * kStarvedShare < MonotonicNs() - asked_ns_;
}

InspectorEnd InspectorProcess::End(const absl::Status& failure) {
  InspectorEnd end;
  if (absl::IsUnavailable(failure) && Reap(kEndingMs, &end)) return end;
  const bool too_slow = absl::IsDeadlineExceeded(failure);
  const bool starved = too_slow && IsStarved();
  launcher_->Kill(process_.pid);
  process_.socket.Reset();
  InspectorEnd ended;
  end.is_gone = Reap(kEndingMs, &ended);
  end.blame = starved    ? InspectorEnd::Blame::kStarved
              : too_slow ? InspectorEnd::Blame::kTooSlow
                         : InspectorEnd::Blame::kItself;
  end.how = too_slow ? "it did not answer in time" : std::string(failure.message());
  return end;
}

}  // namespace startscope
