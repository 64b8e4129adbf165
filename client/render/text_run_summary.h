// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_RUN_SUMMARY_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_RUN_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/render/terminal.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// What is said of a set of measured values. All in the values' unit.
struct Spread {
  size_t count = 0;
  uint64_t min = 0;
  // Of an even count, the mean of the middle two.
  uint64_t median = 0;
  // Nearest rank: the smallest value that at least 95 % of the values do not exceed.
  uint64_t p95 = 0;
  uint64_t max = 0;
};

// `values` may be in any order and must not be empty.
[[nodiscard]] Spread SpreadOf(std::vector<uint64_t> values);

// Many runs of one command, each with its startups in order: per image of the command a table of
// the phases' spreads, the fastest and slowest run, and how the runs ended. A pure function.
[[nodiscard]] std::string RenderRunSummary(
    const std::vector<std::vector<startscope::v1::Startup>>& runs, const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_RUN_SUMMARY_H_
