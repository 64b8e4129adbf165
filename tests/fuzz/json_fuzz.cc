// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Startups as JSON and back, and lines of any bytes as startups. The first byte says which. What
// the client writes is one line that shows all its characters, and is read again as the very same
// message; what cannot be written, a time outside of JSON's years, is an error that says so.

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>

#include "client/export/startup_reader.h"
#include "client/json.h"
#include "startscope/v1/startup_service.pb.h"
#include "tests/fuzz/hostile_texts.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/text_rules.h"

namespace {

using namespace startscope;      // NOLINT: what is written and read
using namespace startscope::v1;  // NOLINT: the messages
using google::protobuf::util::MessageDifferencer;

// Of google.protobuf.Timestamp: the years 1 to 9999.
bool IsTime(const google::protobuf::Timestamp& time) {
  return time.seconds() >= -62'135'596'800 && time.seconds() <= 253'402'300'799 &&
         time.nanos() >= 0 && time.nanos() <= 999'999'999;
}

void RequireLine(const std::string& line) {
  Require(!line.empty() && line.back() == '\n');
  RequireHarmlessLine(line.substr(0, line.size() - 1));
}

void CheckStartup(const Startup& startup) {
  const absl::StatusOr<std::string> line = ToJsonLine(startup);
  Require(line.ok() == (!startup.has_exec_time() || IsTime(startup.exec_time())));
  if (!line.ok()) return RequireHarmlessLine(std::string(line.status().message()));
  RequireLine(*line);
  Startup again;
  Require(google::protobuf::util::JsonStringToMessage(*line, &again).ok());
  Require(MessageDifferencer::Equals(startup, again));
  // As the exporter reads it, between what else `watch` writes.
  std::istringstream input(WrapJson("throttled", "{}\n") + *line);
  const ReadCounts counts = ReadStartups(input, "input", [&](Startup read) {
    Require(MessageDifferencer::Equals(startup, read));
    return true;
  });
  Require(counts.other == 1);
  Require(counts.startups + counts.bad == 1);
  Require(counts.startups == (startup.startup_id().empty() ? 0 : 1));
}

void CheckEvent(const WatchStartupsResponse& message) {
  const absl::StatusOr<std::string> line = ToJsonLine(message.loader_event());
  Require(line.ok());
  RequireLine(WrapJson("loader_event", *line));
  LoaderEvent again;
  Require(google::protobuf::util::JsonStringToMessage(*line, &again).ok());
  Require(MessageDifferencer::Equals(message.loader_event(), again));
}

void CheckReader(std::span<const uint8_t> bytes) {
  std::istringstream input(std::string(bytes.begin(), bytes.end()));
  uint64_t taken = 0;
  const ReadCounts counts = ReadStartups(input, "in\x1bput", [&](const Startup& startup) {
    Require(!startup.startup_id().empty());
    ++taken;
    return true;
  });
  Require(counts.startups == taken);
  const auto lines = static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n')) + 1;
  Require(counts.startups + counts.other + counts.bad <= lines);
  Require(counts.first_error.empty() == (counts.bad == 0));
  Require(counts.first_error.size() <= 4096);
  RequireHarmlessLine(counts.first_error);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  const bool every = data[0] >= 128;
  switch (data[0] % 3) {
    case 0:
      if (Startup startup; ParseHostile(rest, startup, every)) CheckStartup(startup);
      break;
    case 1:
      if (WatchStartupsResponse event; ParseHostile(rest, event, every)) CheckEvent(event);
      break;
    default:
      CheckReader(rest);
  }
  return 0;
}
