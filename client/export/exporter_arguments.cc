// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/exporter_arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "client/export/startup_groups.h"
#include "client/version.h"

namespace startscope {
namespace {

constexpr size_t kHelpColumn = 34;

constexpr char kMetricsFooter[] =
    "Examples:\n"
    "  startscope metrics                     every start of this machine, on "
    "127.0.0.1:9464/metrics\n"
    "  startscope metrics --cgroup system.slice --label executable\n"
    "  startscope metrics --listen 0.0.0.0:9464      for a Prometheus on another machine\n"
    "\n"
    "Without --label the number of series is fixed, some 600 at most. With it, startups are "
    "grouped by\n"
    "the label's values too; what --max-series leaves no room for is in the group \"other\", "
    "counted.\n"
    "/healthz answers 200 while the watch is live and 503 while it is not.";

constexpr char kExportFooter[] =
    "Examples:\n"
    "  startscope export --limit 1                     the next start, as OTLP's JSON Lines\n"
    "  startscope export --format otlp-http            to the collector on 127.0.0.1:4318\n"
    "  startscope watch --format json >starts; startscope export --output traces.jsonl starts\n"
    "\n"
    "Of what happens now, failed, lossy and slow starts are kept and one in a hundred of the "
    "others, 2 a\n"
    "second at most (--sample, --slow, --rate); each tells how many it stands for. Of a FILE all "
    "are\n"
    "kept unless --sample says otherwise. OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS,\n"
    "_COMPRESSION, _TIMEOUT, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME are heeded.";

// A word for an enumerator; any other word is an error that lists them.
template <typename Enum>
CLI::Option* AddChoice(CLI::App& app, const char* name, Enum& target, const char* help,
                       std::map<std::string, Enum> choices) {
  std::string words;
  for (const auto& [word, value] : choices) words += (words.empty() ? "" : "|") + word;
  return app
      .add_option_function<std::string>(
          name,
          [&target, choices, words](const std::string& word) {
            const auto found = choices.find(word);
            if (found == choices.end()) {
              throw CLI::ValidationError("'" + word + "' is none of " + words);
            }
            target = found->second;
          },
          help)
      ->option_text(words);
}

// One value per use of the option, so that what follows it is not swallowed.
template <typename Value>
void AddRepeated(CLI::App& app, const char* name, std::vector<Value>& values, const char* help,
                 const char* shown) {
  app.add_option(name, values, help)->allow_extra_args(false)->option_text(shown);
}

struct FilterTexts {
  std::vector<std::string> executables;
  std::vector<std::string> cgroups;
  std::vector<uint32_t> uids;
};

void AddWatch(CLI::App& app, ExporterWatchOptions& options, FilterTexts& filter) {
  using namespace startscope::v1;  // NOLINT: enumerators
  app.add_option("--address", options.address,
                 "Daemon's socket, unix:///path (default: $STARTSCOPE_ADDRESS, then "
                 "unix:///run/startscope/startscope.sock)")
      ->option_text("ADDRESS");
  AddChoice<Level>(app, "--level", options.level,
                   "How much to measure (default phases: what is below it costs starts more)",
                   {{"phases", LEVEL_PHASES}, {"objects", LEVEL_OBJECTS}});
  AddChoice<Precision>(app, "--precision", options.precision,
                       "exact, or unperturbed: no breakpoints in the programs",
                       {{"exact", PRECISION_EXACT}, {"unperturbed", PRECISION_UNPERTURBED}});
  AddChoice<Until>(app, "--until", options.until, "What ends a startup (default main)",
                   {{"main", UNTIL_MAIN}, {"exit", UNTIL_EXIT}});
  AddRepeated(app, "--exe", filter.executables,
              "Only this executable: an absolute path, or a pattern with * and ?", "PATH|GLOB");
  AddRepeated(app, "--cgroup", filter.cgroups, "Only this cgroup and what is below it", "PATH");
  AddRepeated(app, "--uid", filter.uids, "Only this user", "UID");
  app.add_option("--duration", options.duration_s, "End after so many seconds")
      ->check(CLI::Range(0.001, 1e8))
      ->option_text("SECONDS");
}

void Fill(const FilterTexts& texts, startscope::v1::Filter& filter) {
  filter.mutable_executable()->Assign(texts.executables.begin(), texts.executables.end());
  filter.mutable_cgroup_path()->Assign(texts.cgroups.begin(), texts.cgroups.end());
  filter.mutable_uid()->Assign(texts.uids.begin(), texts.uids.end());
}

void SetUp(CLI::App& app, const char* footer) {
  app.set_help_flag("-h,--help", "Print this help");
  app.footer(footer);
  app.get_formatter()->column_width(kHelpColumn);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

std::variant<ParsedExporterCommand, ParseStop> ParseExporterArguments(
    const std::vector<std::string>& arguments) {
  CLI::App app("Hands startups on to other systems; startscope metrics and export run it.",
               "startscope");
  SetUp(app, "");
  app.set_version_flag("--version", std::string("startscope-exporter ") + kVersion,
                       "Print the version");
  app.require_subcommand(0, 1);

  MetricsOptions metrics;
  FilterTexts metrics_filter;
  CLI::App* metrics_app = app.add_subcommand("metrics", "Serve startups as Prometheus metrics");
  SetUp(*metrics_app, kMetricsFooter);
  metrics_app
      ->add_option("--listen", metrics.listen,
                   "Where to serve them (default " + metrics.listen + "; port 0: any)")
      ->option_text("HOST:PORT");
  metrics_app->add_option("--label", metrics.labels, "Also by this: " + OpenLabelNames())
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check([](const std::string& name) {
        return FindOpenLabel(name) != nullptr ? "" : "is none of " + OpenLabelNames();
      })
      ->option_text("NAME");
  metrics_app
      ->add_option("--max-series", metrics.max_series, "Series for --label at most (default 2000)")
      ->check(CLI::Range(uint64_t{100}, uint64_t{100'000}))
      ->option_text("N");
  metrics_app
      ->add_option("--idle", metrics.idle_s,
                   "A group may give way to a new one after so many seconds without a "
                   "startup (default 900)")
      ->check(CLI::Range(1.0, 1e7))
      ->option_text("SECONDS");
  AddWatch(*metrics_app, metrics.watch, metrics_filter);

  ExportOptions exported;
  FilterTexts export_filter;
  std::optional<double> sample;
  double slow_s = 0.25;
  uint32_t rate = 2;
  CLI::App* export_app = app.add_subcommand("export", "Hand startups on as OpenTelemetry traces");
  SetUp(*export_app, kExportFooter);
  export_app->add_option("FILE", exported.files,
                         "Startups in JSON, one a line; - is the standard input (default: those "
                         "that happen from now on)");
  AddChoice<ExportFormat>(
      *export_app, "--format", exported.format,
      "otlp-json: JSON Lines (default); otlp-http: push to a collector",
      {{"otlp-json", ExportFormat::kOtlpJson}, {"otlp-http", ExportFormat::kOtlpHttp}});
  export_app->add_option("-o,--output", exported.output_file, "otlp-json: write to this file")
      ->option_text("FILE");
  export_app
      ->add_option("--endpoint", exported.otlp.endpoint,
                   "otlp-http: collector (default $OTEL_EXPORTER_OTLP_ENDPOINT, then "
                   "http://127.0.0.1:4318)")
      ->option_text("URL");
  export_app
      ->add_option("--protocol", exported.otlp.protocol, "http/protobuf (default) or http/json")
      ->option_text("http/protobuf|http/json");
  export_app->add_option("--compression", exported.otlp.compression, "gzip (default) or none")
      ->option_text("gzip|none");
  export_app->add_flag("--insecure", exported.otlp.insecure,
                       "Push without encryption to another machine too");
  export_app
      ->add_option("--sample", sample,
                   "Keep this fraction of ordinary startups (default 0.01; of a FILE 1)")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("FRACTION");
  export_app->add_option("--slow", slow_s, "Keep all that took so long (default 0.25)")
      ->check(CLI::Range(0.0, 3600.0))
      ->option_text("SECONDS");
  CLI::Option* rate_option =
      export_app
          ->add_option("--rate", rate,
                       "At most so many startups a second, of whatever kind (default 2; 0, and "
                       "of a FILE: no bound)")
          ->check(CLI::Range(0u, 100'000u))
          ->option_text("N");
  export_app->add_flag("--arguments", exported.traces.arguments,
                       "Also the arguments that the daemon collects");
  export_app
      ->add_option("--objects", exported.traces.max_objects,
                   "With --level objects: the costliest so many of them (default 8)")
      ->check(CLI::Range(size_t{0}, size_t{128}))
      ->option_text("N");
  export_app->add_option("--replay", exported.replay, "Begin with the N newest ones that are over")
      ->option_text("N");
  export_app->add_option("--limit", exported.limit, "End after N startups, exported or not")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 53))
      ->option_text("N");
  AddWatch(*export_app, exported.watch, export_filter);

  const auto chosen = [&app] {
    const std::vector<CLI::App*> parsed = app.get_subcommands();
    return parsed.empty() ? &app : parsed.front();
  };
  // Before the command's name too, as with the other commands.
  std::string address;
  app.add_option("--address", address, "Daemon's socket")->option_text("ADDRESS");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return ParseStop{kExitOk, chosen()->help()};
  } catch (const CLI::CallForVersion& version) {
    return ParseStop{kExitOk, std::string(version.what()) + "\n"};
  } catch (const CLI::Error& error) {
    const std::string command = chosen() == &app ? "" : " " + chosen()->get_name();
    return ParseStop{kExitUsage, std::string("startscope: ") + error.what() + "\nTry 'startscope" +
                                     command + " --help'.\n"};
  }
  if (metrics_app->parsed()) {
    Fill(metrics_filter, metrics.watch.filter);
    if (metrics.watch.address.empty()) metrics.watch.address = address;
    return ParsedExporterCommand(metrics);
  }
  if (export_app->parsed()) {
    Fill(export_filter, exported.watch.filter);
    if (exported.watch.address.empty()) exported.watch.address = address;
    const bool live = exported.files.empty();
    exported.sampling.fraction = sample.value_or(live ? 0.01 : 1);
    exported.sampling.slow_ns = static_cast<uint64_t>(slow_s * 1e9);
    exported.sampling.rate = rate;
    if (rate == 0 || (!live && rate_option->count() == 0)) exported.sampling.rate.reset();
    return ParsedExporterCommand(exported);
  }
  return ParseStop{kExitUsage, app.help()};
}

}  // namespace startscope
