// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_
#define STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/export/host_port.h"

struct mg_connection;
struct mg_context;

namespace startscope {

// The metrics in Prometheus's text form, as a scrape gets them.
[[nodiscard]] std::string ScrapeText(
    const std::vector<const prometheus::Collectable*>& collectables);

// Serves /metrics, and /healthz (200 or 503 with the reason), by threads of its own (CivetWeb's).
// What clients can take up is bounded: few connections at a time and few that wait, 4 KiB of a
// request, two seconds to send it.
class MetricsServer {
 public:
  // `collectables` are not owned. The host is a number or "localhost"; port 0: any that is free.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const HostPort& address, std::vector<const prometheus::Collectable*> collectables);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] const HostPort& address() const { return address_; }
  // Empty: healthy.
  void SetTrouble(const std::string& trouble);

 private:
  MetricsServer() = default;

  static int OnMetrics(mg_connection* connection, void* self);
  static int OnHealth(mg_connection* connection, void* self);
  static int OnAnythingElse(mg_connection* connection, void* self);

  HostPort address_;
  std::vector<const prometheus::Collectable*> collectables_;
  absl::Mutex mutex_;
  // What the server said first, for the error when it cannot start: the cause.
  std::string first_words_ ABSL_GUARDED_BY(mutex_);
  std::string trouble_ ABSL_GUARDED_BY(mutex_) = "not watching yet";
  mg_context* context_ = nullptr;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_
