// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_inits.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/render/demangle.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::InitCall;
using startscope::v1::MappedObject;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr size_t kMaxRows = 12;
constexpr size_t kMaxItems = 8;
constexpr int kMinWhatWidth = 12;
constexpr int kMinWidthForBlocked = 84;

struct Call {
  const MappedObject* object;
  const InitCall* call;
};

// "foo_init (foo.cc)": what the file tells of it, or its address.
std::string What(const InitCall& call, const TerminalStyle& terminal) {
  const bool package = call.kind() == startscope::v1::INIT_KIND_GO_PACKAGE;
  const std::string unit = SanitizeText(call.unit(), terminal.utf8);
  if (package && !unit.empty()) return unit;
  std::string what = call.symbol().empty() ? absl::StrCat("0x", absl::Hex(call.address()))
                                           : ReadableSymbol(call.symbol(), terminal.utf8);
  if (!unit.empty()) absl::StrAppend(&what, " (", unit, ")");
  return what;
}

// Costliest first; those that were not timed last, in the order in which they ran.
void SortByCost(std::vector<Call>* calls) {
  std::stable_sort(calls->begin(), calls->end(), [](const Call& a, const Call& b) {
    if (a.call->has_duration_ns() != b.call->has_duration_ns()) return a.call->has_duration_ns();
    if (a.call->duration_ns() != b.call->duration_ns()) {
      return a.call->duration_ns() > b.call->duration_ns();
    }
    return a.call->offset_ns() < b.call->offset_ns();
  });
}

std::string RenderCalls(const char* title, std::vector<Call> calls, bool with_object,
                        const TerminalStyle& terminal) {
  if (calls.empty()) return "";
  SortByCost(&calls);
  const Glyphs& glyphs = terminal.glyphs;
  const auto time = [&](bool has, uint64_t value) {
    return has ? FormatDuration(value, glyphs) : glyphs.unmeasured;
  };
  const bool blocked = terminal.width >= kMinWidthForBlocked &&
                       std::any_of(calls.begin(), calls.end(),
                                   [](const Call& call) { return call.call->blocked_ns() > 0; });
  std::vector<Column> columns = {{"took", Align::kRight}, {"at", Align::kRight}};
  if (blocked) columns.push_back({"blocked", Align::kRight});
  columns.push_back({"faults", Align::kRight});
  if (with_object) columns.push_back({"of"});
  columns.push_back({title});
  const size_t shown = std::min(kMaxRows, calls.size());
  const auto build = [&](int what_width) {
    Table table(columns, kIndent);
    for (size_t i = 0; i < shown; ++i) {
      const InitCall& call = *calls[i].call;
      std::vector<Cell> cells = {time(call.has_duration_ns(), call.duration_ns()),
                                 FormatDuration(call.offset_ns(), glyphs)};
      if (blocked) cells.emplace_back(time(call.has_blocked_ns(), call.blocked_ns()));
      cells.emplace_back(FaultPair(call.has_minor_faults(), call.minor_faults(),
                                   call.has_major_faults(), call.major_faults(), glyphs));
      if (with_object) {
        cells.emplace_back(CutRight(ShortObjectName(*calls[i].object, terminal.utf8),
                                    std::max(kMinWhatWidth, terminal.width / 4), glyphs.ellipsis));
      }
      cells.emplace_back(CutRight(What(call, terminal), what_width, glyphs.ellipsis));
      table.AddRow(std::move(cells));
    }
    return table;
  };
  const int room = terminal.width - build(0).WidthBeforeLast();
  std::string text = build(std::max(kMinWhatWidth, room)).Render(terminal);
  if (shown < calls.size()) {
    uint64_t rest_ns = 0;
    bool measured = true;
    for (size_t i = shown; i < calls.size(); ++i) {
      measured = measured && calls[i].call->has_duration_ns();
      rest_ns += calls[i].call->duration_ns();
    }
    text += RenderItems(
        "and", {FormatCount(calls.size() - shown, "other"), time(measured, rest_ns) + " together"},
        terminal);
  }
  return text;
}

