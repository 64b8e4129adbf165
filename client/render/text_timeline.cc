// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_timeline.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::FaultEntry;
using startscope::v1::MappingEntry;
using startscope::v1::Startup;
using startscope::v1::TimelineEntry;

constexpr int kIndent = 2;
constexpr size_t kMaxSlow = 8;
constexpr int kMinWhereWidth = 12;
constexpr uint64_t kPageBytes = 4096;

// "libc.so.6+0x1d3000", or the address where no file is.
std::string Place(const std::string& object, uint64_t file_offset, uint64_t address,
                  const TerminalStyle& terminal) {
  if (object.empty()) return absl::StrCat("0x", absl::Hex(address));
  const std::string name = SanitizeText(BaseName(object), terminal.utf8);
  if (object[0] == '[' || (file_offset == 0 && address % kPageBytes != 0)) {
    return absl::StrCat(name, " 0x", absl::Hex(address));
  }
  return absl::StrCat(name, "+0x", absl::Hex(file_offset));
}

std::string FaultKind(const FaultEntry& fault) {
  std::string kind = fault.major() ? "major " : "";
  if (!fault.access_known()) return kind + "fault";
  absl::StrAppend(&kind, fault.instruction_fetch() ? "fetch" : fault.write() ? "write" : "read");
  if (fault.kernel_mode()) absl::StrAppend(&kind, " by kernel");
  return kind;
}

std::string Function(const FaultEntry& fault, const TerminalStyle& terminal) {
  if (!fault.symbol().empty()) {
    return absl::StrCat("in ", SanitizeText(fault.symbol(), terminal.utf8));
  }
  if (fault.instruction_object().empty()) return "";
  return absl::StrCat("at ", Place(fault.instruction_object(), fault.instruction_offset(),
                                   fault.instruction_address(), terminal));
}

std::string Window(const FaultEntry& fault) {
  if (!fault.has_around() || fault.around().pages() < 2) return "";
  return absl::StrCat("with ", fault.around().pages(), " pages from 0x",
                      absl::Hex(fault.around().file_offset()));
}

std::string MappingText(const MappingEntry& mapping, const TerminalStyle& terminal) {
  std::vector<std::string> words = {
      absl::StrCat(Place(mapping.object(), mapping.file_offset(), mapping.address(), terminal))};
  if (mapping.size_bytes() != 0) words.push_back(FormatBytes(mapping.size_bytes()));
  if (!mapping.permissions().empty()) {
    words.push_back(SanitizeText(mapping.permissions(), terminal.utf8));
  }
  if (mapping.error() != 0) words.push_back(absl::StrCat("failed with errno ", mapping.error()));
  return absl::StrJoin(words, " ");
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty()) absl::StrAppend(&text, text.empty() ? "" : ", ", part);
  }
  return text;
}

struct Line {
  std::string what;
  std::string duration;
  std::string where;
};

Line LineOf(const TimelineEntry& entry, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  const auto time = [&](bool has, uint64_t value) {
    return has ? FormatDuration(value, glyphs) : glyphs.unmeasured;
  };
  switch (entry.entry_case()) {
    case TimelineEntry::kFault: {
      const FaultEntry& fault = entry.fault();
      return {FaultKind(fault), time(fault.has_latency_ns(), fault.latency_ns()),
              Join({Place(fault.object(), fault.file_offset(), fault.address(), terminal),
                    Function(fault, terminal), Window(fault)})};
    }
    case TimelineEntry::kMapping:
      return {OperationName(entry.mapping().operation()),
              time(entry.mapping().has_duration_ns(), entry.mapping().duration_ns()),
              MappingText(entry.mapping(), terminal)};
    case TimelineEntry::kMark:
      return {"mark", "",
              absl::StrCat(SanitizeText(entry.mark().name(), terminal.utf8), " (",
                           SourceName(entry.mark().source()), ")")};
    case TimelineEntry::kWait:
      return {WaitName(entry.wait().reason()), FormatDuration(entry.wait().duration_ns(), glyphs),
              SanitizeText(BaseName(entry.wait().object()), terminal.utf8)};
    default:
      return {"unknown to this client", "", ""};
  }
}

std::string Omitted(uint64_t count, const TerminalStyle& terminal) {
  if (count == 0) return "";
  return RenderItems("not listed", {absl::StrCat(count, " more (beyond the limit)")}, terminal);
}

}  // namespace

std::string RenderSlowFaults(const Startup& startup, const TerminalStyle& terminal) {
  std::vector<const TimelineEntry*> faults;
  for (const auto& entry : startup.timeline()) {
    if (entry.has_fault() && entry.fault().has_latency_ns()) faults.push_back(&entry);
  }
  if (faults.empty()) return Omitted(startup.timeline_omitted(), terminal);
  const size_t shown = std::min(kMaxSlow, faults.size());
  std::partial_sort(faults.begin(), faults.begin() + static_cast<std::ptrdiff_t>(shown),
                    faults.end(), [](const TimelineEntry* a, const TimelineEntry* b) {
                      return a->fault().latency_ns() > b->fault().latency_ns();
                    });
  const auto build = [&](int where_width) {
    Table table({{"slowest faults"}, {"took", Align::kRight}, {"at", Align::kRight}, {"where"}},
                kIndent);
    for (size_t i = 0; i < shown; ++i) {
      Line line = LineOf(*faults[i], terminal);
      table.AddRow({std::move(line.what), std::move(line.duration),
                    FormatDuration(faults[i]->offset_ns(), terminal.glyphs),
                    CutRight(line.where, where_width, terminal.glyphs.ellipsis)});
    }
    return table;
  };
  // The place takes what the figures leave.
  const int left = terminal.width - build(0).WidthBeforeLast();
  return build(std::max(kMinWhereWidth, left)).Render(terminal) +
         Omitted(startup.timeline_omitted(), terminal);
}

