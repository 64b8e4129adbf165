// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_INITS_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_INITS_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// What ran and was set up before main, as level FUNCTIONS tells it: constructors and Go packages,
// the costliest first; thread-local storage, threads, and searches for libraries in vain. Empty
// when nothing of it is known. A pure function.
[[nodiscard]] std::string RenderInits(const startscope::v1::Startup& startup,
                                      const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_INITS_H_
