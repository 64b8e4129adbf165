// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXIT_CODES_H_
#define STARTSCOPE_CLIENT_EXIT_CODES_H_

#include "absl/status/status.h"

namespace startscope {

// What `startscope` exits with. `run` passes the command's own code through; of startscope's own it
// gives 2, 3 and 4 only when the command was never executed, and kRunFailed from its start on.
enum ExitCode : int {
  kExitOk = 0,
  // The command line was not understood.
  kExitUsage = 2,
  // No daemon could be reached, and none could be started.
  kExitNoDaemon = 3,
  // The daemon refused the request or failed: missing kernel feature, bad filter, unhealthy.
  kExitDaemonFailed = 4,
  // The daemon went away in the middle of a stream.
  kExitConnectionLost = 5,
  // `show`: no such startup, or more than one.
  kExitNotFound = 6,
  // `metrics` and `export`: where the result is to go cannot be used.
  kExitDestination = 7,
  // `export`: some startups could not be read, or did not get there.
  kExitIncomplete = 8,
  // `run`: startscope itself failed although the command ran: data lost, result not written.
  kExitRunFailed = 125,
  // `run`: the command exists but could not be executed.
  kExitNotExecutable = 126,
  // `run`: the command was not found.
  kExitCommandNotFound = 127,
  // `run`: plus the number of the signal that killed the command.
  kExitSignalBase = 128,
};

// An error together with the exit code it leads to.
struct Failure {
  ExitCode exit_code = kExitOk;
  absl::Status status;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXIT_CODES_H_
