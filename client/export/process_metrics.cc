// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/process_metrics.h"

#include <prometheus/metric_family.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace startscope {
namespace {

prometheus::MetricFamily One(const char* name, const char* help, prometheus::MetricType type,
                             double value) {
  prometheus::ClientMetric metric;
  (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {metric}};
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  families.push_back(One("process_cpu_seconds_total", "CPU time of the exporter.",
                         prometheus::MetricType::Counter,
                         Seconds(usage.ru_utime) + Seconds(usage.ru_stime)));
  unsigned long size_pages = 0;
  unsigned long resident_pages = 0;
  if (FILE* file = fopen("/proc/self/statm", "re"); file != nullptr) {
    if (fscanf(file, "%lu %lu", &size_pages, &resident_pages) == 2) {
      families.push_back(One(
          "process_resident_memory_bytes", "Memory of the exporter.", prometheus::MetricType::Gauge,
          static_cast<double>(resident_pages) * static_cast<double>(sysconf(_SC_PAGESIZE))));
    }
    fclose(file);
  }
  return families;
}

}  // namespace startscope
