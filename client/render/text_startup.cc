// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_startup.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/object_table.h"
#include "client/render/phase_table.h"
#include "client/render/text_accounts.h"
#include "client/render/text_inits.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_timeline.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

constexpr int kIndent = 2;

std::string RenderJoined(const std::string& label, const std::vector<std::string>& items,
                         const std::string& sign, const TerminalStyle& terminal) {
  const std::string separator = absl::StrCat(" ", sign, " ");
  const std::string indent(kIndent, ' ');
  std::string text = indent + Styled(label + ":", TextStyle::kDim, terminal);
  int column = kIndent + DisplayWidth(label) + 1;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string& item = items[i];
    const int width = DisplayWidth(item);
    // An item that is not the last may be followed by the sign that ends its line.
    const int after = i + 1 < items.size() ? 1 + DisplayWidth(sign) : 0;
    const int needed = DisplayWidth(separator) + width + after;
    if (i == 0) {
      text += " " + item;
      column += 1 + width;
    } else if (column + needed <= terminal.width) {
      text += separator + item;
      column += DisplayWidth(separator) + width;
    } else {
      text += absl::StrCat(" ", sign, "\n", indent, indent, item);
      column = 2 * kIndent + width;
    }
  }
  return text + "\n";
}

std::string Identity(const Startup& startup, const TerminalStyle& terminal) {
  const auto& process = startup.process();
  const auto safe = [&](const std::string& text) { return SanitizeText(text, terminal.utf8); };
  std::string text = RenderItems("id", {safe(startup.startup_id())}, terminal);
  std::vector<std::string> who = {safe(process.executable()),
                                  absl::StrCat("parent ", process.parent_pid()),
                                  absl::StrCat("uid ", process.uid())};
  if (process.secure()) who.push_back("with raised privileges");
  text += RenderItems("process", who, terminal);
  std::vector<std::string> where;
  if (!process.cgroup_path().empty()) where.push_back(safe(process.cgroup_path()));
  if (!process.container_id().empty()) {
    where.push_back(absl::StrCat("container ", safe(process.container_id().substr(0, 12))));
  }
  if (process.has_pod()) {
    const auto& pod = process.pod();
    where.push_back(pod.name().empty()
                        ? absl::StrCat("pod ", safe(pod.uid()))
                        : absl::StrCat("pod ", safe(pod.namespace_()), "/", safe(pod.name())));
  }
  if (!where.empty()) text += RenderItems("cgroup", where, terminal);
  if (!startup.runtime().evidence().empty()) {
    text += RenderItems("recognised by", {safe(startup.runtime().evidence())}, terminal);
  }
  return text;
}

// How the program was named, when that is not its file.
std::string Script(const Startup& startup, const TerminalStyle& terminal) {
  const auto& process = startup.process();
  std::vector<std::string> items;
  if (!process.filename().empty()) items.push_back(SanitizeText(process.filename(), terminal.utf8));
  if (!process.interpreter().empty()) {
    items.push_back(
        absl::StrCat("interpreted by ", SanitizeText(process.interpreter(), terminal.utf8)));
  }
  return items.empty() ? "" : RenderItems("started as", items, terminal);
}

std::string Milestones(const Startup& startup, const TerminalStyle& terminal) {
  std::vector<std::string> items;
  for (const auto& milestone : startup.milestones()) {
    items.push_back(absl::StrCat(MilestoneName(milestone.kind()), " ",
                                 FormatDuration(milestone.offset_ns(), terminal.glyphs)));
  }
  if (startup.has_spawn_ns()) {
    items.push_back(
        absl::StrCat("spawned ", FormatDuration(startup.spawn_ns(), terminal.glyphs), " before"));
  }
  if (startup.has_threads_created() && startup.threads_created() > 0) {
    items.push_back(FormatCount(startup.threads_created(), "thread") + " created");
  }
  return items.empty() ? "" : RenderItems("milestones", items, terminal);
}

// Where each phase's begin comes from, then the last one's end.
std::string Boundaries(const Startup& startup, const TerminalStyle& terminal) {
  if (startup.phases().empty()) return "";
  std::vector<std::string> items;
  for (const auto& slice : startup.phases()) {
    items.push_back(absl::StrCat(PhaseName(slice.phase()), " ", SourceName(slice.begin_source())));
  }
  items.push_back(
      absl::StrCat("end ", SourceName(startup.phases(startup.phases_size() - 1).end_source())));
  return RenderItems("boundaries", items, terminal);
}

std::string KernelCount(const Startup& startup, const TerminalStyle& terminal) {
  const auto& faults = startup.faults();
  if (!faults.has_kernel_minor() && !faults.has_kernel_major()) return "";
  const std::string kernel =
      FaultPair(faults.has_kernel_minor(), faults.kernel_minor(), faults.has_kernel_major(),
                faults.kernel_major(), terminal.glyphs);
  const bool comparable = faults.has_minor() && faults.has_major() && faults.has_kernel_minor() &&
                          faults.has_kernel_major();
  const bool equal = comparable && faults.minor() == faults.kernel_minor() &&
                     faults.major() == faults.kernel_major();
  return absl::StrCat("kernel's own fault count ", kernel,
                      !comparable ? ""
                      : equal     ? ", the same"
                                  : ", not the same");
}

