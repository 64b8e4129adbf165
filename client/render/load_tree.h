// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_LOAD_TREE_H_
#define STARTSCOPE_CLIENT_RENDER_LOAD_TREE_H_

#include <string>
#include <vector>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What was loaded because of what, with the cost of each object and of all below it. An object
// stands below the first that needed it, in load order; where others need it too it is only named.
// Several leaves beside one another that each took less than a thousandth of the start share a
// line. What was loaded late follows, under the call that made it. One line that says why when
// nothing is known. A pure function.
[[nodiscard]] std::string RenderLoadTree(const startscope::v1::Startup& startup,
                                         const std::vector<startscope::v1::LoaderEvent>& late,
                                         const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_LOAD_TREE_H_
