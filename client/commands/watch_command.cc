// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/watch_command.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <optional>
#include <utility>

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
#include "client/watch_resumption.h"
#include "client/watch_stream.h"

namespace startscope {
namespace {

using startscope::v1::WatchStartupsResponse;

// One watch from its first message to its summary, over as many streams as it takes. Main thread only.
class WatchSession {
 public:
  WatchSession(const WatchOptions& options, std::unique_ptr<Connection> connection,
               SignalGuard& signals)
      : options_(options),
        connection_(std::move(connection)),
        signals_(signals),
        out_(OutputSink::ForDescriptor(STDOUT_FILENO)),
        out_style_(DetectTerminal(STDOUT_FILENO, options.common.color)),
        err_style_(DetectTerminal(STDERR_FILENO, options.common.color)) {}

  int Run() {
    while (!exit_code_.has_value()) {
      WatchOnce();
      if (!exit_code_.has_value()) ComeBack();
    }
    Summarise();
    return *exit_code_;
  }

 private:
  [[nodiscard]] bool Reconnects() const {
    return !options_.no_reconnect && !connection_->is_private();
  }

  // A line for each startup has no room for its timeline: the daemon keeps it for `show`.
  [[nodiscard]] bool ShowsTimelines() const {
    return options_.common.format == Format::kJson || options_.verbose || options_.measure.timeline;
  }

  [[nodiscard]] startscope::v1::WatchStartupsRequest Request() const {
    startscope::v1::WatchStartupsRequest request = WatchRequest(options_.measure);
    if (!ShowsTimelines() && request.stream_timeline()) {
      request.set_stream_timeline(false);
      request.set_timeline_limit(1);  // none cannot be asked for
    }
    if (!IsEmpty(options_.filter)) *request.add_allow() = options_.filter;
    request.set_descendants_of_caller(options_.descendants);
    if (Reconnects()) request.mutable_keep_armed()->set_seconds(kKeepArmedSeconds);
    if (token_.empty()) {
      request.set_replay_recent(options_.replay);
    } else {
      request.set_resume_token(token_);
    }
    return request;
  }

  // One stream, until it ends or the watch does.
  void WatchOnce() {
    stream_over_ = false;
    auto stream = WatchStream::Open(connection_->stub(), Request());
    if (!stream.ok()) {
      PrintError(std::string(stream.status().message()));
      exit_code_ = kExitDaemonFailed;
      return;
    }
    while (!exit_code_.has_value() && !stream_over_) {
      pollfd entries[] = {{.fd = (*stream)->fd(), .events = POLLIN, .revents = 0},
                          {.fd = signals_.fd(), .events = POLLIN, .revents = 0}};
      poll(entries, 2, RemainingMs());
      if (signals_.Take().has_value() || RemainingMs() == 0) {
        exit_code_ = outage_since_.has_value() ? kExitConnectionLost : kExitOk;
        break;
      }
      for (WatchStream::Event& event : (*stream)->Take()) {
        if (!exit_code_.has_value()) Handle(event);
      }
    }
    if (!stream_over_ && !token_.empty() && Reconnects()) {
      EndWatch(connection_->stub(), token_);
    }
  }

  // Waits, longer from time to time, and connects; gives up when the user does.
  void ComeBack() {
    while (true) {
      pollfd entry = {.fd = signals_.fd(), .events = POLLIN, .revents = 0};
      const auto wait_ms = static_cast<int>(absl::ToInt64Milliseconds(wait_.NextSpread()));
      const int left_ms = RemainingMs();
      poll(&entry, 1, left_ms < 0 ? wait_ms : std::min(wait_ms, left_ms));
      if (signals_.Take().has_value() || RemainingMs() == 0) {
        exit_code_ = kExitConnectionLost;
        return;
      }
      auto opened =
          Connection::Open({.address = options_.common.address, .allow_private_daemon = false});
      if (auto* connection = std::get_if<std::unique_ptr<Connection>>(&opened)) {
        connection_ = std::move(*connection);
        return;
      }
    }
  }

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
    if (!message.resume_token().empty()) token_ = message.resume_token();
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
      case WatchStartupsResponse::kResumeGap:
        Tell("resume_gap", DescribeGap(message.resume_gap()), message.resume_gap());
        break;
      case WatchStartupsResponse::kThrottled:
        Tell("throttled", DescribeThrottled(message.throttled()), message.throttled());
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
    stream_over_ = true;
    const bool again = armed_at_.has_value() && Reconnects() && MayComeBack(status);
    if (again && outage_since_.has_value()) return;  // told already
    Failure failure{kExitConnectionLost, absl::UnavailableError(absl::StrCat(
                                             "the ", connection_->description(), " ended the watch"))};
    if (!status.ok()) failure = connection_->Explain(status, armed_at_.has_value());
    PrintError(absl::StrCat(failure.status.message(),
                            again ? "; trying again until it is back or you interrupt" : ""));
    if (again) {
      outage_since_ = absl::Now();
      ++losses_;
    } else {
      exit_code_ = failure.exit_code;
    }
  }

  // What is not as it should be goes to stderr, and into JSON, where a program reads it.
  void Tell(const std::string& key, const std::string& text,
            const google::protobuf::Message& message) {
    stuck_lines_.Interrupt();
    PrintError(text);
    if (options_.common.format == Format::kJson) WriteWrapped(key, message);
    ++losses_;
  }

  void HandleArmed(const startscope::v1::Armed& armed) {
    wait_.Reset();
    if (outage_since_.has_value()) {
      timelines_ = TimelineAssembler();  // what was cut short comes again as a whole
      const auto gone =
          static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - *outage_since_));
      PrintError(absl::StrCat("the ", connection_->description(), " is back after ",
                              FormatDuration(gone, err_style_.glyphs)));
      outage_since_.reset();
      return;
    }
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
    } else if (ShowsTimelines()) {
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
  std::unique_ptr<Connection> connection_;
  SignalGuard& signals_;
  OutputSink out_;
  const TerminalStyle out_style_;
  const TerminalStyle err_style_;
  TimelineAssembler timelines_;
  StuckLines stuck_lines_{out_style_};
  std::optional<int> exit_code_;
  std::optional<absl::Time> armed_at_;
  std::optional<absl::Time> end_;
  // Of the last message that had one.
  std::string token_;
  bool stream_over_ = false;
  std::optional<absl::Time> outage_since_;
  ComeBackWait wait_;
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
  WatchSession session(options, std::get<std::unique_ptr<Connection>>(std::move(opened)), signals);
  return session.Run();
}

}  // namespace startscope
