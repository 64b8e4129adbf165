// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/patient_opener.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"
#include "daemon/inspect/frame.h"
#include "daemon/privilege/capabilities.h"

namespace startscope {
namespace {

// Times as many as may be stuck before files are picked: names can change under the choice.
constexpr size_t kMostStuck = 4;

// What opening takes, of what the daemon has.
absl::Status KeepRightsToOpen() {
  SS_ASSIGN_OR_RETURN(const ThreadCapabilities now, ReadCapabilities());
  CapabilitySet opens;
  for (const int one : {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SETUID, CAP_SETGID})
    opens.Add(one);
  return SetCapabilities({now.permitted & opens, now.effective & opens, CapabilitySet()});
}

bool HasEnded(const SpawnedProcess& process) {
  pollfd polled = {process.pidfd.get(), POLLIN, 0};
  return poll(&polled, 1, 0) > 0;
}

// What a worker answered; an error: it is of no use any more.
absl::StatusOr<Frame> Ask(const SpawnedProcess& worker, const OpenRequest& request,
                          uint64_t deadline_ns) {
  const bool has_root = request.root != nullptr && request.root->valid();
  const int root = has_root ? request.root->get() : -1;
  SS_RETURN_IF_ERROR(SendFrame(worker.socket.get(), EncodeOpen(request),
                               std::span<const int>(&root, has_root ? 1 : 0), deadline_ns));
  return ReceiveFrame(worker.socket.get(), kMaxOpenBytes, 1, deadline_ns);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> StartOpenerLauncher() {
  return Launcher::Fork("opener-start", [](int socket) {
    prctl(PR_SET_NAME, "opener", 0, 0, 0);
    close_range(socket + 1, ~0u, 0);
    if (!KeepRightsToOpen().ok()) return 1;
    ServeOpens(socket);
    return 0;
  });
}

PatientOpener::PatientOpener(Launcher* launcher, const PatientOpenerOptions& options)
    : launcher_(launcher), options_(options) {
  absl::StatusOr<SpawnedProcess> worker = launcher_->Launch(DeadlineNs());
  absl::MutexLock lock(&mutex_);
  if (worker.ok()) idle_.push_back(*std::move(worker));
}

void PatientOpener::ForgetEnded() {
  std::erase_if(stuck_, [this](const SpawnedProcess& one) {
    if (!HasEnded(one)) return false;
    launcher_->TakeStatus(one.pid).status().IgnoreError();
    return true;
  });
}

absl::StatusOr<SpawnedProcess> PatientOpener::TakeWorker(const OpenRequest& request) {
  ForgetEnded();
  const bool many = stuck_.size() >= options_.max_stuck;
  const bool far_too_many = stuck_.size() >= kMostStuck * options_.max_stuck;
  if (far_too_many || (many && !SurelyAnswers(request))) {
    return absl::ResourceExhaustedError(
        absl::StrCat(request.path, ": not opened: ", stuck_.size(),
                     " files before it never opened (a file system does not answer)"));
  }
  if (idle_.empty()) return launcher_->Launch(DeadlineNs());
  SpawnedProcess worker = std::move(idle_.back());
  idle_.pop_back();
  return worker;
}

absl::StatusOr<OpenedFile> PatientOpener::Open(const OpenRequest& request) {
  if (request.path.size() >= PATH_MAX) {
    return ErrnoStatus(ENAMETOOLONG, request.path.substr(0, PATH_MAX / 16));
  }
  {
    absl::MutexLock lock(&mutex_);
    const auto may_work = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return working_ < options_.max_working;
    };
    mutex_.Await(absl::Condition(&may_work));
    ++working_;
  }
  absl::StatusOr<OpenedFile> file = TryToOpen(request);
  // A worker that somebody else ended says nothing of the file.
  if (absl::IsAborted(file.status())) file = TryToOpen(request);
  absl::MutexLock lock(&mutex_);
  --working_;
  return file;
}

absl::StatusOr<OpenedFile> PatientOpener::TryToOpen(const OpenRequest& request) {
  absl::StatusOr<SpawnedProcess> worker = absl::UnknownError("");
  {
    absl::MutexLock lock(&mutex_);
    worker = TakeWorker(request);
  }
  if (!worker.ok()) return worker.status();
  absl::StatusOr<Frame> answer = Ask(*worker, request, DeadlineNs());
  if (!answer.ok()) {
    launcher_->Kill(worker->pid);
    absl::MutexLock lock(&mutex_);
    stuck_.push_back(*std::move(worker));
    if (!absl::IsDeadlineExceeded(answer.status())) {
      return absl::AbortedError(
          absl::StrCat(request.path, ": not opened: what was to open it ended"));
    }
    return absl::DeadlineExceededError(absl::StrCat(request.path, ": did not open within ",
                                                    absl::FormatDuration(options_.patience),
                                                    " (its file system does not answer)"));
  }
  {
    absl::MutexLock lock(&mutex_);
    idle_.push_back(*std::move(worker));
  }
  return DecodeOpened(answer->bytes, std::move(answer->descriptors));
}

uint64_t PatientOpener::DeadlineNs() const {
  return MonotonicNs() + static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_.patience));
}

}  // namespace startscope
