// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the client shows of startups and of a daemon, whatever they say: no control character but
// line breaks and the client's own colours, nothing that turns or hides text, ASCII where the
// terminal has no more, and no more of it than the message calls for. The first bytes are the
// terminal and the view, the rest is the message with texts for it.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "client/doctor/checks.h"
#include "client/doctor/doctor_text.h"
#include "client/render/display_width.h"
#include "client/render/startup_views.h"
#include "client/render/stuck_line.h"
#include "client/render/text_run_summary.h"
#include "client/render/text_startup.h"
#include "client/render/text_status.h"
#include "client/render/text_timeline.h"
#include "client/render/watch_line.h"
#include "tests/fuzz/hostile_texts.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/text_rules.h"

namespace {

using namespace startscope;      // NOLINT: what is rendered, and how
using namespace startscope::v1;  // NOLINT: the messages

constexpr int kMinWidth = 40;
constexpr int kWidths = 161;

TerminalStyle TerminalOf(uint8_t flags, uint8_t width) {
  TerminalStyle terminal;
  terminal.width = kMinWidth + width % kWidths;
  terminal.utf8 = (flags & 1) == 0;
  terminal.glyphs = terminal.utf8 ? Glyphs::Utf8() : Glyphs::Ascii();
  terminal.color = (flags & 2) != 0;
  terminal.rewritable = (flags & 4) != 0;
  return terminal;
}

// `text` without the colours, which are whole sequences of the client's own or a finding.
std::string WithoutColours(const std::string& text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    bool skipped = false;
    for (const char* code : {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[36m"}) {
      const std::string_view sequence(code);
      if (text.compare(at, sequence.size(), sequence) != 0) continue;
      at += sequence.size();
      skipped = true;
      break;
    }
    if (!skipped) plain += text[at++];
  }
  return plain;
}

// As much as a message's own text takes in its longest form, some lines for each of its fields, and
// what is there without any.
void Check(const std::string& text, size_t message_bytes, const TerminalStyle& terminal) {
  const std::string plain = terminal.color ? WithoutColours(text) : text;
  RequireHarmless(plain);
  if (!terminal.utf8) {
    Require(std::all_of(plain.begin(), plain.end(), [](char c) { return (c & 0x80) == 0; }));
  }
  Require(text.empty() || text.back() == '\n');
  Require(text.size() <= 64'000 + 1'000 * message_bytes);
}

// Of an error, which goes to a terminal too.
void CheckError(const absl::Status& status) {
  Require(!status.message().empty());
  RequireHarmlessLine(std::string(status.message()));
}

void CheckStartup(const Startup& startup, const TerminalStyle& terminal) {
  const size_t bytes = startup.ByteSizeLong();
  Check(RenderStartup(startup, terminal, true), bytes, terminal);
  Check(RenderTimeline(startup, terminal) + RenderPages(startup, terminal), bytes, terminal);
  Check(WatchHeading(terminal) + WatchLine(startup, terminal), bytes, terminal);
  LoaderEvent late;
  late.set_startup_id(startup.startup_id());
  *late.mutable_objects() = startup.objects();
  ViewOptions views;
  views.tree = true;
  views.link = true;
  const absl::StatusOr<std::string> both = RenderViews(startup, views, {late}, terminal);
  Require(both.ok());
  Check(*both, 2 * bytes, terminal);
  views = {};
  views.why = "libc.so.6";
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<std::string> why = RenderViews(startup, views, {}, terminal);
    if (why.ok()) {
      Check(*why, bytes, terminal);
    } else {
      CheckError(why.status());
    }
    if (i >= startup.objects_size()) break;
    const MappedObject& object = startup.objects(i);
    views.why = object.path().empty() ? object.soname() : object.path();
    if (views.why.empty()) break;
  }
}

void CheckEvent(const WatchStartupsResponse& message, const TerminalStyle& terminal) {
  const size_t bytes = message.ByteSizeLong();
  const LoaderEvent& event = message.loader_event();
  Check(RenderLoaderCall(event, terminal) + RenderLoaderEvent(event, terminal), bytes, terminal);
  const std::string stuck = StuckText(message.startup_stuck(), terminal.width, terminal);
  RequireHarmlessLine(stuck);
  Require(DisplayWidth(stuck) <= terminal.width);
  StuckLines lines(terminal);
  for (int i = 0; i < 2; ++i) {
    // The second may take the place of the first.
    std::string line = lines.Next(message.startup_stuck());
    const std::string_view again = "\x1b[1A\x1b[2K";
    if (i == 1 && line.compare(0, again.size(), again) == 0) line.erase(0, again.size());
    Check(line, bytes, terminal);
  }
}

void CheckRuns(const ListStartupsResponse& message, const TerminalStyle& terminal) {
  std::vector<std::vector<Startup>> runs;
  for (const Startup& startup : message.startups()) {
    // A program that another one executed belongs to its run.
    if (runs.empty() || startup.process().exec_id() % 2 == 0) runs.emplace_back();
    runs.back().push_back(startup);
  }
  if (!runs.empty()) Check(RenderRunSummary(runs, terminal), message.ByteSizeLong(), terminal);
}

void CheckStatus(const GetStatusResponse& status, const TerminalStyle& terminal) {
  Check(RenderStatus(status, terminal), status.ByteSizeLong(), terminal);
  RequireHarmlessLine(UnhealthyReason(status));
  Examined examined;
  examined.local.client_version = "1";
  examined.status = status;
  const std::vector<Finding> findings = CheckAll(examined);
  Check(RenderFindings(findings, terminal), status.ByteSizeLong(), terminal);
  const absl::StatusOr<std::string> json = FindingsToJson(findings);
  Require(json.ok());
  RequireHarmless(*json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const TerminalStyle terminal = TerminalOf(data[0], data[1]);
  const std::span<const uint8_t> rest(data + 2, size - 2);
  const bool every = (data[0] & 32) != 0;
  switch (data[0] >> 3 & 3) {
    case 0:
      if (Startup startup; ParseHostile(rest, startup, every)) CheckStartup(startup, terminal);
      break;
    case 1:
      if (WatchStartupsResponse event; ParseHostile(rest, event, every))
        CheckEvent(event, terminal);
      break;
    case 2:
      if (ListStartupsResponse runs; ParseHostile(rest, runs, every)) CheckRuns(runs, terminal);
      break;
    default:
      if (GetStatusResponse status; ParseHostile(rest, status, every))
        CheckStatus(status, terminal);
      break;
  }
  return 0;
}
