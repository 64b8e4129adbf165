// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_CALIBRATION_GATE_H_
#define STARTSCOPE_DAEMON_SERVE_CALIBRATION_GATE_H_

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace startscope {

// Lets one at a time measure what probes cost, and none again before some time is over: for as long as it
// takes, page faults of the whole machine are a little slower. Any thread.
class CalibrationGate {
 public:
  static constexpr absl::Duration kRest = absl::Seconds(10);

  // RESOURCE_EXHAUSTED: not now. Whoever is let in says when it leaves.
  absl::Status Enter(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    if (busy_) {
      return absl::ResourceExhaustedError(
          "calibrate: another is measuring what probes cost just now; its figures are in the status soon");
    }
    if (now < until_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "calibrate: measured less than ", absl::FormatDuration(kRest),
          " ago, and the figures are in the status; ask again in ",
          absl::FormatDuration(absl::Ceil(until_ - now, absl::Seconds(1)))));
    }
    busy_ = true;
    return absl::OkStatus();
  }
  void Leave(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    busy_ = false;
    until_ = now + kRest;
  }

 private:
  absl::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_CALIBRATION_GATE_H_
