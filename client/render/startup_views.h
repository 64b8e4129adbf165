// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_STARTUP_VIEWS_H_
#define STARTSCOPE_CLIENT_RENDER_STARTUP_VIEWS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// Which views of a startup are wanted in the place of its breakdown.
struct ViewOptions {
  // What was loaded because of what.
  bool tree = false;
  // Why this object was loaded; empty: no such question.
  std::string why;
  // How the objects were linked.
  bool link = false;

  [[nodiscard]] bool any() const { return tree || link || !why.empty(); }
};

// The views asked for, below the startup's header and its warnings. `late`: what the loader did
// afterwards. The error of RenderWhy, if that is asked for. A pure function.
[[nodiscard]] absl::StatusOr<std::string> RenderViews(
    const startscope::v1::Startup& startup, const ViewOptions& views,
    const std::vector<startscope::v1::LoaderEvent>& late, const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_STARTUP_VIEWS_H_