std::string Observer(const Startup& startup, const TerminalStyle& terminal) {
  const auto& observer = startup.observer();
  std::vector<std::string> items = {FormatCount(observer.probe_hits(), "probe hit"),
                                    FormatCount(observer.records(), "record")};
  if (observer.has_estimated_cost_ns()) {
    items.push_back(
        absl::StrCat("+", FormatDuration(observer.estimated_cost_ns(), terminal.glyphs), " (",
                     FormatShare(observer.estimated_cost_ns(), startup.total_ns()), ")"));
  } else {
    items.push_back(absl::StrCat("cost ", terminal.glyphs.unmeasured));
  }
  if (observer.has_added_minor_faults()) {
    items.push_back(absl::StrCat("+", FormatCount(observer.added_minor_faults(), "fault")));
  } else {
    items.push_back(absl::StrCat("added faults ", terminal.glyphs.unmeasured));
  }
  if (startup.precision() == startscope::v1::PRECISION_UNPERTURBED) items.push_back("unperturbed");
  if (const std::string kernel = KernelCount(startup, terminal); !kernel.empty()) {
    items.push_back(kernel);
  }
  return RenderItems("observer", items, terminal);
}

}  // namespace

std::string RenderItems(const std::string& label, const std::vector<std::string>& items,
                        const TerminalStyle& terminal) {
  return RenderJoined(label, items, terminal.glyphs.dot, terminal);
}

std::string RenderChain(const std::string& label, const std::vector<std::string>& items,
                        const TerminalStyle& terminal) {
  return RenderJoined(label, items, terminal.glyphs.arrow, terminal);
}

std::string RenderWords(const std::string& label, const std::string& sentence,
                        const TerminalStyle& terminal, TextStyle style) {
  const std::string indent(kIndent, ' ');
  std::string text = indent + Styled(label + ":", style, terminal);
  int column = kIndent + DisplayWidth(label) + 1;
  for (const std::string& word :
       std::vector<std::string>(absl::StrSplit(sentence, ' ', absl::SkipEmpty()))) {
    const int width = DisplayWidth(word);
    if (column + 1 + width > terminal.width) {
      text += absl::StrCat("\n", indent, indent, word);
      column = 2 * kIndent + width;
    } else {
      text += " " + word;
      column += 1 + width;
    }
  }
  return text + "\n";
}

std::string RenderDegradations(
    const google::protobuf::RepeatedPtrField<startscope::v1::Degradation>& degradations,
    const TerminalStyle& terminal) {
  std::string text;
  for (const auto& degradation : degradations) {
    const DegradationText words = DescribeDegradation(degradation.kind());
    std::string line = words.what;
    if (degradation.count() > 1) absl::StrAppend(&line, " (", degradation.count(), " times)");
    if (!degradation.detail().empty()) {
      // The daemon's detail says what to do for the very case, which beats general advice.
      absl::StrAppend(&line, ": ", SanitizeText(degradation.detail(), terminal.utf8));
    } else if (!words.advice.empty()) {
      absl::StrAppend(&line, "; ", words.advice);
    }
    text += RenderWords("warning", line, terminal);
  }
  return text;
}

std::string RenderHeader(const Startup& startup, const TerminalStyle& terminal) {
  const std::string separator = absl::StrCat(" ", terminal.glyphs.dot, " ");
  const std::string name = absl::StrCat(ShortName(startup.process(), terminal.utf8), " (pid ",
                                        startup.process().pid(), ")");
  const std::string outcome = OutcomePhrase(startup, terminal.glyphs);
  const bool fine = startup.outcome() == startscope::v1::OUTCOME_REACHED ||
                    startup.outcome() == startscope::v1::OUTCOME_REPLACED;
  const std::string runtime = RuntimeName(startup.runtime(), terminal.utf8);
  const std::string break_line = "\n  ";
  std::string between[2] = {separator, separator};
  if (DisplayWidth(name + separator + runtime + separator + outcome) > terminal.width) {
    between[0] = break_line;
    if (DisplayWidth(runtime + separator + outcome) + kIndent > terminal.width) {
      between[1] = break_line;
    }
  }
  return absl::StrCat(Styled(name, TextStyle::kBold, terminal), between[0], runtime, between[1],
                      Styled(outcome, fine ? TextStyle::kBold : TextStyle::kWarning, terminal),
                      "\n");
}

std::string RenderStartup(const Startup& startup, const TerminalStyle& terminal, bool identity) {
  std::string text = RenderHeader(startup, terminal);
  if (identity) text += Identity(startup, terminal);
  text += Script(startup, terminal);
  text += RenderPhaseTable(startup, terminal);
  text += RenderBlame(startup, terminal);
  text += RenderObjectTable(startup, terminal);
  text += RenderInits(startup, terminal);
  text += RenderSlowFaults(startup, terminal);
  text += RenderSyscalls(startup, terminal);
  text += RenderStorage(startup, terminal);
  text += Milestones(startup, terminal);
  text += Boundaries(startup, terminal);
  text += Observer(startup, terminal);
  text += RenderDegradations(startup.degradations(), terminal);
  return text;
}

}  // namespace startscope
