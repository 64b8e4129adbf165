// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/watch_command.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/json.h"
#include "client/output_sink.h"
#include "client/render/stuck_line.h"
#include "client/render/text_startup.h"
#include "client/render/text_timeline.h"
#include "client/render/units.h"
#include "client/render/watch_line.h"
#include "client/signal_guard.h"
#include "client/timeline_assembler.h"
#include "client/watch_stream.h"

namespace startscope {
namespace {

using startscope::v1::WatchStartupsResponse;

// One watch from its first message to its summary. Main thread only.
class WatchSession {
 public:
  WatchSession(const WatchOptions& options, Connection& connection, SignalGuard& signals)
      : options_(options),
        connection_(connection),
        signals_(signals),
        out_(OutputSink::ForDescriptor(STDOUT_FILENO)),
        out_style_(DetectTerminal(STDOUT_FILENO, options.common.color)),
        err_style_(DetectTerminal(STDERR_FILENO, options.common.color)) {}

  int Run() {
    startscope::v1::WatchStartupsRequest request = WatchRequest(options_.measure);
    if (!IsEmpty(options_.filter)) *request.add_allow() = options_.filter;
    request.set_descendants_of_caller(options_.descendants);
    auto stream = WatchStream::Open(connection_.stub(), request);
    if (!stream.ok()) {
      PrintError(std::string(stream.status().message()));
      return kExitDaemonFailed;
    }
    while (!exit_code_.has_value()) {
      pollfd entries[] = {{.fd = (*stream)->fd(), .events = POLLIN, .revents = 0},
                          {.fd = signals_.fd(), .events = POLLIN, .revents = 0}};
      poll(entries, 2, RemainingMs());
      if (signals_.Take().has_value() || RemainingMs() == 0) {
        exit_code_ = kExitOk;
        break;
      }
      if (auto event = (*stream)->Take(); event.has_value()) Handle(*event);
    }
    Summarise();
    return *exit_code_;
  }

 private:
  [[nodiscard]] int RemainingMs() const {
    if (!end_.has_value()) return -1;
    const int64_t left = absl::ToInt64Milliseconds(*end_ - absl::Now());
    return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
  }

  void Handle(WatchStream::Event& event) {
    if (const auto* status = std::get_if<grpc::Status>(&event)) {
      HandleEnd(*status);
      return;
    }
    auto& message = std::get<WatchStartupsResponse>(event);
    switch (message.event_case()) {
      case WatchStartupsResponse::kArmed:
        HandleArmed(message.armed());
        break;
      case WatchStartupsResponse::kStartupFinished:
        timelines_.Complete(message.mutable_startup_finished());
        HandleStartup(message.startup_finished());
        break;
      case WatchStartupsResponse::kTimelineChunk:
        timelines_.Add(std::move(*message.mutable_timeline_chunk()));
        break;
      case WatchStartupsResponse::kLoaderEvent:
        HandleLoaderEvent(message.loader_event());
        break;
      case WatchStartupsResponse::kStartupStuck:
        HandleStuck(message.startup_stuck());
        break;
      case WatchStartupsResponse::kRecordsLost:
        stuck_lines_.Interrupt();
        PrintError(DescribeLoss(message.records_lost()));
        ++losses_;
        break;
      case WatchStartupsResponse::kHeartbeat:
        dropped_ = std::max(dropped_, message.heartbeat().startups_dropped());
        break;
      default:
        // Progress was not asked for; kinds of a newer daemon are not for this client.
        break;
    }
  }

  void HandleEnd(const grpc::Status& status) {
    if (status.ok()) {
      PrintError(absl::StrCat("the ", connection_.description(), " ended the watch"));
      exit_code_ = kExitConnectionLost;
      return;
    }
    const Failure failure = connection_.Explain(status, armed_at_.has_value());
    PrintError(std::string(failure.status.message()));
    exit_code_ = failure.exit_code;
  }

  void HandleArmed(const startscope::v1::Armed& armed) {
    armed_at_ = absl::Now();
    if (options_.duration_s.has_value()) end_ = *armed_at_ + absl::Seconds(*options_.duration_s);
    OutputSink err = OutputSink::ForDescriptor(STDERR_FILENO);
    (void)err.Write(RenderDegradations(armed.degradations(), err_style_));
    if (options_.common.format == Format::kText && !options_.verbose) {
      CheckWritten(out_.Write(WatchHeading(out_style_)));
    }
  }

  void HandleStartup(const startscope::v1::Startup& startup) {
    stuck_lines_.Interrupt();
    if (options_.common.format == Format::kJson) {
      const absl::StatusOr<std::string> line = ToJsonLine(startup);
      CheckWritten(line.ok() ? out_.Write(*line) : line.status());
    } else if (options_.verbose || options_.measure.timeline) {
      std::string text = RenderStartup(startup, out_style_, true);
      if (options_.measure.timeline) text += RenderTimeline(startup, out_style_);
      CheckWritten(out_.Write(text + "\n"));
    } else {
      CheckWritten(out_.Write(WatchLine(startup, out_style_)));
    }
    ++shown_;
    if (options_.limit.has_value() && shown_ >= *options_.limit && !exit_code_.has_value()) {
      exit_code_ = kExitOk;
    }
  }

  void HandleLoaderEvent(const startscope::v1::LoaderEvent& event) {
    stuck_lines_.Interrupt();
    if (options_.common.format == Format::kText) {
      CheckWritten(out_.Write(RenderLoaderEvent(event, out_style_)));
    } else {
      WriteWrapped("loader_event", event);
    }
  }

  void HandleStuck(const startscope::v1::StartupStuck& stuck) {
    if (options_.common.format == Format::kText) {
      CheckWritten(out_.Write(stuck_lines_.Next(stuck)));
    } else {
      WriteWrapped("startup_stuck", stuck);
    }
  }

  void WriteWrapped(const std::string& key, const google::protobuf::Message& message) {
    const absl::StatusOr<std::string> line = ToJsonLine(message);
    CheckWritten(line.ok() ? out_.Write(WrapJson(key, *line)) : line.status());
  }

  void CheckWritten(const absl::Status& status) {
    if (status.ok()) return;
    PrintError(std::string(status.message()));
    exit_code_ = kExitDaemonFailed;
  }

  void Summarise() const {
    if (!armed_at_.has_value()) return;
    const auto watched = static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - *armed_at_));
    std::string text = absl::StrCat("watched ", FormatDuration(watched, err_style_.glyphs), ": ",
                                    FormatCount(shown_, "startup"));
    if (dropped_ > 0) absl::StrAppend(&text, ", ", dropped_, " more not delivered");
    absl::StrAppend(&text, losses_ > 0 ? ", with losses (see above)" : "");
    PrintError(text);
  }

  const WatchOptions& options_;
  Connection& connection_;
  SignalGuard& signals_;
  OutputSink out_;
  const TerminalStyle out_style_;
  const TerminalStyle err_style_;
  TimelineAssembler timelines_;
  StuckLines stuck_lines_{out_style_};
  std::optional<int> exit_code_;
  std::optional<absl::Time> armed_at_;
  std::optional<absl::Time> end_;
  uint64_t shown_ = 0;
  uint64_t dropped_ = 0;
  uint64_t losses_ = 0;
};

}  // namespace

int WatchCommand(const WatchOptions& options) {
  SignalGuard signals;
  auto opened = Connection::Open({.address = options.common.address});
  if (auto* failure = std::get_if<Failure>(&opened)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  WatchSession session(options, *std::get<std::unique_ptr<Connection>>(opened), signals);
  return session.Run();
}

}  // namespace startscope
