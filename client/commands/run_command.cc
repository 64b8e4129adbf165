// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/run_command.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/child_process.h"
#include "client/command_lookup.h"
#include "client/commands/watch_request.h"
#include "client/connection.h"
#include "client/json.h"
#include "client/load_set.h"
#include "client/output_sink.h"
#include "client/page_cache.h"
#include "client/render/startup_views.h"
#include "client/render/stuck_line.h"
#include "client/render/text_run_summary.h"
#include "client/render/text_startup.h"
#include "client/render/text_timeline.h"
#include "client/render/units.h"
#include "client/run_collector.h"
#include "client/signal_guard.h"
#include "client/timeline_assembler.h"
#include "client/watch_stream.h"
#include "daemon/base/text_escape.h"

namespace startscope {
namespace {

using startscope::v1::Startup;
using startscope::v1::WatchStartupsResponse;

constexpr std::chrono::seconds kListTimeout(5);
constexpr absl::Duration kArmTimeout = absl::Seconds(60);
// After the last process ended: how long its missing startups may take, counted from the last one
// that came, and in all.
constexpr absl::Duration kGrace = absl::Seconds(2);
constexpr absl::Duration kLongestGrace = absl::Seconds(10);
// A process that reached main may have executed another program afterwards: nothing says that no
// more will follow but silence for longer than the daemon collects before it delivers.
constexpr absl::Duration kExecChainSettle = absl::Milliseconds(250);
// The daemon tells what was loaded late once it knows the libraries, at most half a second later.
constexpr absl::Duration kLoaderSettle = absl::Milliseconds(700);
// The kernel's fixed inode of the initial pid namespace.
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;

// True when the pids we see may differ from the daemon's.
bool InNestedPidNamespace() {
  struct stat info {};
  return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino != kInitialPidNamespace;
}

// All runs of one command over one watch. Main thread only.
class RunSession {
 public:
  RunSession(const RunOptions& options, ResolvedCommand command, OutputSink out,
             Connection& connection, SignalGuard& signals)
      : options_(options),
        command_(std::move(command)),
        out_(std::move(out)),
        connection_(connection),
        signals_(signals),
        collector_(options.measure.until, InNestedPidNamespace()) {}

  int Run() {
    absl::StatusOr<std::unique_ptr<ChildProcess>> child = PrepareChild();
    if (!child.ok()) return Fail(child.status());
    absl::StatusOr<std::unique_ptr<WatchStream>> stream =
        WatchStream::Open(connection_.stub(), Request((*child)->pid()));
    if (!stream.ok()) return Fail(stream.status());
    stream_ = *std::move(stream);
    if (const std::optional<int> code = WaitUntilArmed()) return *code;

    for (uint32_t run = 0; run < options_.runs; ++run) {
      if (run > 0) {
        if (interrupted_by_ != 0 || stream_failure_.has_value()) break;
        child = PrepareChild();
        if (!child.ok()) return Fail(child.status());
      }
      if (const absl::Status evicted = MakeCold(); !evicted.ok()) return Fail(evicted);
      if (const int error_number = (*child)->Release(); error_number != 0) {
        const Failure failure = ExecFailure(command_.exec_path, error_number);
        PrintError(std::string(failure.status.message()));
        return failure.exit_code;
      }
      WaitForChild(**child);
    }
    CollectRest();
    return Report();
  }

 private:
  [[nodiscard]] bool json() const { return options_.common.format == Format::kJson; }

  static int Fail(const absl::Status& status) {
    PrintError(std::string(status.message()));
    return kExitRunFailed;
  }

  absl::StatusOr<std::unique_ptr<ChildProcess>> PrepareChild() {
    CommandOutput output = CommandOutput::kUntouched;
    if (options_.runs > 1 && !options_.show_output) {
      output = CommandOutput::kDiscarded;
    } else if (json() && options_.output_file.empty()) {
      output = CommandOutput::kStdoutToStderr;
    }
    auto child = ChildProcess::Prepare({.exec_path = command_.exec_path,
                                        .argv = options_.command,
                                        .output = output,
                                        .signals = signals_.initial()});
    if (child.ok()) collector_.Begin((*child)->pid());
    return child;
  }

