// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_accounts.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/table.h"
#include "client/render/text_run_summary.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kMaxRows = 8;
constexpr int kMinNameWidth = 14;
constexpr int kFigures = 24;  // the columns beside the names

std::string Omitted(uint64_t count, const std::string& noun, const TerminalStyle& terminal) {
  if (count == 0) return "";
  return RenderItems("not listed", {FormatCount(count, noun)}, terminal);
}

std::string FilesTable(const startscope::v1::StorageReads& storage, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  Table table({{"read from storage"}, {"pages", Align::kRight}, {"waited", Align::kRight}},
              kIndent);
  const auto time = [&](bool has, uint64_t value) {
    return has ? FormatDuration(value, glyphs) : glyphs.unmeasured;
  };
  uint64_t rest_pages = 0;
  int rest = 0;
  for (int i = 0; i < storage.files_size(); ++i) {
    const auto& file = storage.files(i);
    if (i >= kMaxRows && storage.files_size() > kMaxRows + 1) {
      rest_pages += file.pages();
      ++rest;
      continue;
    }
    const std::string name =
        file.path().empty()
            ? absl::StrCat("inode ", file.inode(), " on ",
                           SanitizeText(file.device(), terminal.utf8), ", never mapped")
            : SanitizeText(file.path(), terminal.utf8);
    table.AddRow(
        {CutLeft(name, std::max(kMinNameWidth, terminal.width - kFigures), glyphs.ellipsis),
         absl::StrCat(file.pages()), time(file.has_wait_ns(), file.wait_ns())});
  }
  if (rest > 0) table.AddRow({absl::StrCat(rest, " others"), absl::StrCat(rest_pages), ""});
  return table.empty() ? "" : table.Render(terminal);
}

}  // namespace

std::string RenderBlame(const Startup& startup, const TerminalStyle& terminal) {
  std::vector<std::string> items;
  for (const auto& share : startup.blame()) {
    std::string item = absl::StrCat(ReasonName(share.reason()), " ",
                                    FormatDuration(share.duration_ns(), terminal.glyphs), " (",
                                    FormatShare(share.duration_ns(), startup.total_ns()), ")");
    if (!share.object().empty()) {
      absl::StrAppend(&item, " ", SanitizeText(BaseName(share.object()), terminal.utf8));
    }
    items.push_back(std::move(item));
  }
  return items.empty() ? "" : RenderItems("time", items, terminal);
}

std::string RenderStorage(const Startup& startup, const TerminalStyle& terminal) {
  if (startup.temperature() == startscope::v1::START_TEMPERATURE_UNSPECIFIED) return "";
  std::vector<std::string> items = {TemperatureName(startup.temperature())};
  const auto& storage = startup.storage();
  const bool warm = startup.temperature() == startscope::v1::START_TEMPERATURE_WARM;
  if (!warm) {
    std::string read = storage.has_bytes() ? FormatBytes(storage.bytes()) + " read" : "";
    if (storage.has_pages()) {
      absl::StrAppend(&read, read.empty() ? "" : ", ", FormatCount(storage.pages(), "page"),
                      " brought in");
    }
    if (!read.empty()) items.push_back(std::move(read));
    if (storage.has_wait_ns()) {
      items.push_back("waited " + FormatDuration(storage.wait_ns(), terminal.glyphs));
    }
  }
  if (!startup.temperature_evidence().empty()) {
    // "5 of 5 program files read from storage (git, libc.so.6, …)"
    const std::string evidence = SanitizeText(startup.temperature_evidence(), terminal.utf8);
    const size_t names = evidence.find(" (");
    items.push_back(evidence.substr(0, names));
    if (names != std::string::npos) items.push_back(evidence.substr(names + 1));
  }
  std::string text = RenderItems("storage", items, terminal);
  if (!warm) text += FilesTable(storage, terminal);
  return text + Omitted(storage.files_omitted(), "file", terminal);
}

