// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_DOCTOR_FINDING_H_
#define STARTSCOPE_CLIENT_DOCTOR_FINDING_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

enum class Severity : uint8_t {
  kFine,
  // Worth knowing; nothing is lost.
  kNote,
  // Some figures are missing or less exact.
  kWarning,
  // Nothing can be measured.
  kEssential,
};

// What one check found. Text is as it came and has to be sanitised.
struct Finding {
  Severity severity = Severity::kFine;
  // What it is about: "kernel", "probe on_mark", a path.
  std::string subject;
  std::string what;
  // What that means for measurements; empty: nothing.
  std::string consequence{};
  // What to do; empty: nothing can be done, or need be.
  std::string remedy{};
};

// What can be told of the way to the daemon without the daemon.
struct LocalFacts {
  std::string client_version;
  std::string socket_path;
  // errno of looking at it; 0: it is there.
  int socket_error = 0;
  bool is_socket = false;
  uint32_t socket_mode = 0;
  std::string socket_group;
  bool is_root = false;
  // May write to the socket, which is what connecting takes.
  bool may_connect = false;
};

// All that the checks look at.
struct Examined {
  LocalFacts local;
  // Why there is no daemon to ask, or why it did not answer.
  absl::Status daemon_error;
  bool private_daemon = false;
  // Absent when it could not be had.
  std::optional<startscope::v1::GetStatusResponse> status;
  // Measuring what probes cost was asked for; why it was not done, if it was not.
  bool calibrate = false;
  absl::Status calibrate_error;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_DOCTOR_FINDING_H_
