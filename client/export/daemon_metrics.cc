// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/daemon_metrics.h"

#include <prometheus/labels.h>
#include <prometheus/metric_family.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/export/enum_label.h"
#include "client/export/text_label.h"

namespace startscope {
namespace {

using startscope::v1::GetStatusResponse;

// A daemon that is not ours to trust cannot send more counters than this on.
constexpr int kMaxLossCounters = 64;

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

void AddValue(const prometheus::Labels& labels, double value, prometheus::MetricFamily& family) {
  prometheus::ClientMetric metric;
  for (const auto& [name, text] : labels) metric.label.push_back({name, TextLabel(text)});
  (family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) =
      value;
  family.metric.push_back(std::move(metric));
}

struct Figure {
  const char* name;
  const char* help;
  prometheus::MetricType type;
  double (*value)(const GetStatusResponse& status);
};

constexpr auto kCounter = prometheus::MetricType::Counter;
constexpr auto kGauge = prometheus::MetricType::Gauge;

constexpr Figure kFigures[] = {
    {"startscope_daemon_start_time_seconds", "When the daemon started, since the epoch.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.started().seconds()); }},
    {"startscope_daemon_watches", "Watches there are, this exporter's among them.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.subscribers()); }},
    {"startscope_daemon_startups_seen_total", "Startups that the daemon followed for anyone.",
     kCounter, [](const GetStatusResponse& s) { return static_cast<double>(s.startups_seen()); }},
    {"startscope_daemon_startups_open", "Startups that are going on.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.startups_open()); }},
    {"startscope_daemon_startups_kept", "Finished startups in the daemon's ring.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.startups_kept()); }},
    {"startscope_daemon_records_received_total", "Records from the kernel.", kCounter,
     [](const GetStatusResponse& s) { return static_cast<double>(s.records_received()); }},
    {"startscope_daemon_images_known", "Files whose marks are known.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.images_size()); }},
    {"startscope_daemon_watches_cut_total", "Watches ended because their client took nothing.",
     kCounter, [](const GetStatusResponse& s) { return static_cast<double>(s.watches_cut()); }},
    {"startscope_daemon_inspector_restarts_total", "Restarts of the sandboxed reader of files.",
     kCounter,
     [](const GetStatusResponse& s) { return static_cast<double>(s.inspector().restarts()); }},
    {"startscope_daemon_inspector_refused_files", "Files that ended the reader.", kGauge,
     [](const GetStatusResponse& s) { return static_cast<double>(s.inspector().refused_size()); }},
};

}  // namespace

void DaemonMetrics::Update(GetStatusResponse status) {
  absl::MutexLock lock(&mutex_);
  status_ = std::move(status);
}

void DaemonMetrics::Clear() {
  absl::MutexLock lock(&mutex_);
  status_.reset();
}

std::vector<prometheus::MetricFamily> DaemonMetrics::Collect() const {
  absl::MutexLock lock(&mutex_);
  std::vector<prometheus::MetricFamily> families;
  if (!status_.has_value()) return families;
  families.push_back(Family("startscope_daemon_info", "1; labels tell versions.", kGauge));
  AddValue({{"version", status_->version()},
            {"abi", absl::StrCat(status_->abi_version())},
            {"kernel", status_->kernel().release()},
            {"machine", status_->kernel().machine()}},
           1, families.back());
  for (const Figure& figure : kFigures) {
    families.push_back(Family(figure.name, figure.help, figure.type));
    AddValue({}, figure.value(*status_), families.back());
  }
  auto produced = Family("startscope_daemon_produced_total",
                         "What was produced at each stage, lost or not.", kCounter);
  auto lost = Family("startscope_daemon_lost_total", "What was lost at each stage.", kCounter);
  auto evicted = Family("startscope_daemon_evicted_total",
                        "What gave way to something newer within a bound; no loss.", kCounter);
  int taken = 0;
  // Two counters of one name would be one series twice, and the whole scrape refused.
  std::map<std::pair<std::string, std::string>, bool> seen;
  for (const auto& counter : status_->losses()) {
    const std::string stage =
        EnumLabel(startscope::v1::LossStage_Name(counter.stage()), "LOSS_STAGE_");
    if (++taken > kMaxLossCounters ||
        !seen.try_emplace({stage, TextLabel(counter.name())}, true).second) {
      continue;
    }
    const prometheus::Labels labels = {{"stage", stage}, {"what", counter.name()}};
    AddValue(labels, static_cast<double>(counter.lost()), counter.eviction() ? evicted : lost);
    if (!counter.eviction()) AddValue(labels, static_cast<double>(counter.produced()), produced);
  }
  for (auto* family : {&produced, &lost, &evicted}) {
    if (!family->metric.empty()) families.push_back(std::move(*family));
  }
  return families;
}

}  // namespace startscope
