// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_LOAD_WHY_H_
#define STARTSCOPE_CLIENT_RENDER_LOAD_WHY_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// Why an object was loaded: the shortest chains of needs that lead to it, what it cost, how it was
// found, and what would be saved without it. `name` is its soname, file name or path. NOT_FOUND
// names what is called alike; FAILED_PRECONDITION when the startup has no objects. A pure function.
[[nodiscard]] absl::StatusOr<std::string> RenderWhy(const startscope::v1::Startup& startup,
                                                    const std::string& name,
                                                    const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_LOAD_WHY_H_
