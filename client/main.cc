// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The startscope command line client: reads the command line and hands over to commands/.

#include <fcntl.h>
#include <grpc/support/log.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <string>
#include <vector>

#include "client/arguments.h"
#include "client/commands/doctor_command.h"
#include "client/commands/exporter_call.h"
#include "client/commands/list_command.h"
#include "client/commands/run_command.h"
#include "client/commands/show_command.h"
#include "client/commands/status_command.h"
#include "client/commands/watch_command.h"
#include "client/render/text_sanitizer.h"

namespace startscope {
namespace {

int Execute(const RunOptions& options) { return RunCommand(options); }
int Execute(const WatchOptions& options) { return WatchCommand(options); }
int Execute(const ListOptions& options) { return ListCommand(options); }
int Execute(const ShowOptions& options) { return ShowCommand(options); }
int Execute(const StatusOptions& options) { return StatusCommand(options); }
int Execute(const DoctorOptions& options) { return DoctorCommand(options); }
int Execute(const ExporterCall& call) { return CallExporter(call); }

// Descriptors 0 to 2 that were closed when we started would be taken by our sockets, and then be
// written to as if they were the terminal.
void OpenMissingStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
  }
}

int Main(int argc, char** argv) {
  OpenMissingStandardStreams();
  setlocale(LC_CTYPE, "");
  // Every error reaches the user through our own messages.
  gpr_set_log_function([](gpr_log_func_args*) {});
  const auto parsed = ParseArguments(std::vector<std::string>(argv + (argc > 0), argv + argc));
  if (const auto* stop = std::get_if<ParseStop>(&parsed)) {
    // It may quote what was asked for.
    fputs(SanitizeLines(stop->text, true).c_str(), stop->exit_code == kExitOk ? stdout : stderr);
    return stop->exit_code;
  }
  return std::visit([](const auto& options) { return Execute(options); },
                    std::get<ParsedCommand>(parsed));
}

}  // namespace
}  // namespace startscope

int main(int argc, char** argv) { return startscope::Main(argc, argv); }
