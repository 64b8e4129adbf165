// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/list_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/json.h"
#include "client/output_sink.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"
#include "client/render/watch_line.h"

namespace startscope {
namespace {

constexpr std::chrono::seconds kCallTimeout(10);
constexpr uint64_t kMaxPageSize = 500;

std::string RenderList(const std::vector<startscope::v1::Startup>& startups,
                       const TerminalStyle& terminal) {
  Table table({{"id"},
               {"time"},
               {"total", Align::kRight},
               {"faults", Align::kRight},
               {"outcome"},
               {"program"}},
              0);
  for (const auto& startup : startups) {
    const auto& faults = startup.faults();
    const std::string& path = startup.process().executable();
    table.AddRow({SanitizeText(startup.startup_id(), terminal.utf8),
                  ClockTime(startup, terminal.glyphs),
                  FormatDuration(startup.total_ns(), terminal.glyphs),
                  FaultPair(faults.has_minor(), faults.minor(), faults.has_major(), faults.major(),
                            terminal.glyphs),
                  OutcomeWord(startup),
                  path.empty() ? ShortName(startup.process(), terminal.utf8)
                               : SanitizeText(path, terminal.utf8)});
  }
  return table.empty() ? "" : table.Render(terminal);
}

}  // namespace

int ListCommand(const ListOptions& options) {
  auto opened =
      Connection::Open({.address = options.common.address, .allow_private_daemon = false});
  if (auto* failure = std::get_if<Failure>(&opened)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  Connection& connection = *std::get<std::unique_ptr<Connection>>(opened);
  startscope::v1::ListStartupsRequest request;
  if (!IsEmpty(options.filter)) *request.add_allow() = options.filter;
  std::vector<startscope::v1::Startup> startups;
  while (startups.size() < options.limit) {
    request.set_page_size(
        static_cast<int32_t>(std::min(options.limit - startups.size(), kMaxPageSize)));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    startscope::v1::ListStartupsResponse response;
    const grpc::Status called = connection.stub().ListStartups(&context, request, &response);
    if (!called.ok()) {
      const Failure failure = connection.Explain(called, false);
      PrintError(std::string(failure.status.message()));
      return failure.exit_code;
    }
    for (auto& startup : *response.mutable_startups()) startups.push_back(std::move(startup));
    if (response.next_page_token().empty()) break;
    request.set_page_token(response.next_page_token());
  }

  OutputSink out = OutputSink::ForDescriptor(STDOUT_FILENO);
  absl::Status written;
  if (options.common.format == Format::kJson) {
    for (const auto& startup : startups) {
      const absl::StatusOr<std::string> line = ToJsonLine(startup);
      written = line.ok() ? out.Write(*line) : line.status();
      if (!written.ok()) break;
    }
  } else if (startups.empty()) {
    PrintError(
        "no startup matches among those the daemon keeps; they are kept while someone watches");
  } else {
    written = out.Write(RenderList(startups, DetectTerminal(out.fd(), options.common.color)));
  }
  if (written.ok()) return kExitOk;
  PrintError(std::string(written.message()));
  return kExitDaemonFailed;
}

}  // namespace startscope
