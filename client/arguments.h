// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_ARGUMENTS_H_
#define STARTSCOPE_CLIENT_ARGUMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/exit_codes.h"
#include "client/render/startup_views.h"
#include "client/render/terminal.h"
#include "startscope/v1/startup_service.pb.h"

namespace startscope {

enum class Format : uint8_t { kText, kJson };

struct CommonOptions {
  std::string address;
  ColorChoice color = ColorChoice::kAuto;
  Format format = Format::kText;
};

// How to measure.
struct MeasureOptions {
  startscope::v1::Level level = startscope::v1::LEVEL_UNSPECIFIED;
  startscope::v1::Precision precision = startscope::v1::PRECISION_EXACT;
  startscope::v1::Until until = startscope::v1::UNTIL_MAIN;
  std::optional<double> deadline_s;
  bool waits = false;
  bool syscalls = false;
  bool samples = false;
  bool loader_events = false;
  // Print the timeline; without it, text shows what is in it only in sum.
  bool timeline = false;
  std::optional<uint32_t> timeline_limit;
  // Tell of startups that last longer; absent: not at all.
  std::optional<double> stuck_after_s;
};

struct RunOptions {
  CommonOptions common;
  MeasureOptions measure;
  ViewOptions views;
  uint32_t runs = 1;
  // Empty: stdout for data, stderr for text.
  std::string output_file;
  bool show_output = false;
  // Take the files that the command loads out of the page cache before each run; or everything.
  bool cold = false;
  bool drop_caches = false;
  std::vector<std::string> command;
};

struct WatchOptions {
  CommonOptions common;
  MeasureOptions measure;
  startscope::v1::Filter filter;
  bool descendants = false;
  std::optional<uint64_t> limit;
  std::optional<double> duration_s;
  bool verbose = false;
  // End when the daemon goes away.
  bool no_reconnect = false;
  // Startups of the daemon's ring to begin with.
  uint32_t replay = 0;
};

struct ListOptions {
  CommonOptions common;
  startscope::v1::Filter filter;
  uint64_t limit = 50;
};

struct ShowOptions {
  CommonOptions common;
  // A whole id, the unique begin of one, or "last".
  std::string id;
  ViewOptions views;
  bool timeline = false;
  bool pages = false;
};

struct StatusOptions {
  CommonOptions common;
};

struct DoctorOptions {
  CommonOptions common;
  bool calibrate = false;
};

// `metrics` and `export`, whose options are startscope-exporter's own: all that was on the command line.
struct ExporterCall {
  std::vector<std::string> arguments;
};

using ParsedCommand = std::variant<RunOptions, WatchOptions, ListOptions, ShowOptions,
                                   StatusOptions, DoctorOptions, ExporterCall>;

// What to print instead of doing anything: help, the version, or a usage error.
struct ParseStop {
  ExitCode exit_code = kExitOk;
  std::string text;
};

// Arguments without the program's name. Throws nothing.
[[nodiscard]] std::variant<ParsedCommand, ParseStop> ParseArguments(
    const std::vector<std::string>& arguments);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_ARGUMENTS_H_
