// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/watch_line.h"

#include <time.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::PhaseSlice;
using startscope::v1::Startup;

constexpr int kTimeWidth = 12;
constexpr int kPidWidth = 7;
constexpr int kTotalWidth = 8;
constexpr int kPhaseWidth = 26;
constexpr int kFaultsWidth = 8;
constexpr int kOutcomeWidth = 13;
constexpr int kGaps = 2;
constexpr int kMinWidthForPhase = 92;

int NameWidth(const TerminalStyle& terminal) {
  int others = kTimeWidth + kPidWidth + kTotalWidth + kFaultsWidth + kOutcomeWidth + 5 * kGaps;
  if (terminal.width >= kMinWidthForPhase) others += kPhaseWidth + kGaps;
  return std::max(8, terminal.width - others);
}

struct Fields {
  std::string time, pid, name, total, phase, faults, outcome;
};

std::string Line(const Fields& fields, const TerminalStyle& terminal) {
  const std::string gap(kGaps, ' ');
  const std::string& ellipsis = terminal.glyphs.ellipsis;
  const int name_width = NameWidth(terminal);
  std::string line =
      absl::StrCat(PadRight(fields.time, kTimeWidth), gap, PadLeft(fields.pid, kPidWidth), gap,
                   PadRight(CutLeft(fields.name, name_width, ellipsis), name_width), gap,
                   PadLeft(fields.total, kTotalWidth), gap);
  if (terminal.width >= kMinWidthForPhase) {
    absl::StrAppend(&line, PadRight(CutRight(fields.phase, kPhaseWidth, ellipsis), kPhaseWidth),
                    gap);
  }
  absl::StrAppend(&line, PadLeft(fields.faults, kFaultsWidth), gap, fields.outcome);
  return line;
}

}  // namespace

std::string ClockTime(const Startup& startup, const Glyphs& glyphs) {
  if (!startup.has_exec_time()) return glyphs.unmeasured;
  const time_t seconds = static_cast<time_t>(startup.exec_time().seconds());
  tm local{};
  localtime_r(&seconds, &local);
  return absl::StrFormat("%02d:%02d:%02d.%03d", local.tm_hour, local.tm_min, local.tm_sec,
                         startup.exec_time().nanos() / 1'000'000);
}

std::string WatchHeading(const TerminalStyle& terminal) {
  return Styled(Line({"time", "pid", "program", "total", "longest phase", "faults", "outcome"},
                     terminal),
                TextStyle::kDim, terminal) +
         "\n";
}

std::string WatchLine(const Startup& startup, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  const auto& process = startup.process();
  const auto longest = std::max_element(
      startup.phases().begin(), startup.phases().end(),
      [](const PhaseSlice& a, const PhaseSlice& b) { return a.duration_ns() < b.duration_ns(); });
  const bool fine = startup.outcome() == startscope::v1::OUTCOME_REACHED ||
                    startup.outcome() == startscope::v1::OUTCOME_REPLACED;
  const auto& faults = startup.faults();
  Fields fields;
  fields.time = ClockTime(startup, glyphs);
  fields.pid = absl::StrCat(process.pid());
  fields.name = process.executable().empty() ? ShortName(process, terminal.utf8)
                                             : SanitizeText(process.executable(), terminal.utf8);
  fields.total = FormatDuration(startup.total_ns(), glyphs);
  if (longest != startup.phases().end()) {
    fields.phase = absl::StrCat(PhaseName(longest->phase()), " ",
                                FormatShare(longest->duration_ns(), startup.total_ns()));
  }
  fields.faults =
      FaultPair(faults.has_minor(), faults.minor(), faults.has_major(), faults.major(), glyphs);
  fields.outcome = OutcomeWord(startup);
  if (!startup.degradations().empty()) fields.outcome += " !";
  const std::string line = Line(fields, terminal);
  return (fine ? line : Styled(line, TextStyle::kWarning, terminal)) + "\n";
}

}  // namespace startscope