  [[nodiscard]] startscope::v1::WatchStartupsRequest Request(pid_t first_pid) const {
    startscope::v1::WatchStartupsRequest request = WatchRequest(options_.measure);
    request.set_link_facts(options_.runs == 1);  // a summary of many has no objects
    if (request.level() == startscope::v1::LEVEL_UNSPECIFIED) {
      // A summary over runs shows no objects, so it need not pay for them; what cold runs map is
      // evicted before the next.
      request.set_level(options_.runs > 1 && !json() && !options_.cold
                            ? startscope::v1::LEVEL_PHASES
                            : startscope::v1::LEVEL_OBJECTS);
    }
    for (const std::string& image : command_.images) {
      request.add_prepare_executables(EscapeToUtf8(image));
    }
    if (request.level() == startscope::v1::LEVEL_FUNCTIONS) {
      for (const std::string& library : LibrariesToLoad(command_)) {
        request.add_prepare_libraries(EscapeToUtf8(library));
      }
    }
    if (options_.runs == 1 && !InNestedPidNamespace()) {
      request.add_allow()->add_pid(static_cast<uint32_t>(first_pid));
    } else {
      // One watch for runs whose pids are not known yet.
      request.set_descendants_of_caller(true);
    }
    return request;
  }

  void AddToLoadSet(const std::vector<std::string>& files) {
    for (const std::string& file : files) {
      if (std::find(load_set_.begin(), load_set_.end(), file) == load_set_.end()) {
        load_set_.push_back(file);
      }
    }
  }

  // What the latest start of this program that the daemon keeps has mapped; nothing if it keeps
  // none.
  std::vector<std::string> MappedBefore() {
    if (connection_.is_private() || command_.images.empty()) return {};
    const auto set_deadline = [](grpc::ClientContext* context) {
      context->set_deadline(std::chrono::system_clock::now() + kListTimeout);
    };
    startscope::v1::ListStartupsRequest request;
    for (const std::string& image :
         FilesToLoad({.exec_path = command_.images.front(), .images = {}})) {
      request.add_allow()->add_executable(image);
    }
    request.set_page_size(1);
    startscope::v1::ListStartupsResponse kept;
    grpc::ClientContext list_context;
    set_deadline(&list_context);
    if (!connection_.stub().ListStartups(&list_context, request, &kept).ok()) return {};
    if (kept.startups().empty()) return {};
    startscope::v1::GetStartupRequest which;
    which.set_startup_id(kept.startups(0).startup_id());
    Startup startup;
    grpc::ClientContext get_context;
    set_deadline(&get_context);
    if (!connection_.stub().GetStartup(&get_context, which, &startup).ok()) return {};
    return FilesMapped(startup);
  }

  // Takes what the command will load out of memory, if that was asked for. Last before it runs: the
  // daemon has read the files by now.
  absl::Status MakeCold() {
    if (options_.drop_caches) {
      const absl::Status dropped = DropAllCaches();
      if (dropped.ok()) PrintError("--drop-caches: emptied the page cache of the whole machine");
      return dropped;
    }
    if (!options_.cold) return absl::OkStatus();
    if (load_set_.empty()) {
      load_set_ = FilesToLoad(command_);
      AddToLoadSet(MappedBefore());
    }
    std::vector<std::string> notes = DescribeEvictions(EvictFromPageCache(load_set_));
    if (notes != eviction_notes_) {
      for (const std::string& note : notes) PrintError("--cold: " + note);
      eviction_notes_ = std::move(notes);
    }
    return absl::OkStatus();
  }

  // Waits for any of the stream, the signals and `child_fd` (-1: none); true when the child is
  // done.
  bool Poll(int child_fd, absl::Time deadline) {
    const int64_t left =
        deadline == absl::InfiniteFuture()
            ? -1
            : std::clamp<int64_t>(absl::ToInt64Milliseconds(deadline - absl::Now()) + 1, 0,
                                  INT_MAX);
    pollfd entries[] = {
        {.fd = stream_failure_.has_value() ? -1 : stream_->fd(), .events = POLLIN, .revents = 0},
        {.fd = signals_.fd(), .events = POLLIN, .revents = 0},
        {.fd = child_fd, .events = POLLIN, .revents = 0}};
    poll(entries, 3, static_cast<int>(left));
    return entries[2].revents != 0;
  }

  // nullopt: armed. Otherwise the exit code; nothing was executed.
  std::optional<int> WaitUntilArmed() {
    const absl::Time deadline = absl::Now() + kArmTimeout;
    while (!armed_) {
      Poll(-1, deadline);
      if (const auto signal = signals_.Take()) return kExitSignalBase + signal->number;
      TakeMessages();
      if (stream_failure_.has_value()) {
        PrintError(absl::StrCat(std::string(stream_failure_->status.message()),
                                "\nstartscope: the command was not executed"));
        return stream_failure_->exit_code == kExitNoDaemon ? kExitNoDaemon : kExitDaemonFailed;
      }
      if (!armed_ && absl::Now() >= deadline) {
        PrintError(
            absl::StrCat("the ", connection_.description(),
                         " did not get its probes ready in time; the command was not executed"));
        return kExitDaemonFailed;
      }
    }
    return std::nullopt;
  }

