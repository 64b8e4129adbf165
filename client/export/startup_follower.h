// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_STARTUP_FOLLOWER_H_
#define STARTSCOPE_CLIENT_EXPORT_STARTUP_FOLLOWER_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/connection.h"
#include "client/exit_codes.h"
#include "client/export/exporter_arguments.h"
#include "client/signal_guard.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What an exporter does with the watch it follows. All calls come from the thread in Follow.
class FollowHandler {
 public:
  virtual ~FollowHandler() = default;
  // False: that is enough.
  virtual bool OnMessage(startscope::v1::WatchStartupsResponse& message) = 0;
  // The stream is armed; `again` after an outage.
  virtual void OnUp(bool again) = 0;
  // The daemon went away, and is being looked for.
  virtual void OnDown(const std::string& why) = 0;
  // Every `tick`, and at the end; nullptr: no connection at present.
  virtual void OnTick(Connection* connection) = 0;
};

struct FollowOptions {
  std::string address;
  startscope::v1::WatchStartupsRequest request;
  std::optional<absl::Duration> duration;
  absl::Duration tick = absl::Seconds(1);
};

// A watch's request with what an exporter's options ask for.
[[nodiscard]] startscope::v1::WatchStartupsRequest ExporterRequest(
    const ExporterWatchOptions& options);

// Watches until a signal, the end of `duration`, or the handler ends it; a daemon that went away is
// looked for again, and the watch resumed where it was. A daemon that is not there at first, or
// that refuses, is an error. Says on stderr what went wrong.
[[nodiscard]] ExitCode Follow(const FollowOptions& options, SignalGuard& signals,
                              FollowHandler& handler);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_STARTUP_FOLLOWER_H_
