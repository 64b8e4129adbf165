// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_OBJECT_TABLE_H_
#define STARTSCOPE_CLIENT_RENDER_OBJECT_TABLE_H_

#include <string>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// The mapped objects of a startup, costliest first: eight at most, the others in one row, and what
// belongs to none in another, so that the faults add up. Empty when none are known. A pure
// function.
[[nodiscard]] std::string RenderObjectTable(const startscope::v1::Startup& startup,
                                            const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_OBJECT_TABLE_H_
