// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_
#define STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/privilege/privilege_drop.h"
#include "daemon/serve/calibration_gate.h"
#include "daemon/serve/cgroup_resolver.h"
#include "daemon/serve/held_watches.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/peer_registry.h"
#include "daemon/serve/resume_token.h"
#include "daemon/serve/watch_controller.h"
#include "daemon/serve/write_watchdog.h"
#include "startscope/v1/startup_service.grpc.pb.h"

namespace startscope {

struct ServiceOptions {
  std::string version;
  absl::Duration heartbeat = absl::Seconds(5);
  // Watches at once, and those of one user who is neither root nor in the admin group.
  int max_subscribers = 256;
  int max_subscribers_per_user = 32;
  // A watch whose client takes nothing for so long is ended.
  absl::Duration write_timeout = absl::Seconds(30);
  // Names in certificates that give access to everything; TLS clients with others get nothing.
  std::vector<std::string> tls_admin_names;
  // What the daemon may do, for GetStatus.
  PrivilegeReport privileges;
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
  grpc::Status EndWatch(grpc::ServerContext* context, const v1::EndWatchRequest* request,
                        v1::EndWatchResponse* response) override;

 private:
  class Stream;
  struct Plan;
  absl::StatusOr<PeerIdentity> PeerOf(const grpc::ServerContext& context) const;
  // As `calibrate` of a status request asks for.
  absl::Status Calibrate(const PeerIdentity& peer, google::protobuf::Duration* took);
  // Takes a place among the watches at once, or says which limit is reached.
  absl::Status TakePlace(const PeerIdentity& peer);
  void LeavePlace(const PeerIdentity& peer);
  // Takes a place, arms and subscribes, or goes on with the watch that `plan` resumes.
  absl::Status Begin(Plan* plan);
  // Disarms and gives back the place.
  void Release(const HeldWatch& watch);
  [[nodiscard]] ResumeToken TokenOf(uint64_t watch, uint64_t serial) const;

  const ServiceOptions options_;
  Hub* const hub_;
  WatchController* const controller_;
  const PeerRegistry* const peers_;
  const CgroupResolver* const cgroups_;
  const uint64_t started_boottime_ns_;
  const std::string boot_id_ = ReadBootId();
  WriteWatchdog watchdog_;
  CalibrationGate calibration_;
  absl::Mutex places_mutex_;
  int places_ ABSL_GUARDED_BY(places_mutex_) = 0;
  absl::flat_hash_map<uint32_t, int> places_by_user_ ABSL_GUARDED_BY(places_mutex_);
  HeldWatches held_;  // last: its thread uses the rest
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_STARTUP_SERVICE_H_