std::string RenderSyscalls(const Startup& startup, const TerminalStyle& terminal) {
  if (!startup.has_syscalls()) return "";
  const Glyphs& glyphs = terminal.glyphs;
  const auto& use = startup.syscalls();
  Table calls({{"system call"},
               {"calls", Align::kRight},
               {"errors", Align::kRight},
               {"time", Align::kRight},
               {"off CPU", Align::kRight}},
              kIndent);
  uint64_t rest[4] = {};
  int others = 0;
  for (int i = 0; i < use.totals_size(); ++i) {
    const auto& total = use.totals(i);
    if (i < kMaxRows || use.totals_size() == kMaxRows + 1) {
      calls.AddRow({SanitizeText(total.name(), terminal.utf8), absl::StrCat(total.calls()),
                    absl::StrCat(total.errors()), FormatDuration(total.duration_ns(), glyphs),
                    FormatDuration(total.off_cpu_ns(), glyphs)});
      continue;
    }
    ++others;
    rest[0] += total.calls();
    rest[1] += total.errors();
    rest[2] += total.duration_ns();
    rest[3] += total.off_cpu_ns();
  }
  if (others > 0) {
    calls.AddRow({absl::StrCat(others, " others"), absl::StrCat(rest[0]), absl::StrCat(rest[1]),
                  FormatDuration(rest[2], glyphs), FormatDuration(rest[3], glyphs)});
  }
  std::string text = calls.empty() ? "" : calls.Render(terminal);
  Table searches({{"looked for in vain"}, {"in"}, {"times", Align::kRight}}, kIndent);
  const int width = std::max(20, (terminal.width - 16) / 2);
  for (int i = 0; i < std::min(use.searches_size(), kMaxRows); ++i) {
    const auto& search = use.searches(i);
    searches.AddRow(
        {CutLeft(SanitizeText(search.name(), terminal.utf8), width, glyphs.ellipsis),
         CutLeft(SanitizeText(search.directory(), terminal.utf8), width, glyphs.ellipsis),
         absl::StrCat(search.count())});
  }
  if (use.searches_size() > kMaxRows) {
    searches.AddRow({absl::StrCat(use.searches_size() - kMaxRows, " others"), "", ""});
  }
  if (!searches.empty()) text += searches.Render(terminal);
  return text + Omitted(use.calls_omitted(), "call", terminal) +
         Omitted(use.searches_omitted(), "search", terminal);
}

std::string RenderBlameSummary(const std::vector<const Startup*>& startups,
                               const TerminalStyle& terminal) {
  std::map<startscope::v1::TimeReason, std::vector<uint64_t>> values;
  std::map<startscope::v1::StartTemperature, size_t> temperatures;
  for (const Startup* startup : startups) {
    std::map<startscope::v1::TimeReason, uint64_t> sums;
    for (const auto& share : startup->blame()) sums[share.reason()] += share.duration_ns();
    for (const auto& [reason, sum] : sums) values[reason].push_back(sum);
    if (startup->temperature() != startscope::v1::START_TEMPERATURE_UNSPECIFIED) {
      ++temperatures[startup->temperature()];
    }
  }
  std::vector<std::pair<uint64_t, startscope::v1::TimeReason>> medians;
  for (auto& [reason, of_runs] : values) {
    of_runs.resize(startups.size());  // a startup without this reason spent nothing on it
    medians.emplace_back(SpreadOf(of_runs).median, reason);
  }
  std::sort(medians.rbegin(), medians.rend());
  std::vector<std::string> items;
  for (const auto& [median, reason] : medians) {
    if (median == 0) continue;
    items.push_back(absl::StrCat(ReasonName(reason), " ", FormatDuration(median, terminal.glyphs)));
  }
  std::string text = items.empty() ? "" : RenderItems("time, medians", items, terminal);
  items.clear();
  for (const auto& [temperature, count] : temperatures) {
    items.push_back(absl::StrCat(TemperatureName(temperature), " ", count));
  }
  return items.empty() ? text : text + RenderItems("storage", items, terminal);
}

}  // namespace startscope
