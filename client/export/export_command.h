// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_EXPORT_COMMAND_H_
#define STARTSCOPE_CLIENT_EXPORT_EXPORT_COMMAND_H_

#include "client/export/exporter_arguments.h"

namespace startscope {

// `startscope export`: hands startups on as OpenTelemetry traces, as they happen or from files.
// Returns the exit code.
[[nodiscard]] int ExportCommand(const ExportOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_EXPORT_COMMAND_H_
