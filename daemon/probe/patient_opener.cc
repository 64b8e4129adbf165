// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/patient_opener.h"

#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace startscope {

struct PatientOpener::Stuck {
  std::atomic<size_t> count = 0;
};

// Shared by the thread and by whoever waits for it, because either may be there longer.
struct PatientOpener::Worker {
  absl::Mutex mutex;
  Call call ABSL_GUARDED_BY(mutex);
  std::optional<absl::StatusOr<OpenedFile>> result ABSL_GUARDED_BY(mutex);
  bool given_up ABSL_GUARDED_BY(mutex) = false;
  bool stop ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;
};

PatientOpener::PatientOpener(const PatientOpenerOptions& options)
    : options_(options), stuck_(std::make_shared<Stuck>()) {}

PatientOpener::~PatientOpener() {
  absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Worker>& worker : idle_) {
    {
      absl::MutexLock worker_lock(&worker->mutex);
      worker->stop = true;
    }
    worker->thread.join();
  }
}

void PatientOpener::Run(const std::shared_ptr<Worker>& worker,
                        const std::shared_ptr<Stuck>& stuck) {
  while (true) {
    Call call;
    {
      absl::MutexLock lock(&worker->mutex);
      const auto wanted = [&worker]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return worker->stop || worker->call;
      };
      worker->mutex.Await(absl::Condition(&wanted));
      if (worker->stop) return;
      call = std::exchange(worker->call, nullptr);
    }
    absl::StatusOr<OpenedFile> result = call();
    absl::MutexLock lock(&worker->mutex);
    if (worker->given_up) {
      --stuck->count;
      return;
    }
    worker->result = std::move(result);
  }
}

absl::StatusOr<OpenedFile> PatientOpener::Open(const std::string& path, Call call) {
  std::shared_ptr<Worker> worker;
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      worker = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!worker) {
    if (stuck_->count >= options_.max_stuck) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": not opened: ", options_.max_stuck,
                       " files before it never opened (a file system does not answer)"));
    }
    worker = std::make_shared<Worker>();
    worker->thread = std::thread([worker, stuck = stuck_] { Run(worker, stuck); });
  }
  std::optional<absl::StatusOr<OpenedFile>> result;
  {
    absl::MutexLock lock(&worker->mutex);
    worker->call = std::move(call);
    const auto done = [&worker]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return worker->result.has_value();
    };
    if (!worker->mutex.AwaitWithTimeout(absl::Condition(&done), options_.patience)) {
      worker->given_up = true;
      ++stuck_->count;
      worker->thread.detach();
      return absl::DeadlineExceededError(
          absl::StrCat(path, ": did not open within ", absl::FormatDuration(options_.patience),
                       " (its file system does not answer)"));
    }
    result = std::exchange(worker->result, std::nullopt);
  }
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(worker));
  return *std::move(result);
}

}  // namespace startscope
