// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_TIMELINE_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_TIMELINE_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What level PAGES tells, as text. Empty when there is nothing. Pure functions.

// The page faults that took longest.
[[nodiscard]] std::string RenderSlowFaults(const startscope::v1::Startup& startup,
                                           const TerminalStyle& terminal);
// Every entry, a line each, in order of time.
[[nodiscard]] std::string RenderTimeline(const startscope::v1::Startup& startup,
                                         const TerminalStyle& terminal);
// Every page that faulted, by object, in the order of first touch.
[[nodiscard]] std::string RenderPages(const startscope::v1::Startup& startup,
                                      const TerminalStyle& terminal);
// What the loader was asked for after a startup, and by whom: a line, broken to fit.
[[nodiscard]] std::string RenderLoaderCall(const startscope::v1::LoaderEvent& event,
                                           const TerminalStyle& terminal);
// What was loaded after a startup: one line, and one for each object.
[[nodiscard]] std::string RenderLoaderEvent(const startscope::v1::LoaderEvent& event,
                                            const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_TIMELINE_H_
