// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_GET_STATUS_H_
#define STARTSCOPE_CLIENT_COMMANDS_GET_STATUS_H_

#include <variant>

#include "client/connection.h"

namespace startscope {

// What the daemon says of itself; `calibrate`: after it has measured anew what its probes cost.
[[nodiscard]] std::variant<startscope::v1::GetStatusResponse, Failure> GetStatus(
    Connection& connection, bool calibrate = false);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_GET_STATUS_H_
