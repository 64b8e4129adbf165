// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/watch_request.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/render/names.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"

namespace startscope {
namespace {

void SetSeconds(double seconds, google::protobuf::Duration* duration) {
  const auto nanoseconds = static_cast<int64_t>(seconds * 1e9);
  duration->set_seconds(nanoseconds / 1'000'000'000);
  duration->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

}  // namespace

startscope::v1::WatchStartupsRequest WatchRequest(const MeasureOptions& measure) {
  startscope::v1::WatchStartupsRequest request;
  request.set_level(measure.level);
  request.set_precision(measure.precision);
  request.set_until(measure.until);
  if (measure.deadline_s.has_value()) SetSeconds(*measure.deadline_s, request.mutable_deadline());
  if (measure.stuck_after_s.has_value()) {
    SetSeconds(*measure.stuck_after_s, request.mutable_stuck_after());
  }
  request.set_waits(measure.waits);
  request.set_syscalls(measure.syscalls);
  request.set_samples(measure.samples);
  request.set_loader_events(measure.loader_events);
  if (measure.level >= startscope::v1::LEVEL_PAGES) {
    request.set_stream_timeline(true);
    request.set_timeline_limit(measure.timeline_limit.value_or(0));
  }
  return request;
}

bool IsEmpty(const startscope::v1::Filter& filter) { return filter.ByteSizeLong() == 0; }

std::string DescribeLoss(const startscope::v1::RecordsLost& lost) {
  const bool startups = lost.stage() == startscope::v1::LOSS_STAGE_SUBSCRIBER ||
                        lost.stage() == startscope::v1::LOSS_STAGE_MODEL;
  return absl::StrCat("lost ", FormatCount(lost.count(), startups ? "startup" : "record"), " (",
                      LossStageName(lost.stage()), ", ", lost.total(), " in all)",
                      lost.stage() == startscope::v1::LOSS_STAGE_SUBSCRIBER
                          ? ": this client reads too slowly for what it asked for"
                          : ": figures around here may be incomplete");
}

std::string DescribeGap(const startscope::v1::ResumeGap& gap) {
  std::string text;
  switch (gap.reason()) {
    case startscope::v1::RESUME_GAP_REASON_RING_OVERRAN:
      text = gap.has_matching()
                 ? absl::StrCat(FormatCount(gap.matching(), "startup"), " of this watch")
                 : absl::StrCat("up to ", FormatCount(gap.count(), "startup"));
      return absl::StrCat("missed ", text,
                          ": more finished meanwhile than the daemon keeps (its --keep)");
    case startscope::v1::RESUME_GAP_REASON_DAEMON_RESTARTED:
      return "the daemon was restarted: what started while there was none was not seen";
    case startscope::v1::RESUME_GAP_REASON_MACHINE_REBOOTED:
      return "the machine was restarted: what started before the daemon was not seen";
    case startscope::v1::RESUME_GAP_REASON_NOT_FOLLOWED:
      return "the daemon did not follow for this watch meanwhile: what started then may be missing";
    case startscope::v1::RESUME_GAP_REASON_NOT_KEPT:
      return "progress and loader events of the meantime are missing: the daemon does not keep them";
    default:
      return "something of the meantime is missing";
  }
}

std::string DescribeThrottled(const startscope::v1::Throttled& throttled) {
  const std::string group =
      throttled.cgroup_id() == 0      ? "control groups that are gone"
      : throttled.cgroup_path().empty() ? absl::StrCat("control group ", throttled.cgroup_id())
                                        : absl::StrCat("control group ",
                                                       SanitizeText(throttled.cgroup_path(), true));
  return absl::StrCat("not followed: ", FormatCount(throttled.count(), "startup"), " of ", group,
                      ", which begins too many (", throttled.total(),
                      " in all; the daemon's --cgroup-rate)");
}

void PrintError(const std::string& message) {
  // One write: other processes share this stderr.
  const std::string line = absl::StrCat("startscope: ", SanitizeLines(message, true), "\n");
  fputs(line.c_str(), stderr);
  fflush(stderr);
}

}  // namespace startscope