  void WaitForChild(ChildProcess& child) {
    bool ended = false;
    while (!ended) {
      ended = Poll(child.pid_fd(), absl::InfiniteFuture());
      while (const auto signal = signals_.Take()) {
        interrupted_by_ = signal->number;
        // What was typed at the terminal has reached the command by itself.
        if (!signal->from_terminal) child.Signal(signal->number);
      }
      TakeMessages();
    }
    collector_.End(child.Reap());
    ended_at_ = absl::Now();
  }

  void CollectRest() {
    last_arrival_ = std::max(last_arrival_, ended_at_);
    while (!stream_failure_.has_value()) {
      const auto completeness = collector_.completeness();
      const bool complete = completeness == RunCollector::Completeness::kComplete;
      if (complete && !options_.measure.loader_events) return;
      const absl::Duration patience = completeness == RunCollector::Completeness::kMissing ? kGrace
                                      : complete ? kLoaderSettle
                                                 : kExecChainSettle;
      const absl::Time deadline =
          std::min(std::max(last_arrival_, ended_at_) + patience, ended_at_ + kLongestGrace);
      if (absl::Now() >= deadline) return;
      Poll(-1, deadline);
      if (signals_.Take().has_value()) return;
      TakeMessages();
    }
  }

  void TakeMessages() {
    for (WatchStream::Event& event : stream_->Take()) {
      if (const auto* status = std::get_if<grpc::Status>(&event)) {
        stream_failure_ = status->ok()
                              ? Failure{kExitConnectionLost,
                                        absl::UnavailableError(absl::StrCat(
                                            "the ", connection_.description(), " ended the watch"))}
                              : connection_.Explain(*status, armed_);
        return;
      }
      auto& message = std::get<WatchStartupsResponse>(event);
      switch (message.event_case()) {
        case WatchStartupsResponse::kArmed:
          armed_ = true;
          *armed_degradations_.mutable_degradations() = message.armed().degradations();
          break;
        case WatchStartupsResponse::kTimelineChunk:
          timelines_.Add(std::move(*message.mutable_timeline_chunk()));
          break;
        case WatchStartupsResponse::kLoaderEvent:
          HandleLoaderEvent(message);
          break;
        case WatchStartupsResponse::kStartupStuck:
          HandleStuck(message.startup_stuck());
          break;
        case WatchStartupsResponse::kStartupFinished:
          HandleStartup(std::move(*message.mutable_startup_finished()));
          break;
        case WatchStartupsResponse::kRecordsLost:
          losses_.push_back(DescribeLoss(message.records_lost()));
          break;
        default:
          break;
      }
    }
  }

  void HandleStartup(Startup startup) {
    // The process was made long before it was released: its age says nothing of the command.
    startup.clear_spawn_ns();
    timelines_.Complete(&startup);
    if (options_.cold) AddToLoadSet(FilesMapped(startup));  // for the next run
    const absl::StatusOr<std::string> line = json() ? ToJsonLine(startup) : std::string();
    if (options_.runs > 1) {
      // Thousands of runs are kept for the summary, which needs none of these.
      startup.clear_objects();
      startup.clear_timeline();
    }
    if (!collector_.Add(std::move(startup))) return;
    last_arrival_ = absl::Now();
    const absl::Status written = line.ok() ? out_.Write(*line) : line.status();
    if (write_status_.ok()) write_status_ = written;
  }

  void HandleLoaderEvent(const WatchStartupsResponse& message) {
    last_arrival_ = absl::Now();
    if (json()) {
      WriteWrapped("loader_event", message.loader_event());
    } else if (options_.runs == 1) {
      loader_events_.push_back(message.loader_event());
    }
  }

  // At once, and on stderr: the command is still starting, and its user waits.
  void HandleStuck(const startscope::v1::StartupStuck& stuck) {
    if (json()) {
      WriteWrapped("startup_stuck", stuck);
    } else {
      PrintError(StuckText(stuck, INT_MAX, DetectTerminal(STDERR_FILENO, options_.common.color)));
    }
  }

  void WriteWrapped(const std::string& key, const google::protobuf::Message& message) {
    const absl::StatusOr<std::string> text = ToJsonLine(message);
    const absl::Status written = text.ok() ? out_.Write(WrapJson(key, *text)) : text.status();
    if (write_status_.ok()) write_status_ = written;
  }

  int Report() {
    stream_->Cancel();
    absl::Status view_status;
    if (!json()) {
      const absl::Status written = out_.Write(Text(&view_status));
      if (write_status_.ok()) write_status_ = written;
    }
    for (const std::string& loss : losses_) PrintError(loss);
    if (timelines_.discarded() > 0) {
      PrintError(absl::StrCat(timelines_.discarded(), " timeline entries came for no startup"));
    }
    if (!write_status_.ok()) return Fail(write_status_);
    if (stream_failure_.has_value()) return Fail(stream_failure_->status);
    if (const std::string missing = Missing(); !missing.empty()) {
      return Fail(absl::DataLossError(missing));
    }
    if (!view_status.ok()) return Fail(view_status);
    for (const startscope::Run& run : collector_.runs()) {
      if (const int code = ShellCode(run.wait_status); code != 0) return code;
    }
    const bool stopped_early = collector_.runs().size() < options_.runs;
    return stopped_early ? kExitSignalBase + interrupted_by_ : kExitOk;
  }

