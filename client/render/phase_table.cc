// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/phase_table.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/render/bars.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::PhaseSlice;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kWideBar = 16;
constexpr int kNarrowBar = 8;
constexpr int kMinWidthForWideBar = 112;
constexpr int kMinWidthForBar = 72;
constexpr char kDetailsTitle[] = "where the time went";

struct Part {
  uint64_t time_ns = 0;
  std::string text;
};

// The parts of a phase that were measured and are at least a hundredth of it, longest first: its reasons,
// which exclude one another, or from a daemon that gives none what was measured side by side.
std::vector<Part> NotableParts(const PhaseSlice& slice, const Glyphs& glyphs) {
  std::vector<Part> parts;
  std::map<startscope::v1::TimeReason, uint64_t> reasons;
  for (const auto& share : slice.blame()) reasons[share.reason()] += share.duration_ns();
  const auto add = [&](bool measured, uint64_t time_ns, const char* name) {
    if (!measured || time_ns == 0 || time_ns * 100 < slice.duration_ns()) return;
    parts.push_back({time_ns, absl::StrCat(name, " ", FormatDuration(time_ns, glyphs))});
  };
  for (const auto& [reason, time_ns] : reasons) add(true, time_ns, ReasonName(reason).c_str());
  if (reasons.empty()) {
    add(slice.has_compute_ns(), slice.compute_ns(), "compute");
    // Compute is the on-CPU time less the faults': showing both would count time twice.
    add(slice.has_on_cpu_ns() && !slice.has_compute_ns(), slice.on_cpu_ns(), "on CPU");
    add(slice.has_fault_ns(), slice.fault_ns(), "faults");
    add(slice.has_runqueue_ns(), slice.runqueue_ns(), "run queue");
    add(slice.has_blocked_ns(), slice.blocked_ns(), "blocked");
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.time_ns > b.time_ns; });
  if (slice.mmap_calls() > 0) {
    std::string mapped = FormatCount(slice.mmap_calls(), "mmap");
    if (slice.mapped_bytes() > 0) absl::StrAppend(&mapped, " ", FormatBytes(slice.mapped_bytes()));
    parts.push_back({0, mapped});
  }
  return parts;
}

std::string WhereTimeWent(const PhaseSlice& slice, const TerminalStyle& terminal, int room) {
  const bool measured = !slice.blame().empty() || slice.has_on_cpu_ns() || slice.has_compute_ns() || slice.has_fault_ns() ||
                        slice.has_runqueue_ns() || slice.has_blocked_ns();
  const std::vector<Part> parts = NotableParts(slice, terminal.glyphs);
  if (parts.empty()) return measured ? "" : terminal.glyphs.unmeasured;
  const std::string separator = absl::StrCat(" ", terminal.glyphs.dot, " ");
  std::string text;
  for (const Part& part : parts) {
    const std::string longer = text.empty() ? part.text : text + separator + part.text;
    if (DisplayWidth(longer) > room) break;
    text = longer;
  }
  return text;
}

}  // namespace

std::string RenderPhaseTable(const Startup& startup, const TerminalStyle& terminal) {
  const bool with_bar = terminal.width >= kMinWidthForBar;
  const int bar_width = terminal.width >= kMinWidthForWideBar ? kWideBar : kNarrowBar;
  const Glyphs& glyphs = terminal.glyphs;

  std::vector<Column> columns = {{"phase"}, {"start", Align::kRight}, {"time", Align::kRight}};
  columns.push_back({"share", Align::kRight});
  if (with_bar) columns.push_back({std::string(static_cast<size_t>(bar_width), ' ')});
  columns.push_back({"faults", Align::kRight});
  columns.push_back({kDetailsTitle});

  // The last column gets the room that the others leave, so those are laid out first.
  const auto build = [&](int room) {
    const bool with_details = room >= static_cast<int>(sizeof(kDetailsTitle) - 1);
    std::vector<Column> used = columns;
    if (!with_details) used.pop_back();
    Table table(std::move(used), kIndent);
    const auto add_row = [&](std::vector<Cell> cells) { table.AddRow(std::move(cells)); };
    for (const PhaseSlice& slice : startup.phases()) {
      std::vector<Cell> cells = {PhaseName(slice.phase()),
                                 FormatDuration(slice.offset_ns(), glyphs),
                                 FormatDuration(slice.duration_ns(), glyphs),
                                 FormatShare(slice.duration_ns(), startup.total_ns())};
      if (with_bar) {
        cells.emplace_back(Bar(slice.duration_ns(), startup.total_ns(), bar_width, terminal.utf8),
                           TextStyle::kBar);
      }
      cells.emplace_back(FaultPair(slice.has_minor_faults(), slice.minor_faults(),
                                   slice.has_major_faults(), slice.major_faults(), glyphs),
                         slice.major_faults() > 0 ? TextStyle::kWarning : TextStyle::kPlain);
      if (with_details) cells.emplace_back(WhereTimeWent(slice, terminal, room));
      add_row(std::move(cells));
      for (const auto& mark : slice.sub_marks()) {
        const std::string name = absl::StrCat("  ", SanitizeText(mark.name(), terminal.utf8));
        add_row({Cell(CutRight(name, 30, glyphs.ellipsis), TextStyle::kDim),
                 Cell(FormatDuration(mark.offset_ns(), glyphs), TextStyle::kDim)});
      }
    }
    std::vector<Cell> total = {Cell("total", TextStyle::kBold), "",
                               Cell(FormatDuration(startup.total_ns(), glyphs), TextStyle::kBold),
                               ""};
    if (with_bar) total.emplace_back("");
    const auto& faults = startup.faults();
    total.emplace_back(
        FaultPair(faults.has_minor(), faults.minor(), faults.has_major(), faults.major(), glyphs),
        TextStyle::kBold);
    if (with_details && faults.has_fault_ns()) {
      const std::string text = absl::StrCat("faults ", FormatDuration(faults.fault_ns(), glyphs));
      total.emplace_back(DisplayWidth(text) <= room ? text : "");
    }
    add_row(std::move(total));
    return table;
  };
  const int room = terminal.width - build(terminal.width).WidthBeforeLast();
  return build(room).Render(terminal);
}

}  // namespace startscope
