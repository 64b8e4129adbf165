// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_STARTUP_METRICS_H_
#define STARTSCOPE_CLIENT_EXPORT_STARTUP_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

#include "client/export/labelled_family.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// Exponential bounds in seconds: `first`, then each `factor` times the one before.
[[nodiscard]] prometheus::Histogram::BucketBoundaries ExponentialBuckets(double first,
                                                                         double factor, int count);
// Of whole startups, 50 µs to 26 s; and of what there are many of on each machine.
[[nodiscard]] prometheus::Histogram::BucketBoundaries StartupBuckets();
[[nodiscard]] prometheus::Histogram::BucketBoundaries PhaseBuckets();

// What a watch tells, added up in metrics whose labels have few values, all known beforehand: at
// most some 600 series whatever the machine does. The registry outlives it. One thread feeds it;
// others may collect the registry meanwhile.
class StartupMetrics {
 public:
  StartupMetrics(prometheus::Registry& registry, const std::string& version);

  void Observe(const startscope::v1::Startup& startup);
  // Anything else that a watch brings.
  void Observe(const startscope::v1::WatchStartupsResponse& message);
  void SetDaemonUp(bool up);
  void OnReconnect();

 private:
  using Counters = LabelledFamily<prometheus::Counter>;
  using Histograms = LabelledFamily<prometheus::Histogram, prometheus::Histogram::BucketBoundaries>;

  Histograms duration_;
  Histograms phase_duration_;
  Counters startups_;
  Counters temperatures_;
  Counters faults_;
  Counters time_by_reason_;
  Counters object_faults_;
  Counters degraded_;
  Counters lost_;
  prometheus::Counter& stuck_;
  prometheus::Counter& throttled_;
  Counters gaps_;
  prometheus::Counter& gap_startups_;
  Counters storage_bytes_;
  prometheus::Counter& reconnects_;
  prometheus::Gauge& up_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_STARTUP_METRICS_H_
