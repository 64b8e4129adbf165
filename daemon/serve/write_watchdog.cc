// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/write_watchdog.h"

#include <grpc/grpc.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace startscope {
namespace {

// How often blocked writes are looked for, in parts of the patience: a cut comes late by at most
// one.
constexpr int kChecks = 8;

}  // namespace

WriteWatchdog::WriteWatchdog(absl::Duration patience)
    : patience_(patience), thread_([this] { Loop(); }) {}

WriteWatchdog::~WriteWatchdog() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

WriteWatchdog::Write::Write(WriteWatchdog* watchdog, grpc_call* call)
    : watchdog_(watchdog), number_([&] {
        absl::MutexLock lock(&watchdog->mutex_);
        const uint64_t number = watchdog->next_number_++;
        watchdog->writes_[number] = {call, absl::Now() + watchdog->patience_};
        return number;
      }()) {}

WriteWatchdog::Write::~Write() {
  absl::MutexLock lock(&watchdog_->mutex_);
  watchdog_->writes_.erase(number_);
}

void WriteWatchdog::Loop() {
  const std::string message =
      absl::StrCat("the client took nothing for ", absl::FormatDuration(patience_),
                   " (--write-timeout): its watch is ended");
  absl::MutexLock lock(&mutex_);
  // With no write under way there is nothing to wake up for.
  const auto awake = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !writes_.empty();
  };
  while (true) {
    mutex_.Await(absl::Condition(&awake));
    if (stopping_) return;
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), patience_ / kChecks);
    if (stopping_) return;
    const absl::Time now = absl::Now();
    for (auto& [number, write] : writes_) {
      if (write.cut || write.deadline > now) continue;
      write.cut = true;
      ++cut_;
      // Under the lock, which the writer must take before its call can go.
      grpc_call_cancel_with_status(write.call, GRPC_STATUS_RESOURCE_EXHAUSTED, message.c_str(),
                                   nullptr);
    }
  }
}

}  // namespace startscope
