// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TEXT_STATUS_H_
#define STARTSCOPE_CLIENT_RENDER_TEXT_STATUS_H_

#include <string>
#include <vector>

#include "client/render/terminal.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What one thing that the observer does costs: "612 ns per probe hit", …; what was measured alone.
[[nodiscard]] std::vector<std::string> CostItems(const startscope::v1::Calibration& calibration,
                                                 const Glyphs& glyphs);

// Why a daemon in this state cannot measure; empty when it can.
[[nodiscard]] std::string UnhealthyReason(const startscope::v1::GetStatusResponse& status);

// The daemon's state for people: kernel, probes, losses, known files. A pure function.
[[nodiscard]] std::string RenderStatus(const startscope::v1::GetStatusResponse& status,
                                       const TerminalStyle& terminal);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TEXT_STATUS_H_
