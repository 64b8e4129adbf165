// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_ACCOUNTS_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_ACCOUNTS_H_

#include <string>
#include <vector>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// What a startup's time, reads and calls went to. Each is a few lines, or empty when it was not
// measured. Pure functions.

// `time: running 813 µs (68 %) · …`: the reasons, largest first; they sum to the total.
[[nodiscard]] std::string RenderBlame(const startscope::v1::Startup& startup,
                                      const TerminalStyle& terminal);
// Warm or cold, how much was read, how long was waited for it, and which files it was.
[[nodiscard]] std::string RenderStorage(const startscope::v1::Startup& startup,
                                        const TerminalStyle& terminal);
// The system calls that took longest, and the searches for files that were not there.
[[nodiscard]] std::string RenderSyscalls(const startscope::v1::Startup& startup,
                                         const TerminalStyle& terminal);
// The median of each reason over several startups of one program, and how many were cold.
[[nodiscard]] std::string RenderBlameSummary(
    const std::vector<const startscope::v1::Startup*>& startups, const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_ACCOUNTS_H_
