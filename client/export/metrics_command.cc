// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/metrics_command.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/get_status.h"
#include "client/commands/watch_request.h"
#include "client/export/daemon_metrics.h"
#include "client/export/metrics_server.h"
#include "client/export/process_metrics.h"
#include "client/export/startup_follower.h"
#include "client/export/startup_groups.h"
#include "client/export/startup_metrics.h"
#include "client/version.h"

namespace startscope {
namespace {

// How often the daemon is asked about itself.
constexpr absl::Duration kStatusInterval = absl::Seconds(10);

class MetricsHandler : public FollowHandler {
 public:
  MetricsHandler(StartupMetrics& startups, StartupGroups& groups, DaemonMetrics& daemon,
                 MetricsServer& server)
      : startups_(startups), groups_(groups), daemon_(daemon), server_(server) {}

  bool OnMessage(startscope::v1::WatchStartupsResponse& message) override {
    startups_.Observe(message);
    if (message.has_startup_finished()) groups_.Observe(message.startup_finished(), absl::Now());
    return true;
  }

  void OnUp(bool again) override {
    startups_.SetDaemonUp(true);
    if (again) startups_.OnReconnect();
    server_.SetTrouble("");
  }

  void OnDown(const std::string& why) override {
    startups_.SetDaemonUp(false);
    daemon_.Clear();
    server_.SetTrouble(why);
  }

  void OnTick(Connection* connection) override {
    if (connection == nullptr) return;
    auto status = GetStatus(*connection);
    if (auto* answer = std::get_if<startscope::v1::GetStatusResponse>(&status)) {
      daemon_.Update(std::move(*answer));
    }
  }

 private:
  StartupMetrics& startups_;
  StartupGroups& groups_;
  DaemonMetrics& daemon_;
  MetricsServer& server_;
};

}  // namespace

int MetricsCommand(const MetricsOptions& options) {
  SignalGuard signals;
  const absl::StatusOr<HostPort> address = ParseHostPort(options.listen);
  if (!address.ok()) {
    PrintError(std::string(address.status().message()));
    return kExitUsage;
  }
  std::vector<const OpenLabel*> labels;
  for (const std::string& name : options.labels) {
    const OpenLabel* label = FindOpenLabel(name);
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
  }
  auto registry = std::make_shared<prometheus::Registry>();
  StartupMetrics startups(*registry, kVersion);
  StartupGroups groups(*registry, std::move(labels), options.max_series,
                       absl::Seconds(options.idle_s));
  DaemonMetrics daemon;
  const ProcessMetrics process;
  auto server = MetricsServer::Start(*address, {registry.get(), &daemon, &process});
  if (!server.ok()) {
    PrintError(std::string(server.status().message()));
    return kExitDestination;
  }
  PrintError(absl::StrCat("metrics at http://", ToText((*server)->address()), "/metrics"));
  if (!IsLoopback(address->host)) {
    PrintError("whoever reaches this address can read them: they tell what is started here");
  }
  FollowOptions follow;
  follow.address = options.watch.address;
  follow.request = ExporterRequest(options.watch);
  follow.tick = kStatusInterval;
  if (options.watch.duration_s.has_value()) {
    follow.duration = absl::Seconds(*options.watch.duration_s);
  }
  MetricsHandler handler(startups, groups, daemon, **server);
  return Follow(follow, signals, handler);
}

}  // namespace startscope
