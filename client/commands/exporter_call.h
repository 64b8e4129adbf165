// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_EXPORTER_CALL_H_
#define STARTSCOPE_CLIENT_COMMANDS_EXPORTER_CALL_H_

#include "client/arguments.h"

namespace startscope {

// `metrics` and `export`: this process becomes startscope-exporter. Returns only when it cannot.
[[nodiscard]] int CallExporter(const ExporterCall& call);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_EXPORTER_CALL_H_
