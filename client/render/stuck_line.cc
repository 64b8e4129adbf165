// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/stuck_line.h"

#include "absl/strings/str_cat.h"
#include "client/render/demangle.h"
#include "client/render/display_width.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/text_sanitizer.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::StartupStuck;

constexpr char kReplaceLastLine[] = "\x1b[1A\x1b[2K";

// "blocked in futex_wait (futex)": what the main thread does, as far as the kernel tells.
std::string Doing(const StartupStuck& stuck, bool utf8) {
  std::string doing = ActivityName(stuck.activity());
  if (!stuck.wait_channel().empty()) {
    absl::StrAppend(&doing, doing.empty() ? "in " : " in ",
                    SanitizeText(stuck.wait_channel(), utf8));
  }
  if (!stuck.system_call().empty()) {
    absl::StrAppend(&doing, doing.empty() ? "" : ", ", "calling ",
                    SanitizeText(stuck.system_call(), utf8));
  }
  if (!stuck.file().empty()) {
    absl::StrAppend(&doing, doing.empty() ? "" : " ", "on ", SanitizeText(stuck.file(), utf8));
  }
  return doing;
}

}  // namespace

std::string StuckText(const StartupStuck& stuck, int width, const TerminalStyle& terminal) {
  const bool utf8 = terminal.utf8;
  std::string text =
      absl::StrCat(ShortName(stuck.process(), utf8), " (pid ", stuck.process().pid(),
                   ") starting for ", FormatDuration(stuck.elapsed_ns(), terminal.glyphs));
  if (stuck.phase() != startscope::v1::PHASE_UNSPECIFIED) {
    absl::StrAppend(&text, ": ", FormatDuration(stuck.phase_elapsed_ns(), terminal.glyphs), " in ",
                    PhaseName(stuck.phase()));
  }
  if (!stuck.object().empty()) {
    absl::StrAppend(&text, " of ", SanitizeText(BaseName(stuck.object()), utf8));
  }
  if (!stuck.function().empty()) {
    absl::StrAppend(&text, " (", ReadableSymbol(stuck.function(), utf8), ")");
  }
  if (const std::string doing = Doing(stuck, utf8); !doing.empty()) {
    absl::StrAppend(&text, ", ", doing);
  }
  return CutRight(text, width, terminal.glyphs.ellipsis);
}

std::string StuckLines::Next(const StartupStuck& stuck) {
  const std::string prefix = absl::StrCat("  ", terminal_.glyphs.ellipsis, " ");
  const std::string line =
      absl::StrCat(prefix, StuckText(stuck, terminal_.width - DisplayWidth(prefix), terminal_));
  const bool replaces = terminal_.rewritable && !last_id_.empty() && last_id_ == stuck.startup_id();
  last_id_ = stuck.startup_id();
  return absl::StrCat(replaces ? kReplaceLastLine : "",
                      Styled(line, TextStyle::kWarning, terminal_), "\n");
}

}  // namespace startscope
