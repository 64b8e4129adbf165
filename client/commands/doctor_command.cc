// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/doctor_command.h"

#include <unistd.h>

#include <utility>

#include "client/commands/get_status.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/doctor/checks.h"
#include "client/doctor/doctor_text.h"
#include "client/doctor/local_facts.h"
#include "client/output_sink.h"
#include "client/version.h"

namespace startscope {
namespace {

ExitCode Calibrate(Connection& connection, Examined* examined) {
  examined->calibrate = true;
  auto status = GetStatus(connection, /*calibrate=*/true);
  if (auto* failure = std::get_if<Failure>(&status)) {
    examined->calibrate_error = failure->status;
    return failure->exit_code;
  }
  examined->status = std::move(std::get<startscope::v1::GetStatusResponse>(status));
  return kExitOk;
}

}  // namespace

int DoctorCommand(const DoctorOptions& options) {
  const absl::StatusOr<std::string> path = SocketPath(DaemonAddress(options.common.address));
  if (!path.ok()) {
    PrintError(std::string(path.status().message()));
    return kExitUsage;
  }
  Examined examined;
  examined.local = ReadLocalFacts(*path);
  examined.local.client_version = kVersion;
  ExitCode daemon_code = kExitOk;
  auto opened = Connection::Open({.address = options.common.address});
  if (auto* connection = std::get_if<std::unique_ptr<Connection>>(&opened)) {
    examined.private_daemon = (*connection)->is_private();
    auto status = GetStatus(**connection);
    if (auto* failure = std::get_if<Failure>(&status)) {
      daemon_code = failure->exit_code;
      examined.daemon_error = failure->status;
    } else {
      examined.status = std::move(std::get<startscope::v1::GetStatusResponse>(status));
      if (options.calibrate) daemon_code = Calibrate(**connection, &examined);
    }
  } else {
    daemon_code = std::get<Failure>(opened).exit_code;
    examined.daemon_error = std::get<Failure>(opened).status;
  }

  const std::vector<Finding> findings = CheckAll(examined);
  OutputSink out = OutputSink::ForDescriptor(STDOUT_FILENO);
  absl::Status written;
  if (options.common.format == Format::kJson) {
    const absl::StatusOr<std::string> line = FindingsToJson(findings);
    written = line.ok() ? out.Write(*line) : line.status();
  } else {
    written = out.Write(RenderFindings(findings, DetectTerminal(out.fd(), options.common.color)));
  }
  if (!written.ok()) {
    PrintError(std::string(written.message()));
    return kExitDaemonFailed;
  }
  if (daemon_code != kExitOk) return daemon_code;
  return WorstOf(findings) == Severity::kEssential ? kExitDaemonFailed : kExitOk;
}

}  // namespace startscope