std::string RenderTimeline(const Startup& startup, const TerminalStyle& terminal) {
  if (startup.timeline().empty()) return "";
  Table table({{"at", Align::kRight}, {"timeline"}, {"took", Align::kRight}, {"where"}}, kIndent);
  startscope::v1::Phase phase = startscope::v1::PHASE_UNSPECIFIED;
  for (const auto& entry : startup.timeline()) {
    if (entry.phase() != phase) {
      phase = entry.phase();
      table.AddRow({"", Cell(PhaseName(phase), TextStyle::kBold), "", ""});
    }
    Line line = LineOf(entry, terminal);
    if (entry.tid() != startup.process().pid())
      absl::StrAppend(&line.where, " (thread ", entry.tid(), ")");
    const bool major = entry.has_fault() && entry.fault().major();
    table.AddRow({FormatDuration(entry.offset_ns(), terminal.glyphs),
                  Cell(std::move(line.what), major ? TextStyle::kWarning : TextStyle::kPlain),
                  std::move(line.duration), std::move(line.where)});
  }
  return table.Render(terminal) + Omitted(startup.timeline_omitted(), terminal);
}

std::string RenderPages(const Startup& startup, const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  std::string text;
  for (const auto& object : startup.objects()) {
    if (object.pages().empty()) continue;
    Table table({{"order", Align::kRight},
                 {SanitizeText(object.path(), terminal.utf8)},
                 {"faults", Align::kRight},
                 {"fault time", Align::kRight},
                 {"first touch", Align::kRight},
                 {"access"}},
                kIndent);
    for (const auto& page : object.pages()) {
      const bool in_file = object.inode() != 0 &&
                           (page.file_offset() != 0 || page.address() == object.load_address());
      table.AddRow(
          {absl::StrCat(page.touch_order()),
           absl::StrCat(in_file ? "+0x" : "0x",
                        absl::Hex(in_file ? page.file_offset() : page.address())),
           FaultPair(true, page.minor_faults(), true, page.major_faults(), glyphs),
           page.has_fault_ns() ? FormatDuration(page.fault_ns(), glyphs) : glyphs.unmeasured,
           FormatDuration(page.first_touch_offset_ns(), glyphs),
           Join({page.written() ? "written" : "", page.fetched() ? "executed" : ""})});
    }
    text += table.Render(terminal) + Omitted(object.pages_omitted(), terminal);
  }
  return text;
}

std::string RenderLoaderCall(const startscope::v1::LoaderEvent& event,
                             const TerminalStyle& terminal) {
  const Glyphs& glyphs = terminal.glyphs;
  const auto safe = [&](const std::string& text) { return SanitizeText(text, terminal.utf8); };
  const bool closes = event.kind() == startscope::v1::LOADER_EVENT_KIND_CLOSE;
  const std::string what =
      closes ? "closed"
      : event.objects().empty()
          ? "opened again, nothing new"
          : absl::StrCat("loaded ", FormatCount(event.objects_size(), "object"));
  std::vector<std::string> items = {
      absl::StrCat(ShortName(event.process(), terminal.utf8), " (pid ", event.process().pid(), ")"),
      absl::StrCat(what, " ", FormatDuration(event.offset_ns(), glyphs), " after its begin")};
  if (!event.requested().empty()) items.push_back("asked for " + safe(event.requested()));
  if (!event.caller_object().empty()) {
    items.push_back(
        absl::StrCat("by ", Place(event.caller_object(), event.caller_offset(), 0, terminal)));
  }
  if (event.has_duration_ns() && !event.objects().empty()) {
    items.push_back("in " + FormatDuration(event.duration_ns(), glyphs));
    items.push_back(absl::StrCat(FaultPair(event.has_minor_faults(), event.minor_faults(),
                                           event.has_major_faults(), event.major_faults(), glyphs),
                                 " faults"));
  }
  return RenderItems("loader", items, terminal);
}

std::string RenderLoaderEvent(const startscope::v1::LoaderEvent& event,
                              const TerminalStyle& terminal) {
  std::string text = RenderLoaderCall(event, terminal);
  for (const auto& object : event.objects()) {
    absl::StrAppend(&text, std::string(2 * kIndent, ' '),
                    CutLeft(SanitizeText(object.path(), terminal.utf8),
                            std::max(20, terminal.width - 2 * kIndent), terminal.glyphs.ellipsis),
                    "\n");
  }
  return text;
}

}  // namespace startscope
