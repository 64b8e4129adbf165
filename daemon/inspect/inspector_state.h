// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_INSPECTOR_STATE_H_
#define STARTSCOPE_DAEMON_INSPECT_INSPECTOR_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace startscope {

// How the inspector fares. Passive data.
struct InspectorState {
  bool running = false;
  uint64_t requests = 0;
  uint64_t restarts = 0;  // after an end that nobody planned
  uint64_t timeouts = 0;
  std::vector<std::string> refused;  // "PATH: reason", the latest first
  std::string sandbox;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_INSPECTOR_STATE_H_
