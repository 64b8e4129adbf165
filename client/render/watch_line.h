// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_WATCH_LINE_H_
#define STARTSCOPE_CLIENT_RENDER_WATCH_LINE_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// A stream of startups as lines of fixed columns. Pure functions; all lines end with a newline.
[[nodiscard]] std::string WatchHeading(const TerminalStyle& terminal);
// Local time, pid, name, total, longest phase with its share, faults, outcome.
[[nodiscard]] std::string WatchLine(const startscope::v1::Startup& startup,
                                    const TerminalStyle& terminal);
// "14:03:07.123" in local time; the glyph for "not measured" when absent.
[[nodiscard]] std::string ClockTime(const startscope::v1::Startup& startup, const Glyphs& glyphs);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_WATCH_LINE_H_
