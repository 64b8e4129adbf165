// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// startscope-exporter: `startscope metrics` and `startscope export` become this program. An
// unprivileged client of the daemon like any other.

#include <grpc/support/log.h>
#include <signal.h>

#include <cstdio>
#include <string>
#include <vector>

#include "client/export/export_command.h"
#include "client/export/exporter_arguments.h"
#include "client/export/metrics_command.h"
#include "client/render/text_sanitizer.h"

namespace startscope {
namespace {

int Execute(const ExportOptions& options) { return ExportCommand(options); }
int Execute(const MetricsOptions& options) { return MetricsCommand(options); }

int Main(int argc, char** argv) {
  // Every error reaches the user through our own messages.
  gpr_set_log_function([](gpr_log_func_args*) {});
  signal(SIGPIPE, SIG_IGN);
  const auto parsed =
      ParseExporterArguments(std::vector<std::string>(argv + (argc > 0), argv + argc));
  if (const auto* stop = std::get_if<ParseStop>(&parsed)) {
    // It may quote what was asked for.
    fputs(SanitizeLines(stop->text, true).c_str(), stop->exit_code == kExitOk ? stdout : stderr);
    return stop->exit_code;
  }
  return std::visit([](const auto& options) { return Execute(options); },
                    std::get<ParsedExporterCommand>(parsed));
}

}  // namespace
}  // namespace startscope

int main(int argc, char** argv) { return startscope::Main(argc, argv); }
