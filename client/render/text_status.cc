// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_status.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::GetStatusResponse;
using startscope::v1::ProbeStatus;

constexpr int kIndent = 2;
// Files beyond these are counted: a busy machine knows hundreds.
constexpr int kMaxImages = 20;

std::string KernelFeatures(const GetStatusResponse& status, const TerminalStyle& terminal) {
  Table table({{"kernel feature"}, {""}, {""}}, kIndent);
  for (const auto& feature : status.kernel().features()) {
    table.AddRow({SanitizeText(feature.name(), terminal.utf8),
                  Cell(feature.available() ? "yes" : "no",
                       feature.available() ? TextStyle::kPlain : TextStyle::kWarning),
                  SanitizeText(feature.detail(), terminal.utf8)});
  }
  return table.empty() ? "" : table.Render(terminal);
}

std::string Probes(const GetStatusResponse& status, const TerminalStyle& terminal) {
  Table table({{"probe"}, {"state"}, {"attached to", Align::kRight}, {""}}, kIndent);
  for (const ProbeStatus& probe : status.probes()) {
    const bool available = probe.state() != startscope::v1::PROBE_STATE_UNAVAILABLE;
    table.AddRow(
        {SanitizeText(probe.name(), terminal.utf8),
         Cell(ProbeStateName(probe.state()), available ? TextStyle::kPlain : TextStyle::kWarning),
         absl::StrCat(probe.attachments()), SanitizeText(probe.detail(), terminal.utf8)});
  }
  return table.empty() ? "" : table.Render(terminal);
}

std::string Explanation(const startscope::v1::LossCounter& loss, const TerminalStyle& terminal) {
  std::vector<std::string> parts;
  if (!loss.name().empty()) parts.push_back(SanitizeText(loss.name(), terminal.utf8));
  parts.push_back(loss.knob().empty() ? "no option changes it"
                                      : "raise with " + SanitizeText(loss.knob(), terminal.utf8));
  if (loss.lost() > 0 && !loss.consequence().empty()) {
    parts.push_back(SanitizeText(loss.consequence(), terminal.utf8));
  }
  return absl::StrJoin(parts, "; ");
}

std::string Privileges(const GetStatusResponse& status, const TerminalStyle& terminal) {
  const auto& privileges = status.privileges();
  Table table({{"privilege"}, {""}}, kIndent);
  for (const std::string& reason : privileges.reasons()) {
    // "CAP_X: why", "CAP_X is missing: why", or what else there is to say.
    const bool of_one = absl::StartsWith(reason, "CAP_");
    const size_t end = of_one ? std::min(reason.find_first_of(": "), reason.size()) : 0;
    const bool held = of_one && absl::StartsWith(reason.substr(end), ": ");
    const std::string rest = reason.substr(held ? end + 2 : end);
    table.AddRow({SanitizeText(reason.substr(0, end), terminal.utf8),
                  Cell(SanitizeText(std::string(absl::StripAsciiWhitespace(rest)), terminal.utf8),
                       held ? TextStyle::kPlain : TextStyle::kWarning)});
  }
  return table.empty() ? "" : table.Render(terminal);
}

std::string RunsAs(const startscope::v1::PrivilegeStatus& privileges,
                   const TerminalStyle& terminal) {
  return RenderItems(
      "runs as",
      {absl::StrCat("user ", privileges.uid()), absl::StrCat("group ", privileges.gid()),
       privileges.capabilities().empty()
           ? "no capabilities"
           : absl::StrCat("capabilities: ", privileges.capabilities_size()),
       privileges.no_new_privileges() ? "no new privileges" : "may gain privileges",
       absl::StrCat("seccomp ", SanitizeText(privileges.seccomp(), terminal.utf8))},
      terminal);
}

std::string Losses(const GetStatusResponse& status, const TerminalStyle& terminal) {
  Table table({{"stage"}, {"produced", Align::kRight}, {"lost", Align::kRight}, {"", Align::kLeft}},
              kIndent);
  for (const auto& loss : status.losses()) {
    table.AddRow(
        {LossStageName(loss.stage()), absl::StrCat(loss.produced()),
         Cell(absl::StrCat(loss.lost()),
              loss.lost() > 0 && !loss.eviction() ? TextStyle::kWarning : TextStyle::kPlain),
         Explanation(loss, terminal)});
  }
  return table.empty() ? "" : table.Render(terminal);
}

