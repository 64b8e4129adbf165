// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_run_summary.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/render/bars.h"
#include "client/render/names.h"
#include "client/render/table.h"
#include "client/render/text_accounts.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::Phase;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kBarWidth = 12;
constexpr int kMinWidthForBar = 84;

// The same image in each run, with the run's number from 1.
using ImageRuns = std::vector<std::pair<size_t, const Startup*>>;

struct PhaseValues {
  std::vector<uint64_t> durations_ns;
  std::vector<uint64_t> faults;
};

std::vector<Cell> SpreadRow(const std::string& name, const Spread& spread, const Glyphs& glyphs) {
  return {name, FormatDuration(spread.median, glyphs), FormatDuration(spread.min, glyphs),
          FormatDuration(spread.max, glyphs), FormatDuration(spread.p95, glyphs)};
}

std::string FaultCell(const std::vector<uint64_t>& faults, const Glyphs& glyphs) {
  return faults.empty() ? glyphs.unmeasured : absl::StrCat(SpreadOf(faults).median);
}

std::string PhaseSpreads(const ImageRuns& runs, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  std::vector<uint64_t> totals;
  std::vector<uint64_t> total_faults;
  // In the phases' own order, which is that of their numbers but for runtimes that run constructors
  // late: the order seen first decides.
  std::vector<Phase> order;
  std::map<int, PhaseValues> phases;
  for (const auto& [number, startup] : runs) {
    totals.push_back(startup->total_ns());
    if (startup->faults().has_minor()) {
      total_faults.push_back(startup->faults().minor() + startup->faults().major());
    }
    for (const auto& slice : startup->phases()) {
      const auto [it, is_new] = phases.try_emplace(slice.phase());
      if (is_new) order.push_back(slice.phase());
      it->second.durations_ns.push_back(slice.duration_ns());
      if (slice.has_minor_faults()) {
        it->second.faults.push_back(slice.minor_faults() + slice.major_faults());
      }
    }
  }
  const Spread total = SpreadOf(totals);
  const bool with_bar = terminal.width >= kMinWidthForBar;
  std::vector<Column> columns = {{"phase"},
                                 {"median", Align::kRight},
                                 {"min", Align::kRight},
                                 {"max", Align::kRight},
                                 {"p95", Align::kRight},
                                 {"share", Align::kRight}};
  if (with_bar) columns.push_back({std::string(kBarWidth, ' ')});
  columns.push_back({"faults", Align::kRight});
  Table table(columns, kIndent);
  for (const Phase phase : order) {
    const PhaseValues& values = phases[phase];
    const Spread spread = SpreadOf(values.durations_ns);
    std::string name = PhaseName(phase);
    if (spread.count != runs.size()) {
      absl::StrAppend(&name, " (", spread.count, " of ", runs.size(), ")");
    }
    std::vector<Cell> cells = SpreadRow(name, spread, glyphs);
    cells.emplace_back(FormatShare(spread.median, total.median));
    if (with_bar) {
      cells.emplace_back(Bar(spread.median, total.median, kBarWidth, terminal.utf8),
                         TextStyle::kBar);
    }
    cells.emplace_back(FaultCell(values.faults, glyphs));
    table.AddRow(std::move(cells));
  }
  std::vector<Cell> cells = SpreadRow("total", total, glyphs);
  cells.emplace_back("");
  if (with_bar) cells.emplace_back("");
  cells.emplace_back(FaultCell(total_faults, glyphs));
  for (Cell& cell : cells) cell.style = TextStyle::kBold;
  table.AddRow(std::move(cells));
  return table.Render(terminal);
}

std::string Extremes(const ImageRuns& runs, const TerminalStyle& terminal) {
  const auto [fastest, slowest] = std::minmax_element(
      runs.begin(), runs.end(),
      [](const auto& a, const auto& b) { return a.second->total_ns() < b.second->total_ns(); });
  const auto item = [&](const char* name, const auto& run) {
    return absl::StrCat(name, " run ", run.first, " in ",
                        FormatDuration(run.second->total_ns(), terminal.glyphs));
  };
  return RenderItems("runs", {item("fastest", *fastest), item("slowest", *slowest)}, terminal);
}

std::string Outcomes(const ImageRuns& runs, size_t all_runs, const TerminalStyle& terminal) {
  std::map<std::string, size_t> counts;
  for (const auto& [number, startup] : runs) ++counts[OutcomeWord(*startup)];
  std::vector<std::string> items;
  for (const auto& [word, count] : counts) items.push_back(absl::StrCat(word, " ", count));
  if (runs.size() < all_runs) items.push_back(absl::StrCat("not seen ", all_runs - runs.size()));
  return RenderItems("outcomes", items, terminal);
}

// One warning per kind, with how many runs have it.
std::string Warnings(const ImageRuns& runs, const TerminalStyle& terminal) {
  std::map<int, std::pair<startscope::v1::Degradation, size_t>> kinds;
  for (const auto& [number, startup] : runs) {
    std::map<int, bool> counted;
    for (const auto& degradation : startup->degradations()) {
      auto& entry = kinds.try_emplace(degradation.kind(), degradation, 0).first->second;
      if (!std::exchange(counted[degradation.kind()], true)) ++entry.second;
    }
  }
  google::protobuf::RepeatedPtrField<startscope::v1::Degradation> merged;
  for (auto& [kind, entry] : kinds) {
    auto* degradation = merged.Add();
    degradation->set_kind(entry.first.kind());
    degradation->set_detail(
        absl::StrCat("in ", entry.second, " of ", runs.size(), " runs: ", entry.first.detail()));
  }
  return RenderDegradations(merged, terminal);
}

}  // namespace

Spread SpreadOf(std::vector<uint64_t> values) {
  std::sort(values.begin(), values.end());
  const size_t count = values.size();
  const size_t middle = count / 2;
  const uint64_t median = count % 2 == 1
                              ? values[middle]
                              : values[middle - 1] + (values[middle] - values[middle - 1]) / 2;
  const size_t rank = (count * 95 + 99) / 100;
  return {.count = count,
          .min = values.front(),
          .median = median,
          .p95 = values[rank - 1],
          .max = values.back()};
}

std::string RenderRunSummary(const std::vector<std::vector<Startup>>& runs,
                             const TerminalStyle& terminal) {
  size_t images = 0;
  for (const auto& run : runs) images = std::max(images, run.size());
  std::string text;
  for (size_t image = 0; image < images; ++image) {
    ImageRuns same;
    for (size_t run = 0; run < runs.size(); ++run) {
      if (image < runs[run].size()) same.emplace_back(run + 1, &runs[run][image]);
    }
    const Startup& first = *same.front().second;
    absl::StrAppend(&text,
                    Styled(ShortName(first.process(), terminal.utf8), TextStyle::kBold, terminal),
                    " ", terminal.glyphs.dot, " ", RuntimeName(first.runtime(), terminal.utf8), " ",
                    terminal.glyphs.dot, " ", FormatCount(same.size(), "run"), "\n");
    text += PhaseSpreads(same, terminal);
    std::vector<const Startup*> startups;
    for (const auto& [number, startup] : same) startups.push_back(startup);
    text += RenderBlameSummary(startups, terminal);
    text += Extremes(same, terminal);
    text += Outcomes(same, runs.size(), terminal);
    text += Warnings(same, terminal);
  }
  return text;
}

}  // namespace startscope
