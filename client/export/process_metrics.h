// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_PROCESS_METRICS_H_
#define STARTSCOPE_CLIENT_EXPORT_PROCESS_METRICS_H_

#include <prometheus/collectable.h>

#include <vector>

namespace startscope {

// What this process itself costs, under the names that all Prometheus clients use. Any thread.
class ProcessMetrics : public prometheus::Collectable {
 public:
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_PROCESS_METRICS_H_
