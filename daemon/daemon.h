// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_DAEMON_H_
#define STARTSCOPE_DAEMON_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/capture.h"
#include "daemon/serve/grpc_server.h"
#include "daemon/serve/hub.h"

namespace startscope {

struct DaemonOptions {
  CaptureOptions capture;
  HubOptions hub;
  ServerOptions server;
  std::string replay_path;  // not empty: serve a recording instead of the running kernel
};

// Wires the stages and runs until SIGTERM, SIGINT, or the end of the one connection it serves. Wiring
// only: no logic of a stage lives here. Returns when everything is detached and closed.
absl::Status RunDaemon(const DaemonOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DAEMON_H_
