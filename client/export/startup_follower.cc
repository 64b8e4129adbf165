// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_follower.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/watch_request.h"
#include "client/watch_resumption.h"
#include "client/watch_stream.h"

namespace startscope {
namespace {

using startscope::v1::WatchStartupsResponse;

class Follower {
 public:
  Follower(const FollowOptions& options, SignalGuard& signals, FollowHandler& handler)
      : options_(options), signals_(signals), handler_(handler) {}

  ExitCode Run() {
    if (options_.duration.has_value()) end_ = absl::Now() + *options_.duration;
    while (!exit_code_.has_value()) {
      Connect();
      if (connection_ != nullptr) WatchOnce();
    }
    handler_.OnTick(connection_.get());
    return *exit_code_;
  }

 private:
  void Connect() {
    auto opened = Connection::Open({.address = options_.address, .allow_private_daemon = false});
    if (auto* connection = std::get_if<std::unique_ptr<Connection>>(&opened)) {
      connection_ = std::move(*connection);
      return;
    }
    connection_.reset();
    if (!was_armed_) {
      Fail(std::get<Failure>(opened));
      return;
    }
    const absl::Time again = absl::Now() + wait_.NextSpread();
    while (!exit_code_.has_value() && absl::Now() < again) Wait(-1, again);
  }

  void WatchOnce() {
    startscope::v1::WatchStartupsRequest request = options_.request;
    request.mutable_keep_armed()->set_seconds(kKeepArmedSeconds);
    if (!token_.empty()) {
      request.clear_replay_recent();
      request.set_resume_token(token_);
    }
    auto stream = WatchStream::Open(connection_->stub(), request);
    if (!stream.ok()) {
      Fail({kExitDaemonFailed, stream.status()});
      return;
    }
    bool over = false;
    while (!exit_code_.has_value() && !over) {
      Wait((*stream)->fd(), absl::InfiniteFuture());
      if (exit_code_.has_value()) break;
      for (WatchStream::Event& event : (*stream)->Take()) {
        if (exit_code_.has_value()) break;
        if (auto* message = std::get_if<WatchStartupsResponse>(&event)) {
          Handle(*message);
        } else {
          over = true;
          HandleEnd(std::get<grpc::Status>(event));
        }
      }
    }
    if (!over && !token_.empty()) EndWatch(connection_->stub(), token_);
  }

  // Until there is something to read from `fd`, a signal, a tick or `until`.
  void Wait(int fd, absl::Time until) {
    const absl::Time now = absl::Now();
    if (now >= next_tick_) {
      handler_.OnTick(connection_.get());
      next_tick_ = now + options_.tick;
    }
    const absl::Time wake = std::min({next_tick_, until, end_});
    const int64_t left_ms =
        absl::ToInt64Milliseconds(absl::Ceil(wake - absl::Now(), absl::Milliseconds(1)));
    pollfd entries[] = {{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                        {.fd = fd, .events = POLLIN, .revents = 0}};
    poll(entries, 2, static_cast<int>(std::max<int64_t>(left_ms, 0)));
    if (signals_.Take().has_value() || absl::Now() >= end_) {
      exit_code_ = down_ ? kExitConnectionLost : kExitOk;
    }
  }

  void Handle(WatchStartupsResponse& message) {
    if (!message.resume_token().empty()) token_ = message.resume_token();
    if (message.event_case() == WatchStartupsResponse::kArmed) {
      wait_.Reset();
      if (down_) PrintError(absl::StrCat("the ", connection_->description(), " is back"));
      handler_.OnUp(down_);
      next_tick_ = absl::InfinitePast();
      was_armed_ = true;
      down_ = false;
    }
    if (!handler_.OnMessage(message)) exit_code_ = kExitOk;
  }

  void HandleEnd(const grpc::Status& status) {
    const Failure failure =
        status.ok() ? Failure{kExitConnectionLost,
                              absl::UnavailableError(absl::StrCat(
                                  "the ", connection_->description(), " ended the watch"))}
                    : connection_->Explain(status, was_armed_);
    if (!was_armed_ || !MayComeBack(status)) {
      Fail(failure);
      return;
    }
    connection_.reset();
    if (!down_) {
      PrintError(absl::StrCat(failure.status.message(), "; trying again until it is back"));
      handler_.OnDown(std::string(failure.status.message()));
    }
    down_ = true;
    // One that takes connections and ends each stream at once is not to be asked without a pause.
    const absl::Time again = absl::Now() + wait_.Next();
    while (!exit_code_.has_value() && absl::Now() < again) Wait(-1, again);
  }

  void Fail(const Failure& failure) {
    PrintError(std::string(failure.status.message()));
    exit_code_ = failure.exit_code;
  }

  const FollowOptions& options_;
  SignalGuard& signals_;
  FollowHandler& handler_;
  std::unique_ptr<Connection> connection_;
  std::optional<ExitCode> exit_code_;
  absl::Time end_ = absl::InfiniteFuture();
  absl::Time next_tick_ = absl::InfinitePast();
  std::string token_;
  bool was_armed_ = false;
  bool down_ = false;
  ComeBackWait wait_;
};

}  // namespace

startscope::v1::WatchStartupsRequest ExporterRequest(const ExporterWatchOptions& options) {
  startscope::v1::WatchStartupsRequest request;
  request.set_level(options.level);
  request.set_precision(options.precision);
  request.set_until(options.until);
  if (!IsEmpty(options.filter)) *request.add_allow() = options.filter;
  return request;
}

ExitCode Follow(const FollowOptions& options, SignalGuard& signals, FollowHandler& handler) {
  return Follower(options, signals, handler).Run();
}

}  // namespace startscope