std::string RenderTls(const Startup& startup, const TerminalStyle& terminal) {
  if (!startup.has_tls()) return "";
  const auto& tls = startup.tls();
  std::vector<std::string> items = {
      absl::StrCat(FormatBytes(tls.bytes()), " of ", FormatCount(tls.objects(), "object"))};
  items.push_back(
      tls.has_duration_ns()
          ? absl::StrCat("set up in ", FormatDuration(tls.duration_ns(), terminal.glyphs),
                         tls.has_offset_ns() ? absl::StrCat(" at ", FormatDuration(tls.offset_ns(),
                                                                                   terminal.glyphs))
                                             : "",
                         " (", SourceName(tls.source()), ")")
          : "time " + terminal.glyphs.unmeasured);
  return RenderItems("thread-local storage", items, terminal);
}

std::string RenderThreads(const Startup& startup, const TerminalStyle& terminal) {
  if (startup.threads().empty()) return "";
  std::vector<std::string> items;
  for (const auto& thread : startup.threads()) {
    if (items.size() == kMaxItems) {
      items.push_back(absl::StrCat(startup.threads_size() - static_cast<int>(kMaxItems), " more"));
      break;
    }
    items.push_back(absl::StrCat(thread.tid(), " at ",
                                 FormatDuration(thread.offset_ns(), terminal.glyphs), " in ",
                                 PhaseName(thread.phase())));
  }
  return RenderItems("threads made", items, terminal);
}

std::string RenderSearches(const Startup& startup, const TerminalStyle& terminal) {
  struct Searched {
    const MappedObject* object;
    uint64_t misses;
  };
  std::vector<Searched> searched;
  for (const MappedObject& object : startup.objects()) {
    uint64_t misses = 0;
    for (const auto& miss : object.search_misses()) misses += miss.count();
    if (misses > 0) searched.push_back({&object, misses});
  }
  if (searched.empty()) return "";
  std::stable_sort(searched.begin(), searched.end(), [](const Searched& a, const Searched& b) {
    if (a.object->search_ns() != b.object->search_ns()) {
      return a.object->search_ns() > b.object->search_ns();
    }
    return a.misses > b.misses;
  });
  std::vector<std::string> items;
  for (const Searched& entry : searched) {
    if (items.size() == kMaxItems) {
      items.push_back(absl::StrCat(searched.size() - kMaxItems, " more"));
      break;
    }
    items.push_back(absl::StrCat(
        ShortObjectName(*entry.object, terminal.utf8), " in ", FormatCount(entry.misses, "place"),
        entry.object->has_search_ns()
            ? absl::StrCat(", ", FormatDuration(entry.object->search_ns(), terminal.glyphs))
            : ""));
  }
  return RenderItems("looked for in vain", items, terminal);
}

}  // namespace

std::string RenderInits(const Startup& startup, const TerminalStyle& terminal) {
  std::vector<Call> constructors;
  std::vector<Call> packages;
  uint64_t omitted = 0;
  for (const MappedObject& object : startup.objects()) {
    for (const InitCall& call : object.init_calls()) {
      const bool package = call.kind() == startscope::v1::INIT_KIND_GO_PACKAGE;
      (package ? packages : constructors).push_back({&object, &call});
    }
    omitted += object.init_calls_omitted();
  }
  std::string text = RenderCalls("constructor", std::move(constructors), true, terminal);
  text += RenderCalls("Go package", std::move(packages), false, terminal);
  if (omitted > 0) {
    text +=
        RenderItems("not listed", {absl::StrCat(omitted, " more (beyond the limit)")}, terminal);
  }
  text += RenderTls(startup, terminal);
  text += RenderThreads(startup, terminal);
  text += RenderSearches(startup, terminal);
  return text;
}

}  // namespace startscope
