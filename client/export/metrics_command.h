// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_METRICS_COMMAND_H_
#define STARTSCOPE_CLIENT_EXPORT_METRICS_COMMAND_H_

#include "client/export/exporter_arguments.h"

namespace startscope {

// `startscope metrics`: watches, and serves what it saw until a signal. Returns the exit code.
[[nodiscard]] int MetricsCommand(const MetricsOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_METRICS_COMMAND_H_
