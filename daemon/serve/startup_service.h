// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_
#define STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/peer_registry.h"
#include "daemon/serve/watch_controller.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

struct ServiceOptions {
  std::string version;
  absl::Duration heartbeat = absl::Seconds(5);
  int max_subscribers = 256;
};

// startscope.v1.StartupService. Handlers run on gRPC threads, one for the life of each stream; they
// touch the hub and the controller only. Owns nothing it is given.
class StartupServiceImpl final : public v1::StartupService::Service {
 public:
  StartupServiceImpl(const ServiceOptions& options, Hub* hub, WatchController* controller,
                     const PeerRegistry* peers, const CgroupResolver* cgroups);

  grpc::Status WatchStartups(grpc::ServerContext* context, const v1::WatchStartupsRequest* request,
                             grpc::ServerWriter<v1::WatchStartupsResponse>* writer) override;
  grpc::Status ListStartups(grpc::ServerContext* context, const v1::ListStartupsRequest* request,
                            v1::ListStartupsResponse* response) override;
  grpc::Status GetStartup(grpc::ServerContext* context, const v1::GetStartupRequest* request,
                          v1::Startup* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;

 private:
  class Stream;
  absl::StatusOr<PeerIdentity> PeerOf(const grpc::ServerContext& context) const;

  const ServiceOptions options_;
  Hub* const hub_;
  WatchController* const controller_;
  const PeerRegistry* const peers_;
  const CgroupResolver* const cgroups_;
  const uint64_t started_boottime_ns_;
  std::atomic<int> subscribers_{0};
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_
