// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_LINK_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_LINK_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// How each loaded object was linked, beside what it cost: in load order, a few lines each. Where
// the tables of a file do not agree on its sizes, a warning says so. A pure function.
[[nodiscard]] std::string RenderLinkFacts(const startscope::v1::Startup& startup,
                                          const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_LINK_H_
