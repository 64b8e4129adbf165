// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/watch_request.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/text_escape.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

constexpr int kMaxPrepared = 16;
constexpr size_t kMaxPath = 4096;
constexpr int kMaxPreparedLibraries = 1024;
constexpr uint64_t kDefaultDeadlineNs = 60'000'000'000;
constexpr int64_t kMaxDeadlineSeconds = 3600;

absl::StatusOr<uint64_t> ToNs(const google::protobuf::Duration& duration, const char* field) {
  const int64_t seconds = duration.seconds();
  const int64_t nanos = duration.nanos();
  if (seconds < 0 || nanos < 0 || seconds > kMaxDeadlineSeconds || (seconds == 0 && nanos == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": must be above 0 and at most ", kMaxDeadlineSeconds, " seconds"));
  }
  return static_cast<uint64_t>(seconds) * 1'000'000'000 + static_cast<uint64_t>(nanos);
}

absl::StatusOr<std::vector<std::string>> ToPaths(
    const google::protobuf::RepeatedPtrField<std::string>& paths, int most, const char* field) {
  if (paths.size() > most) return absl::InvalidArgumentError(absl::StrCat(field, ": at most ", most));
  std::vector<std::string> bytes;
  for (const std::string& text : paths) {
    const std::string path = UnescapeFromUtf8(text);
    if (path.empty() || path[0] != '/' || path.size() > kMaxPath ||
        path.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": paths must be absolute and at most ", kMaxPath, " bytes"));
    }
    bytes.push_back(path);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<WatchSpec> ParseRequest(const v1::WatchStartupsRequest& request) {
  WatchSpec spec;
  switch (request.level()) {
    case v1::LEVEL_UNSPECIFIED:
    case v1::LEVEL_PHASES:
      spec.level = Level::kPhases;
      break;
    case v1::LEVEL_OBJECTS:
      spec.level = Level::kObjects;
      break;
    case v1::LEVEL_PAGES:
      spec.level = Level::kPages;
      break;
    case v1::LEVEL_FUNCTIONS:
      spec.level = Level::kFunctions;
      break;
    default:
      return absl::InvalidArgumentError("level: not a value of startscope.v1.Level");
  }
  switch (request.precision()) {
    case v1::PRECISION_UNSPECIFIED:
    case v1::PRECISION_EXACT:
      spec.precision = Precision::kExact;
      break;
    case v1::PRECISION_UNPERTURBED:
      spec.precision = Precision::kUnperturbed;
      break;
    default:
      return absl::InvalidArgumentError("precision: not a value of startscope.v1.Precision");
  }
  switch (request.until()) {
    case v1::UNTIL_UNSPECIFIED:
    case v1::UNTIL_MAIN:
      spec.until_exit = false;
      break;
    case v1::UNTIL_EXIT:
      spec.until_exit = true;
      break;
    default:
      return absl::UnimplementedError(
          absl::StrCat("until: ", v1::Until_Name(request.until()),
                       " is not offered by this version; use UNTIL_MAIN or UNTIL_EXIT"));
  }
  spec.waits = request.waits();
  spec.syscalls = request.syscalls();
  spec.samples = request.samples();
  spec.loader_events = request.loader_events();
  const uint32_t greatest = request.stream_timeline() ? kTimelineStreamed : kTimelineInline;
  if (request.timeline_limit() > greatest) {
    return absl::InvalidArgumentError(
        absl::StrCat("timeline_limit: at most ", greatest,
                     request.stream_timeline() ? "" : ", or more with stream_timeline"));
  }
  spec.deadline_ns = kDefaultDeadlineNs;
  if (request.has_deadline()) {
    SS_ASSIGN_OR_RETURN(spec.deadline_ns, ToNs(request.deadline(), "deadline"));
  }
  if (request.has_stuck_after()) {
    absl::StatusOr<uint64_t> after = ToNs(request.stuck_after(), "stuck_after");
    if (!after.ok()) return after.status();
    spec.stuck_after_ns = *after;
  }
  SS_ASSIGN_OR_RETURN(spec.prepare_executables,
                      ToPaths(request.prepare_executables(), kMaxPrepared, "prepare_executables"));
  SS_ASSIGN_OR_RETURN(spec.prepare_libraries,
                      ToPaths(request.prepare_libraries(), kMaxPreparedLibraries,
                              "prepare_libraries"));
  if (!spec.prepare_libraries.empty() && spec.level < Level::kFunctions) {
    return absl::InvalidArgumentError(
        "prepare_libraries: only level FUNCTIONS has marks in libraries");
  }
  return spec;
}

}  // namespace startscope