std::string Images(const GetStatusResponse& status, const TerminalStyle& terminal) {
  Table table({{"known file"}, {"runtime"}, {"marks"}}, kIndent);
  const int shown = std::min(status.images_size(), kMaxImages);
  for (int i = 0; i < shown; ++i) {
    const auto& image = status.images(i);
    const std::string path = SanitizeText(image.path(), terminal.utf8);
    std::vector<std::string> marks;
    for (const std::string& mark : image.marks()) {
      marks.push_back(SanitizeText(mark, terminal.utf8));
    }
    table.AddRow({CutLeft(path, terminal.width / 2, terminal.glyphs.ellipsis),
                  RuntimeName(image.runtime(), terminal.utf8),
                  image.error().empty()
                      ? Cell(absl::StrJoin(marks, ", "))
                      : Cell(SanitizeText(image.error(), terminal.utf8), TextStyle::kWarning)});
  }
  std::string text = table.empty() ? "" : table.Render(terminal);
  if (shown < status.images_size()) {
    absl::StrAppend(&text, "  and ", FormatCount(status.images_size() - shown, "other file"), "\n");
  }
  return text;
}

}  // namespace

std::vector<std::string> CostItems(const v1::Calibration& calibration, const Glyphs& glyphs) {
  // 0 and absent: not measured.
  const std::pair<uint64_t, const char*> costs[] = {
      {calibration.uprobe_hit_ns(), "per probe hit"},
      {calibration.record_ns(), "per record"},
      {calibration.completed_fault_ns(), "per timed fault"},
      {calibration.mapping_ns(), "per mapping"},
      {calibration.breakpoint_page_ns(), "per page with breakpoints"},
  };
  std::vector<std::string> items;
  for (const auto& [cost_ns, what] : costs) {
    if (cost_ns != 0) items.push_back(absl::StrCat(FormatDuration(cost_ns, glyphs), " ", what));
  }
  return items;
}

std::string UnhealthyReason(const GetStatusResponse& status) {
  for (const auto& feature : status.kernel().features()) {
    if (feature.name() == "btf" && !feature.available()) {
      return absl::StrCat("the kernel has no BTF: ", SanitizeText(feature.detail(), true));
    }
  }
  const auto unavailable = [](const ProbeStatus& probe) {
    return probe.state() == startscope::v1::PROBE_STATE_UNAVAILABLE;
  };
  if (!status.probes().empty() &&
      std::all_of(status.probes().begin(), status.probes().end(), unavailable)) {
    return absl::StrCat("no probe can be attached: ",
                        SanitizeText(status.probes(0).detail(), true));
  }
  return "";
}

std::string RenderStatus(const GetStatusResponse& status, const TerminalStyle& terminal) {
  const auto safe = [&](const std::string& text) { return SanitizeText(text, terminal.utf8); };
  std::string text = absl::StrCat(
      Styled(absl::StrCat("startscoped ", safe(status.version())), TextStyle::kBold, terminal), " ",
      terminal.glyphs.dot, " Linux ", safe(status.kernel().release()), " ",
      safe(status.kernel().machine()), "\n");
  text += RenderItems("now",
                      {FormatCount(status.subscribers(), "subscriber"),
                       absl::StrCat(status.startups_open(), " startups in progress"),
                       absl::StrCat(status.startups_kept(), " kept")},
                      terminal);
  text += RenderItems("since its start",
                      {FormatCount(status.startups_seen(), "startup"),
                       FormatCount(status.records_received(), "kernel record"),
                       absl::StrCat("watches cut: ", status.watches_cut())},
                      terminal);
  if (status.has_privileges()) text += RunsAs(status.privileges(), terminal);
  if (status.has_calibration()) {
    text += RenderItems("cost", CostItems(status.calibration(), terminal.glyphs), terminal);
  } else {
    text += RenderItems("cost", {absl::StrCat(terminal.glyphs.unmeasured, " (not calibrated)")},
                        terminal);
  }
  for (const std::string& section :
       {Privileges(status, terminal), KernelFeatures(status, terminal), Probes(status, terminal),
        Losses(status, terminal), Images(status, terminal)}) {
    if (!section.empty()) absl::StrAppend(&text, "\n", section);
  }
  if (const std::string reason = UnhealthyReason(status); !reason.empty()) {
    absl::StrAppend(&text, "\n", Styled("unhealthy: ", TextStyle::kWarning, terminal), safe(reason),
                    "\n");
  }
  return text;
}

}  // namespace startscope
