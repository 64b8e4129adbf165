// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/commands/exporter_call.h"

#include <unistd.h>

#include <cerrno>

#include "client/commands/watch_request.h"
#include "client/find_program.h"
#include "daemon/base/errno_status.h"

namespace startscope {

int CallExporter(const ExporterCall& call) {
  const absl::StatusOr<std::string> path =
      FindProgram("startscope-exporter", "STARTSCOPE_EXPORTER");
  if (!path.ok() || path->empty()) {
    PrintError(path.ok() ? "startscope-exporter was not found: install it beside startscope, or "
                           "name it in STARTSCOPE_EXPORTER"
                         : std::string(path.status().message()));
    return kExitDestination;
  }
  std::vector<std::string> words = call.arguments;
  std::vector<char*> argv = {const_cast<char*>("startscope-exporter")};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(path->c_str(), argv.data());
  PrintError(std::string(ErrnoStatus(errno, *path).message()));
  return kExitDestination;
}

}  // namespace startscope
