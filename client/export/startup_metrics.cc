// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_metrics.h"

#include "client/export/enum_label.h"

namespace startscope {
namespace {

using namespace startscope::v1;  // NOLINT: the message types are all that this file is about

constexpr double kSecondsPerNs = 1e-9;

prometheus::Family<prometheus::Counter>& CounterFamily(prometheus::Registry& registry,
                                                       const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& HistogramFamily(prometheus::Registry& registry,
                                                           const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

prometheus::Histogram::BucketBoundaries ExponentialBuckets(double first, double factor, int count) {
  prometheus::Histogram::BucketBoundaries bounds;
  for (double bound = first; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

prometheus::Histogram::BucketBoundaries StartupBuckets() {
  return ExponentialBuckets(50e-6, 2, 20);
}

// Every phase has a histogram of its own: half as fine, so that they are not most of the series.
prometheus::Histogram::BucketBoundaries PhaseBuckets() { return ExponentialBuckets(50e-6, 4, 10); }

StartupMetrics::StartupMetrics(prometheus::Registry& registry, const std::string& version)
    : duration_(
          HistogramFamily(registry, "startscope_startup_duration_seconds",
                          "Exec to the end condition (main, unless --until says otherwise) of "
                          "startups that reached it."),
          {"libc", "language"}, StartupBuckets()),
      phase_duration_(HistogramFamily(registry, "startscope_startup_phase_duration_seconds",
                                      "Each phase of startups that reached their end condition."),
                      {"phase"}, PhaseBuckets()),
      startups_(
          CounterFamily(registry, "startscope_startups_total", "Startups, by how they ended."),
          {"outcome"}),
      temperatures_(CounterFamily(registry, "startscope_startups_by_temperature_total",
                                  "Startups, by whether their files were in memory."),
                    {"temperature"}),
      faults_(CounterFamily(registry, "startscope_page_faults_total",
                            "Page faults inside startups, by phase."),
              {"kind", "phase"}),
      time_by_reason_(CounterFamily(registry, "startscope_startup_seconds_total",
                                    "Time inside startups, by its one reason."),
                      {"reason"}),
      object_faults_(CounterFamily(registry, "startscope_object_page_faults_total",
                                   "Page faults inside startups, by the kind of what was mapped "
                                   "there (level objects or above)."),
                     {"kind", "object_kind"}),
      degraded_(CounterFamily(registry, "startscope_startup_degradations_total",
                              "Reasons why startups are less than fully measured."),
                {"kind"}),
      lost_(CounterFamily(registry, "startscope_watch_lost_total",
                          "What this exporter's watch did not get: startups at the stages model, "
                          "subscriber and throttled, records at the others."),
            {"stage"}),
      stuck_(CounterFamily(registry, "startscope_startups_stuck_total",
                           "Times that a startup was told to go on for too long.")
                 .Add({})),
      throttled_(CounterFamily(registry, "startscope_startups_throttled_total",
                               "Startups not followed because their control group began too many.")
                     .Add({})),
      gaps_(CounterFamily(registry, "startscope_watch_gaps_total",
                          "Times that a resumed watch could not have all it missed."),
            {"reason"}),
      gap_startups_(CounterFamily(registry, "startscope_watch_gap_startups_total",
                                  "Startups missing in these gaps, where their number is known.")
                        .Add({})),
      storage_bytes_(CounterFamily(registry, "startscope_startup_storage_read_bytes_total",
                                   "Read from storage inside startups."),
                     {}),
      reconnects_(CounterFamily(registry, "startscope_watch_reconnects_total",
                                "Times that the watch came back to a daemon.")
                      .Add({})),
      up_(prometheus::BuildGauge()
              .Name("startscope_daemon_up")
              .Help("1 while the watch is live, 0 while there is no daemon.")
              .Register(registry)
              .Add({})) {
  prometheus::BuildGauge()
      .Name("startscope_build_info")
      .Help("1; the label tells the exporter's version.")
      .Register(registry)
      .Add({{"version", version}})
      .Set(1);
  // A counter that appears with its first event has no increase to be seen: rates would miss it.
  for (int value = OUTCOME_REACHED; value <= OUTCOME_INCOMPLETE; ++value) {
    startups_.Get({EnumLabel(Outcome_Name(static_cast<Outcome>(value)), "OUTCOME_")});
  }
  for (int value = LOSS_STAGE_KERNEL_RING; value <= LossStage_MAX; ++value) {
    lost_.Get({EnumLabel(LossStage_Name(static_cast<LossStage>(value)), "LOSS_STAGE_")});
  }
}

void StartupMetrics::Observe(const Startup& startup) {
  startups_.Get({EnumLabel(Outcome_Name(startup.outcome()), "OUTCOME_")}).Increment();
  temperatures_.Get({EnumLabel(StartTemperature_Name(startup.temperature()), "START_TEMPERATURE_")})
      .Increment();
  const bool reached = startup.outcome() == OUTCOME_REACHED;
  if (reached) {
    duration_
        .Get({EnumLabel(Libc_Name(startup.runtime().libc()), "LIBC_"),
              EnumLabel(Language_Name(startup.runtime().language()), "LANGUAGE_")})
        .Observe(static_cast<double>(startup.total_ns()) * kSecondsPerNs);
  }
  for (const PhaseSlice& slice : startup.phases()) {
    const std::string phase = EnumLabel(Phase_Name(slice.phase()), "PHASE_");
    if (reached) {
      phase_duration_.Get({phase}).Observe(static_cast<double>(slice.duration_ns()) *
                                           kSecondsPerNs);
    }
    if (slice.minor_faults() > 0) {
      faults_.Get({"minor", phase}).Increment(static_cast<double>(slice.minor_faults()));
    }
    if (slice.major_faults() > 0) {
      faults_.Get({"major", phase}).Increment(static_cast<double>(slice.major_faults()));
    }
  }
  for (const TimeShare& share : startup.blame()) {
    time_by_reason_.Get({EnumLabel(TimeReason_Name(share.reason()), "TIME_REASON_")})
        .Increment(static_cast<double>(share.duration_ns()) * kSecondsPerNs);
  }
  for (const MappedObject& object : startup.objects()) {
    const std::string kind = EnumLabel(ObjectKind_Name(object.kind()), "OBJECT_KIND_");
    object_faults_.Get({"minor", kind}).Increment(static_cast<double>(object.minor_faults()));
    object_faults_.Get({"major", kind}).Increment(static_cast<double>(object.major_faults()));
  }
  for (const Degradation& degradation : startup.degradations()) {
    degraded_.Get({EnumLabel(DegradationKind_Name(degradation.kind()), "DEGRADATION_KIND_")})
        .Increment();
  }
  if (startup.storage().has_bytes()) {
    storage_bytes_.Get({}).Increment(static_cast<double>(startup.storage().bytes()));
  }
}

void StartupMetrics::Observe(const WatchStartupsResponse& message) {
  switch (message.event_case()) {
    case WatchStartupsResponse::kStartupFinished:
      Observe(message.startup_finished());
      break;
    case WatchStartupsResponse::kRecordsLost:
      lost_.Get({EnumLabel(LossStage_Name(message.records_lost().stage()), "LOSS_STAGE_")})
          .Increment(static_cast<double>(message.records_lost().count()));
      break;
    case WatchStartupsResponse::kStartupStuck:
      stuck_.Increment();
      break;
    case WatchStartupsResponse::kThrottled:
      throttled_.Increment(static_cast<double>(message.throttled().count()));
      break;
    case WatchStartupsResponse::kResumeGap: {
      const ResumeGap& gap = message.resume_gap();
      gaps_.Get({EnumLabel(ResumeGapReason_Name(gap.reason()), "RESUME_GAP_REASON_")}).Increment();
      gap_startups_.Increment(
          static_cast<double>(gap.has_matching() ? gap.matching() : gap.count()));
      break;
    }
    default:
      break;
  }
}

void StartupMetrics::SetDaemonUp(bool up) { up_.Set(up ? 1 : 0); }

void StartupMetrics::OnReconnect() { reconnects_.Increment(); }

}  // namespace startscope
