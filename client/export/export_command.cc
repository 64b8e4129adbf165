// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/export_command.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/commands/watch_request.h"
#include "client/export/otlp_pusher.h"
#include "client/export/otlp_settings.h"
#include "client/export/otlp_transport.h"
#include "client/export/startup_follower.h"
#include "client/export/startup_reader.h"
#include "client/export/trace_exporter.h"
#include "client/render/units.h"
#include "client/version.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// How often trouble is told of while it lasts.
constexpr absl::Duration kTellInterval = absl::Seconds(10);

int Fail(ExitCode code, const absl::Status& status) {
  PrintError(std::string(status.message()));
  return code;
}

// Tells of what did not get there, not more often than the interval.
class Teller {
 public:
  void Tell(const SinkCounts& counts, absl::Time now) {
    if (now < next_ || (counts.dropped() == told_ && counts.rejected_spans == told_spans_)) return;
    next_ = now + kTellInterval;
    told_ = counts.dropped();
    told_spans_ = counts.rejected_spans;
    PrintError(Describe(counts));
  }

  static std::string Describe(const SinkCounts& counts) {
    std::string text = absl::StrCat(
        "dropped ", FormatCount(counts.dropped(), "startup"), " (queue full ", counts.dropped_queue,
        ", not reached ", counts.dropped_unreachable, ", refused ", counts.dropped_refused, ")");
    if (counts.rejected_spans > 0) {
      absl::StrAppend(&text, ", ", counts.rejected_spans, " spans rejected");
    }
    if (!counts.last_error.empty()) absl::StrAppend(&text, ": ", counts.last_error);
    return text;
  }

 private:
  absl::Time next_ = absl::InfinitePast();
  uint64_t told_ = 0;
  uint64_t told_spans_ = 0;
};

class ExportHandler : public FollowHandler {
 public:
  ExportHandler(TraceExporter& exporter, TraceSink& sink, std::optional<uint64_t> limit)
      : exporter_(exporter), sink_(sink), limit_(limit) {}

  bool OnMessage(startscope::v1::WatchStartupsResponse& message) override {
    switch (message.event_case()) {
      case startscope::v1::WatchStartupsResponse::kStartupFinished:
        exporter_.Offer(std::move(*message.mutable_startup_finished()), absl::Now());
        break;
      case startscope::v1::WatchStartupsResponse::kRecordsLost:
        PrintError(DescribeLoss(message.records_lost()));
        break;
      case startscope::v1::WatchStartupsResponse::kResumeGap:
        PrintError(DescribeGap(message.resume_gap()));
        break;
      case startscope::v1::WatchStartupsResponse::kThrottled:
        PrintError(DescribeThrottled(message.throttled()));
        break;
      default:
        break;
    }
    return !sink_.broken() && (!limit_.has_value() || exporter_.sampler().offered() < *limit_);
  }

  void OnUp(bool) override {}
  void OnDown(const std::string&) override {}

  void OnTick(Connection*) override {
    const absl::Time now = absl::Now();
    exporter_.Tick(now);
    teller_.Tell(sink_.counts(), now);
  }

 private:
  TraceExporter& exporter_;
  TraceSink& sink_;
  const std::optional<uint64_t> limit_;
  Teller teller_;
};

absl::StatusOr<std::unique_ptr<TraceSink>> MakeSink(const ExportOptions& options,
                                                    const otlp::Resource& resource) {
  if (options.format == ExportFormat::kOtlpHttp) {
    OtlpSettings settings;
    SS_ASSIGN_OR_RETURN(settings, ReadOtlpSettings(options.otlp, ProcessEnvironment));
    PrintError(absl::StrCat("pushing to ", ToText(settings.endpoint)));
    return std::make_unique<OtlpPusher>(MakeHttpTransport(settings, kVersion), resource, kVersion,
                                        PushOptions{.wait_for_room = !options.files.empty()});
  }
  if (options.output_file.empty()) {
    return std::make_unique<JsonLinesSink>(OutputSink::ForDescriptor(STDOUT_FILENO), resource,
                                           kVersion);
  }
  absl::StatusOr<OutputSink> out = OutputSink::ForFile(options.output_file);
  if (!out.ok()) return out.status();
  return std::make_unique<JsonLinesSink>(*std::move(out), resource, kVersion);
}

// False: it could not be opened, or not all of it was startups.
bool ReadFile(const std::string& name, TraceExporter& exporter, const TraceSink& sink,
              const std::optional<uint64_t>& limit) {
  std::ifstream file;
  if (name != "-") {
    file.open(name);
    if (!file) {
      PrintError(std::string(ErrnoStatus(errno, name, "cannot read startups from it").message()));
      return false;
    }
  }
  const ReadCounts counts = ReadStartups(
      name == "-" ? std::cin : file, name == "-" ? "stdin" : name,
      [&](startscope::v1::Startup startup) {
        exporter.Offer(std::move(startup), absl::Now());
        return !sink.broken() && (!limit.has_value() || exporter.sampler().offered() < *limit);
      });
  if (counts.bad == 0) return true;
  PrintError(absl::StrCat(counts.first_error,
                          counts.bad > 1 ? absl::StrCat("; ", counts.bad, " such lines") : ""));
  return false;
}

void Summarise(const TraceExporter& exporter, const SinkCounts& counts) {
  const TailSampler& sampler = exporter.sampler();
  std::string text = absl::StrCat("exported ", counts.delivered, " of ",
                                  FormatCount(sampler.offered(), "startup"));
  if (sampler.left_out() + sampler.over_rate() > 0) {
    absl::StrAppend(&text, "; left out by sampling ", sampler.left_out(), ", for --rate ",
                    sampler.over_rate());
  }
  PrintError(text);
  if (counts.dropped() > 0 || counts.rejected_spans > 0) PrintError(Teller::Describe(counts));
}

}  // namespace

int ExportCommand(const ExportOptions& options) {
  const bool live = options.files.empty();
  // Before there are threads. Files are read until a signal ends the process.
  std::optional<SignalGuard> signals;
  if (live) signals.emplace();
  const absl::StatusOr<otlp::Resource> resource = ReadResource(live, kVersion, ProcessEnvironment);
  if (!resource.ok()) return Fail(kExitUsage, resource.status());
  absl::StatusOr<std::unique_ptr<TraceSink>> sink = MakeSink(options, *resource);
  if (!sink.ok()) {
    const bool usage = absl::IsInvalidArgument(sink.status());
    return Fail(usage ? kExitUsage : kExitDestination, sink.status());
  }
  TraceExporter exporter(options.sampling, options.traces, MachineOf(*resource), **sink);
  ExitCode code = kExitOk;
  if (live) {
    FollowOptions follow;
    follow.address = options.watch.address;
    follow.request = ExporterRequest(options.watch);
    follow.request.set_replay_recent(options.replay);
    if (options.watch.duration_s.has_value()) {
      follow.duration = absl::Seconds(*options.watch.duration_s);
    }
    ExportHandler handler(exporter, **sink, options.limit);
    code = Follow(follow, *signals, handler);
    if (code != kExitOk && exporter.sampler().offered() == 0) return code;
  } else {
    for (const std::string& name : options.files) {
      if (!ReadFile(name, exporter, **sink, options.limit)) code = kExitIncomplete;
    }
  }
  exporter.Finish();
  const SinkCounts counts = (*sink)->counts();
  Summarise(exporter, counts);
  if ((*sink)->broken()) return kExitDestination;
  if (code == kExitOk && (counts.dropped() > 0 || counts.rejected_spans > 0)) {
    code = kExitIncomplete;
  }
  return code;
}

}  // namespace startscope
