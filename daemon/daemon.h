// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_DAEMON_H_
#define STARTSCOPE_DAEMON_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/capture.h"
#include "daemon/privilege/syscall_filter.h"
#include "daemon/serve/grpc_server.h"
#include "daemon/serve/hub.h"
#include "daemon/serve/tls_files.h"

namespace startscope {

struct DaemonOptions {
  CaptureOptions capture;
  HubOptions hub;
  ServerOptions server;       // less what is made of the options below
  std::string replay_path;    // not empty: serve a recording instead of the running kernel
  std::string listen_path;    // of the Unix socket; empty: there is none
  std::string listen_tcp;     // "ADDRESS:PORT"; empty: there is none
  TlsPaths tls;               // all three are needed with listen_tcp
  int serve_fd = -1;          // one open connection; there is no other
  // Members see every user's processes; the socket belongs to it. Ignored when there is no such group.
  std::string admin_group = "startscope";
  std::string user;           // whom to become; empty: stays who it is
  FilterAction seccomp = FilterAction::kErrno;
};

// Wires the stages and runs until SIGTERM, SIGINT, or the end of the one connection it serves. Wiring
// only: no logic of a stage lives here. Returns when everything is detached and closed.
absl::Status RunDaemon(const DaemonOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DAEMON_H_
