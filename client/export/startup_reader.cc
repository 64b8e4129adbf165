// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/render/text_sanitizer.h"
#include "google/protobuf/util/json_util.h"

namespace startscope {
namespace {

constexpr size_t kMaxQuotedBytes = 160;

enum class Line : uint8_t { kRead, kTooLong, kEnd };

// Never holds more than kMaxLineBytes; what is beyond is skipped.
Line NextLine(std::istream& input, std::string& line) {
  line.clear();
  bool any = false;
  bool too_long = false;
  std::streambuf& buffer = *input.rdbuf();
  for (int c = buffer.sbumpc(); c != std::char_traits<char>::eof(); c = buffer.sbumpc()) {
    any = true;
    if (c == '\n') break;
    too_long |= line.size() >= kMaxLineBytes;
    if (!too_long) line.push_back(static_cast<char>(c));
  }
  if (!any) return Line::kEnd;
  return too_long ? Line::kTooLong : Line::kRead;
}

// What `watch --format json` writes between startups.
bool IsOther(const std::string& line) {
  for (const char* key : {"loader_event", "startup_stuck", "resume_gap", "throttled"}) {
    if (absl::StartsWith(line, absl::StrCat("{\"", key, "\":"))) return true;
  }
  return false;
}

}  // namespace

ReadCounts ReadStartups(std::istream& input, const std::string& name,
                        const std::function<bool(startscope::v1::Startup startup)>& take) {
  ReadCounts counts;
  std::string line;
  uint64_t number = 0;
  const auto bad = [&](const std::string& why) {
    if (counts.bad++ == 0) {
      counts.first_error =
          absl::StrCat(SanitizeText(name, true), ":", number,
                       ": not a startup: ", SanitizeText(why.substr(0, kMaxQuotedBytes), true),
                       " (each line must be as startscope watch --format json writes it)");
    }
  };
  google::protobuf::util::JsonParseOptions options;
  // Of a newer version.
  options.ignore_unknown_fields = true;
  for (Line read = NextLine(input, line); read != Line::kEnd; read = NextLine(input, line)) {
    ++number;
    if (read == Line::kTooLong) {
      bad(absl::StrCat("longer than ", kMaxLineBytes >> 20, " MiB"));
      continue;
    }
    absl::StripAsciiWhitespace(&line);
    if (line.empty()) continue;
    if (IsOther(line)) {
      ++counts.other;
      continue;
    }
    startscope::v1::Startup startup;
    const auto parsed = google::protobuf::util::JsonStringToMessage(line, &startup, options);
    if (!parsed.ok()) {
      bad(std::string(parsed.message()));
    } else if (startup.startup_id().empty()) {
      bad("it has no startup_id");
    } else {
      ++counts.startups;
      if (!take(std::move(startup))) break;
    }
  }
  return counts;
}

}  // namespace startscope
