// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a WatchStartupsRequest asks for, checked and in plain form.

#ifndef STARTSCOPE_DAEMON_SERVE_WATCH_REQUEST_H_
#define STARTSCOPE_DAEMON_SERVE_WATCH_REQUEST_H_

#include "absl/status/statusor.h"
#include "daemon/serve/watch_controller.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// All but who asks and what for (peer, filters, ancestor). Any thread. INVALID_ARGUMENT or
// UNIMPLEMENTED names the field, what is wrong with it and what is allowed.
absl::StatusOr<WatchSpec> ParseRequest(const v1::WatchStartupsRequest& request);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_WATCH_REQUEST_H_
