// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/startup_views.h"

#include "client/render/load_tree.h"
#include "client/render/load_why.h"
#include "client/render/text_link.h"
#include "client/render/text_startup.h"

namespace startscope {

absl::StatusOr<std::string> RenderViews(const startscope::v1::Startup& startup,
                                        const ViewOptions& views,
                                        const std::vector<startscope::v1::LoaderEvent>& late,
                                        const TerminalStyle& terminal) {
  std::string text = RenderHeader(startup, terminal);
  if (!views.why.empty()) {
    const absl::StatusOr<std::string> why = RenderWhy(startup, views.why, terminal);
    if (!why.ok()) return why.status();
    text += *why;
  }
  if (views.tree) text += RenderLoadTree(startup, late, terminal);
  if (views.link) text += RenderLinkFacts(startup, terminal);
  return text + RenderDegradations(startup.degradations(), terminal);
}

}  // namespace startscope
