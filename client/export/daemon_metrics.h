// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_DAEMON_METRICS_H_
#define STARTSCOPE_CLIENT_EXPORT_DAEMON_METRICS_H_

#include <prometheus/collectable.h>

#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What the daemon last said of itself. A scrape never asks it: the daemon's pace is not the
// scrape's. Any thread.
class DaemonMetrics : public prometheus::Collectable {
 public:
  void Update(startscope::v1::GetStatusResponse status);
  // There is no daemon: its figures are left out until there is.
  void Clear();

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  mutable absl::Mutex mutex_;
  std::optional<startscope::v1::GetStatusResponse> status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_DAEMON_METRICS_H_