  // `view_status`: of a view that no startup could give.
  [[nodiscard]] std::string Text(absl::Status* view_status) const {
    const TerminalStyle style = DetectTerminal(out_.fd(), options_.common.color);
    std::string text = RenderDegradations(armed_degradations_.degradations(), style);
    if (options_.runs > 1) {
      std::vector<std::vector<Startup>> runs;
      for (const startscope::Run& run : collector_.runs()) runs.push_back(run.startups);
      return text + RenderRunSummary(runs, style);
    }
    bool viewed = false;
    for (const startscope::Run& run : collector_.runs()) {
      for (const Startup& startup : run.startups) {
        if (options_.views.any()) {
          // An image that executed another may well not have loaded what is asked for.
          absl::StatusOr<std::string> views =
              RenderViews(startup, options_.views, loader_events_, style);
          if (views.ok()) {
            absl::StrAppend(&text, viewed ? "\n" : "", *views);
            viewed = true;
          } else {
            *view_status = views.status();
          }
        } else {
          if (&startup != &run.startups.front()) text += "\n";
          text += RenderStartup(startup, style, false);
        }
        if (options_.measure.timeline) text += RenderTimeline(startup, style);
      }
    }
    if (viewed) *view_status = absl::OkStatus();
    if (options_.views.tree && viewed) return text;  // they are in the tree
    for (const auto& event : loader_events_) text += RenderLoaderEvent(event, style);
    return text;
  }

  // What was executed but not reported; empty when nothing is missing.
  [[nodiscard]] std::string Missing() const {
    size_t missing = 0;
    size_t cut_short = 0;
    for (const startscope::Run& run : collector_.runs()) {
      if (run.startups.empty()) {
        ++missing;
      } else if (run.startups.back().outcome() == startscope::v1::OUTCOME_REPLACED) {
        ++cut_short;
      }
    }
    if (missing + cut_short == 0) return "";
    return absl::StrCat(
        "the daemon did not report ", missing > 0 ? "the start" : "the last image executed", " in ",
        missing + cut_short, " of ", FormatCount(collector_.runs().size(), "run"), " within ",
        absl::ToInt64Seconds(kGrace), " s of the end (see startscope status for losses)");
  }

  const RunOptions& options_;
  const ResolvedCommand command_;
  OutputSink out_;
  Connection& connection_;
  SignalGuard& signals_;
  RunCollector collector_;
  std::unique_ptr<WatchStream> stream_;
  startscope::v1::Armed armed_degradations_;
  bool armed_ = false;
  std::optional<Failure> stream_failure_;
  std::vector<std::string> losses_;
  TimelineAssembler timelines_;
  std::vector<startscope::v1::LoaderEvent> loader_events_;
  std::vector<std::string> load_set_;  // with --cold: what to evict
  std::vector<std::string> eviction_notes_;
  absl::Status write_status_;
  int interrupted_by_ = 0;
  absl::Time ended_at_ = absl::InfinitePast();
  absl::Time last_arrival_ = absl::InfinitePast();
};

}  // namespace

int RunCommand(const RunOptions& options) {
  const char* search_path = getenv("PATH");
  auto resolved = ResolveCommand(options.command.front(),
                                 search_path == nullptr ? "/bin:/usr/bin" : search_path);
  if (auto* failure = std::get_if<Failure>(&resolved)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  if (const auto program = ProgramForLoader(options.command)) {
    std::get<ResolvedCommand>(resolved).images.push_back(*program);
  }
  OutputSink out = OutputSink::ForDescriptor(
      options.common.format == Format::kJson ? STDOUT_FILENO : STDERR_FILENO);
  if (!options.output_file.empty()) {
    absl::StatusOr<OutputSink> file = OutputSink::ForFile(options.output_file);
    if (!file.ok()) {
      PrintError(std::string(file.status().message()));
      return kExitRunFailed;
    }
    out = *std::move(file);
  }
  SignalGuard signals;
  auto opened = Connection::Open({.address = options.common.address});
  if (auto* failure = std::get_if<Failure>(&opened)) {
    PrintError(std::string(failure->status.message()));
    return failure->exit_code;
  }
  RunSession session(options, std::move(std::get<ResolvedCommand>(resolved)), std::move(out),
                     *std::get<std::unique_ptr<Connection>>(opened), signals);
  return session.Run();
}

}  // namespace startscope
