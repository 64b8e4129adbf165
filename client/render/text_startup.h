// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_STARTUP_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_STARTUP_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// One startup as text for people: header, phases, objects, how it was observed, warnings. Ends with
// a newline. What was not measured is shown as such, never as 0. `identity` adds who and where the
// process was. A pure function.
[[nodiscard]] std::string RenderStartup(const startscope::v1::Startup& startup,
                                        const TerminalStyle& terminal, bool identity);

// Who started, what kind of program it is and how it ended: the first line of that, or three.
[[nodiscard]] std::string RenderHeader(const startscope::v1::Startup& startup,
                                       const TerminalStyle& terminal);

// The degradations of a startup or of a whole watch, a warning per line with its advice.
[[nodiscard]] std::string RenderDegradations(
    const google::protobuf::RepeatedPtrField<startscope::v1::Degradation>& degradations,
    const TerminalStyle& terminal);

// `label: item · item · …`, broken between items to fit the width; later lines are indented.
[[nodiscard]] std::string RenderItems(const std::string& label,
                                      const std::vector<std::string>& items,
                                      const TerminalStyle& terminal);
// The same with arrows between the items.
[[nodiscard]] std::string RenderChain(const std::string& label,
                                      const std::vector<std::string>& items,
                                      const TerminalStyle& terminal);

// `label: words …`, broken between words to fit the width; later lines are indented.
[[nodiscard]] std::string RenderWords(const std::string& label, const std::string& sentence,
                                      const TerminalStyle& terminal,
                                      TextStyle style = TextStyle::kWarning);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_STARTUP_H_
