// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/watch_request.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/render/names.h"
#include "client/render/units.h"

namespace startscope {

startscope::v1::WatchStartupsRequest WatchRequest(const MeasureOptions& measure) {
  startscope::v1::WatchStartupsRequest request;
  request.set_level(measure.level);
  request.set_precision(measure.precision);
  request.set_until(measure.until);
  if (measure.deadline_s.has_value()) {
    const auto nanoseconds = static_cast<int64_t>(*measure.deadline_s * 1e9);
    request.mutable_deadline()->set_seconds(nanoseconds / 1'000'000'000);
    request.mutable_deadline()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  }
  request.set_waits(measure.waits);
  request.set_syscalls(measure.syscalls);
  request.set_samples(measure.samples);
  request.set_loader_events(measure.loader_events);
  if (measure.level == startscope::v1::LEVEL_PAGES) {
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

void PrintError(const std::string& message) {
  // One write: other processes share this stderr.
  const std::string line = absl::StrCat("startscope: ", message, "\n");
  fputs(line.c_str(), stderr);
  fflush(stderr);
}

}  // namespace startscope
