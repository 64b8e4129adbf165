// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/status_command.h"

#include <unistd.h>

#include "client/commands/get_status.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/json.h"
#include "client/output_sink.h"
#include "client/render/text_status.h"

namespace startscope {
int StatusCommand(const StatusOptions& options) {
  auto opened = Connection::Open({.address = options.common.address});
  if (auto* failure = std::get_if<Failure>(&opened)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  Connection& connection = *std::get<std::unique_ptr<Connection>>(opened);
  const auto status = GetStatus(connection);
  if (const auto* failure = std::get_if<Failure>(&status)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  const auto& response = std::get<startscope::v1::GetStatusResponse>(status);
  OutputSink out = OutputSink::ForDescriptor(STDOUT_FILENO);
  absl::Status written;
  if (options.common.format == Format::kJson) {
    const absl::StatusOr<std::string> line = ToJsonLine(response);
    written = line.ok() ? out.Write(*line) : line.status();
  } else {
    written = out.Write(RenderStatus(response, DetectTerminal(out.fd(), options.common.color)));
  }
  if (!written.ok()) {
    PrintError(std::string(written.message()));
    return kExitDaemonFailed;
  }
  const std::string reason = UnhealthyReason(response);
  if (reason.empty()) return kExitOk;
  if (options.common.format == Format::kJson) PrintError("unhealthy: " + reason);
  return kExitDaemonFailed;
}

}  // namespace startscope
