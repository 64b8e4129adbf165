// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_PHASE_TABLE_H_
#define STARTSCOPE_CLIENT_RENDER_PHASE_TABLE_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// The phases of a startup as a table that fits the terminal: a narrow one loses the bars first,
// then the details of where the time went. A pure function.
[[nodiscard]] std::string RenderPhaseTable(const startscope::v1::Startup& startup,
                                           const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_PHASE_TABLE_H_
