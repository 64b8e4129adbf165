// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_
#define STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "client/export/host_port.h"

namespace httplib {
class Server;
}

namespace startscope {

// The metrics in Prometheus's text form, as a scrape gets them.
[[nodiscard]] std::string ScrapeText(
    const std::vector<const prometheus::Collectable*>& collectables);

// Serves /metrics, and /healthz (200 or 503 with the reason), by threads of its own. Few
// connections at a time, small requests, short patience: a client can keep others waiting for
// seconds, no more.
class MetricsServer {
 public:
  // `collectables` are not owned. Port 0: any that is free.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const HostPort& address, std::vector<const prometheus::Collectable*> collectables);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] const HostPort& address() const { return address_; }
  // Empty: healthy.
  void SetTrouble(const std::string& trouble);

 private:
  MetricsServer();

  HostPort address_;
  absl::Mutex mutex_;
  std::string trouble_ ABSL_GUARDED_BY(mutex_) = "not watching yet";
  std::unique_ptr<httplib::Server> server_;
  absl::Notification over_;
  std::unique_ptr<std::thread> thread_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_METRICS_SERVER_H_
