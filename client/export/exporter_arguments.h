// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_EXPORTER_ARGUMENTS_H_
#define STARTSCOPE_CLIENT_EXPORT_EXPORTER_ARGUMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/arguments.h"
#include "client/export/otlp_settings.h"
#include "client/export/tail_sampler.h"
#include "client/export/trace_builder.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

// What to watch; of both commands.
struct ExporterWatchOptions {
  std::string address;
  startscope::v1::Level level = startscope::v1::LEVEL_PHASES;
  startscope::v1::Precision precision = startscope::v1::PRECISION_EXACT;
  startscope::v1::Until until = startscope::v1::UNTIL_MAIN;
  startscope::v1::Filter filter;
  std::optional<double> duration_s;
};

struct MetricsOptions {
  ExporterWatchOptions watch;
  std::string listen = "127.0.0.1:9464";
  std::vector<std::string> labels;
  uint64_t max_series = 2000;
  double idle_s = 900;
};

enum class ExportFormat : uint8_t { kOtlpJson, kOtlpHttp };

struct ExportOptions {
  ExporterWatchOptions watch;
  // Empty: what happens now. "-" is the standard input.
  std::vector<std::string> files;
  ExportFormat format = ExportFormat::kOtlpJson;
  // Empty: the standard output.
  std::string output_file;
  OtlpFlags otlp;
  SamplingOptions sampling;
  TraceOptions traces;
  std::optional<uint64_t> limit;
  // Startups of the daemon's ring to begin with.
  uint32_t replay = 0;
};

using ParsedExporterCommand = std::variant<MetricsOptions, ExportOptions>;

// Arguments of startscope-exporter, without its name. Throws nothing.
[[nodiscard]] std::variant<ParsedExporterCommand, ParseStop> ParseExporterArguments(
    const std::vector<std::string>& arguments);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_EXPORTER_ARGUMENTS_H_
