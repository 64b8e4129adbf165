// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/show_command.h"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/json.h"
#include "client/output_sink.h"
#include "client/render/startup_views.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/text_timeline.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

constexpr std::chrono::seconds kCallTimeout(10);
constexpr int kPageSize = 500;
constexpr size_t kMaxCandidates = 8;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
}

// The ids that begin with `prefix`, newest first; with "last", the newest one.
std::variant<std::vector<std::string>, Failure> FindIds(Connection& connection,
                                                        const std::string& prefix) {
  const bool last = prefix == "last";
  std::vector<std::string> ids;
  startscope::v1::ListStartupsRequest request;
  request.set_page_size(last ? 1 : kPageSize);
  do {
    grpc::ClientContext context;
    SetDeadline(context);
    startscope::v1::ListStartupsResponse response;
    const grpc::Status called = connection.stub().ListStartups(&context, request, &response);
    if (!called.ok()) return connection.Explain(called, false);
    for (const Startup& startup : response.startups()) {
      if (last || absl::StartsWith(startup.startup_id(), prefix)) {
        ids.push_back(startup.startup_id());
      }
    }
    request.set_page_token(response.next_page_token());
  } while (!last && !request.page_token().empty() && ids.size() <= kMaxCandidates);
  return ids;
}

std::variant<Startup, Failure> Get(Connection& connection, const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  startscope::v1::GetStartupRequest request;
  request.set_startup_id(id);
  Startup startup;
  const grpc::Status called = connection.stub().GetStartup(&context, request, &startup);
  if (!called.ok()) return connection.Explain(called, false);
  return startup;
}

std::variant<Startup, Failure> Find(Connection& connection, const std::string& id) {
  if (id != "last") {
    auto exact = Get(connection, id);
    const auto* failure = std::get_if<Failure>(&exact);
    if (failure == nullptr || failure->exit_code != kExitNotFound) return exact;
  }
  auto found = FindIds(connection, id);
  if (auto* failure = std::get_if<Failure>(&found)) return *failure;
  auto& ids = std::get<std::vector<std::string>>(found);
  if (ids.empty()) {
    return Failure{kExitNotFound,
                   absl::NotFoundError(absl::StrCat(
                       "no startup ", id == "last" ? "is kept" : "'" + SanitizeText(id, true) + "'",
                       " (see startscope list; the daemon keeps the recent ones)"))};
  }
  if (ids.size() > 1) {
    if (ids.size() > kMaxCandidates) {
      ids.resize(kMaxCandidates);
      ids.push_back("...");
    }
    for (std::string& candidate : ids) candidate = SanitizeText(candidate, true);
    return Failure{kExitNotFound,
                   absl::NotFoundError(absl::StrCat(
                       "'", SanitizeText(id, true),
                       "' is the begin of several startups: ", absl::StrJoin(ids, ", ")))};
  }
  return Get(connection, ids.front());
}

}  // namespace

int ShowCommand(const ShowOptions& options) {
  auto opened =
      Connection::Open({.address = options.common.address, .allow_private_daemon = false});
  if (auto* failure = std::get_if<Failure>(&opened)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  Connection& connection = *std::get<std::unique_ptr<Connection>>(opened);
  const auto found = Find(connection, options.id);
  if (const auto* failure = std::get_if<Failure>(&found)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  const Startup& startup = std::get<Startup>(found);
  OutputSink out = OutputSink::ForDescriptor(STDOUT_FILENO);
  absl::Status written;
  if (options.common.format == Format::kJson) {
    const absl::StatusOr<std::string> line = ToJsonLine(startup);
    written = line.ok() ? out.Write(*line) : line.status();
  } else {
    const TerminalStyle style = DetectTerminal(out.fd(), options.common.color);
    std::string text;
    if (options.views.any()) {
      absl::StatusOr<std::string> views = RenderViews(startup, options.views, {}, style);
      if (!views.ok()) {
        PrintError(std::string(views.status().message()));
        return kExitNotFound;
      }
      text = *std::move(views);
    } else {
      text = RenderStartup(startup, style, true);
    }
    if (options.timeline) text += RenderTimeline(startup, style);
    if (options.pages) text += RenderPages(startup, style);
    const bool wanted_more = options.timeline || options.pages;
    if (wanted_more && startup.level() < startscope::v1::LEVEL_PAGES) {
      PrintError("this startup was not measured at level pages: there is no more of it");
    }
    written = out.Write(text);
  }
  if (written.ok()) return kExitOk;
  PrintError(std::string(written.message()));
  return kExitDaemonFailed;
}

}  // namespace startscope
