// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_WATCH_REQUEST_H_
#define STARTSCOPE_CLIENT_COMMANDS_WATCH_REQUEST_H_

#include <string>

#include "client/arguments.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// A request with what `measure` asks for.
[[nodiscard]] startscope::v1::WatchStartupsRequest WatchRequest(const MeasureOptions& measure);

[[nodiscard]] bool IsEmpty(const startscope::v1::Filter& filter);

// "lost 12 startups (subscriber; 40 in all): …": what a loss means to the user, without newline.
[[nodiscard]] std::string DescribeLoss(const startscope::v1::RecordsLost& lost);
[[nodiscard]] std::string DescribeGap(const startscope::v1::ResumeGap& gap);
[[nodiscard]] std::string DescribeThrottled(const startscope::v1::Throttled& throttled);

// Prints "startscope: MESSAGE" on stderr.
void PrintError(const std::string& message);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_WATCH_REQUEST_H_
