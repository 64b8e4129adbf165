// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "client/version.h"

namespace startscope {
namespace {

constexpr double kMaxDeadlineS = 3600;
constexpr double kDefaultStuckS = 2;
constexpr uint32_t kMaxTimeline = 262144;
constexpr size_t kHelpColumn = 34;

constexpr char kMainFooter[] =
    "Examples:\n"
    "  startscope run -- ls -l                where the start of one command goes\n"
    "  startscope run -n 50 -- ./server --version\n"
    "                                         the same over 50 runs: median, min, max, p95\n"
    "  startscope run --format json -- ls     as data, one Startup per line\n"
    "  startscope watch --exe '/usr/bin/*'    every start on this machine that matches\n"
    "  startscope show last                   the most recent start, in full\n"
    "  startscope metrics                     starts as Prometheus metrics, on loopback\n"
    "  startscope export --format otlp-http   starts as traces to an OpenTelemetry collector\n"
    "  startscope doctor                      what cannot be measured here, and what to do\n"
    "\n"
    "Exit codes: 0 done, 2 usage, 3 no daemon, 4 the daemon failed or refused, 5 connection lost,\n"
    "6 no such startup, 7 where exports go cannot be used, 8 not all was exported. run gives the\n"
    "command's own code, 125 when startscope failed once the command had started, 126 when it cannot\n"
    "be executed, 127 when it is not found, 128 + n when signal n killed it.";

constexpr char kRunFooter[] =
    "Examples:\n"
    "  startscope run -- python3 -c pass\n"
    "  startscope run -n 100 --level phases -- ./hello\n"
    "  startscope run --cold -- git --version         what the disk has to do with it\n"
    "  startscope run --timeline -- ls                every page fault, with its function\n"
    "  startscope run --tree -- git --version         which library brought in which, and its "
    "cost\n"
    "  startscope run --why libz.so.1 -- git --version\n"
    "  startscope run --format json --output start.json -- make -v\n"
    "\n"
    "Text goes to stderr after the command's own output. With --format json stdout is pure data "
    "and\n"
    "the command's stdout moves to stderr, unless --output names a file. With -n above 1 the\n"
    "command's output is discarded unless --show-output is given.";

constexpr char kWatchFooter[] =
    "Examples:\n"
    "  startscope watch                       every program start, one line each\n"
    "  startscope watch --exe /usr/sbin/nginx --verbose --limit 1\n"
    "  startscope watch --cgroup system.slice --duration 60 --format json\n"
    "\n"
    "Options that select are combined with AND, repeated values of one with OR. Ctrl-C ends the "
    "watch.\n"
    "A ! after the outcome marks a startup with warnings; --verbose shows them.";

// A word for a value; any other word is an error that lists them.
template <typename Enum>
CLI::Validator Choice(std::vector<std::pair<std::string, Enum>> choices) {
  return CLI::Validator(
      [choices = std::move(choices)](std::string& word) {
        std::string words;
        for (const auto& [name, value] : choices) {
          if (word == name) {
            word = std::to_string(static_cast<int>(value));
            return std::string();
          }
          words += (words.empty() ? "" : ", ") + name;
        }
        return "'" + word + "' is none of " + words;
      },
      "");
}

void AddCommon(CLI::App& app, CommonOptions& options) {
  app.add_option("--address", options.address,
                 "Daemon's socket, unix:///path (default: $STARTSCOPE_ADDRESS, then "
                 "unix:///run/startscope/startscope.sock)")
      ->type_name("ADDRESS");
  app.add_option("--format", options.format, "text or json (one Startup per line)")
      ->transform(Choice<Format>({{"text", Format::kText}, {"json", Format::kJson}}))
      ->type_name("text|json")
      ->option_text("text|json");
  app.add_option("--color", options.color, "auto, always or never")
      ->transform(Choice<ColorChoice>({{"auto", ColorChoice::kAuto},
                                       {"always", ColorChoice::kAlways},
                                       {"never", ColorChoice::kNever}}))
      ->option_text("auto|always|never");
}

void AddMeasure(CLI::App& app, MeasureOptions& options) {
  using namespace startscope::v1;  // NOLINT: enumerators
  app.add_option("--level", options.level,
                 "How much to measure: phases, objects (with the faults of each library), pages "
                 "(every fault and mapping), or functions (every constructor)")
      ->transform(Choice<Level>({{"phases", LEVEL_PHASES},
                                 {"objects", LEVEL_OBJECTS},
                                 {"pages", LEVEL_PAGES},
                                 {"functions", LEVEL_FUNCTIONS}}))
      ->option_text("phases|objects|pages|functions");
  app.add_option("--precision", options.precision,
                 "exact, or unperturbed: no breakpoints in the program, fault counts untouched")
      ->transform(
          Choice<Precision>({{"exact", PRECISION_EXACT}, {"unperturbed", PRECISION_UNPERTURBED}}))
      ->option_text("exact|unperturbed");
  app.add_option("--until", options.until, "What ends a startup")
      ->transform(Choice<Until>({{"main", UNTIL_MAIN}, {"exit", UNTIL_EXIT}}))
      ->option_text("main|exit");
  app.add_option("--deadline", options.deadline_s,
                 "Give up on a startup after so many seconds (default 60)")
      ->check(CLI::Range(0.001, kMaxDeadlineS))
      ->option_text("SECONDS");
  app.add_flag("--waits", options.waits,
               "Every wait with its reason: storage, or other (hooks all context switches)");
  app.add_flag("--syscalls", options.syscalls,
               "System calls and searches for missing files (hooks all system calls)");
  app.add_flag("--samples", options.samples,
               "Clock samples: time in CPUID trapped by a hypervisor (20,000 interrupts a second)");
  app.add_flag("--loader-events", options.loader_events,
               "Also what is loaded after the startup: dlopen, plug-ins");
  app.add_option(
         "--stuck-after", options.stuck_after_s,
         "Tell of a startup that lasts so many seconds where it is, and again each time that "
         "doubles; 0: never (default 2; with --until exit or --format json, never)")
      ->check(CLI::Range(0.0, kMaxDeadlineS))
      ->option_text("SECONDS");
  app.add_flag("--timeline", options.timeline,
               "Print every fault, mapping and mark in order (implies --level pages)");
  app.add_option("--timeline-limit", options.timeline_limit,
                 "At most so many entries of it (default and most: 262144)")
      ->check(CLI::Range(uint32_t{1}, kMaxTimeline))
      ->option_text("N");
}

// Fills in what some options mean for others; what contradicts, or nothing.
std::string Imply(startscope::v1::Level otherwise, MeasureOptions& options) {
  using namespace startscope::v1;  // NOLINT: enumerators
  const bool timeline = options.timeline || options.timeline_limit.has_value();
  if (options.level == LEVEL_UNSPECIFIED) options.level = timeline ? LEVEL_PAGES : otherwise;
  if (timeline && options.level < LEVEL_PAGES) return "a timeline needs --level pages";
  return "";
}

// What a start is stuck in is news to people; a program that is to run to its end is not stuck.
void ChooseStuckAfter(Format format, MeasureOptions& options) {
  if (!options.stuck_after_s.has_value() && format == Format::kText &&
      options.until == startscope::v1::UNTIL_MAIN) {
    options.stuck_after_s = kDefaultStuckS;
  }
  if (options.stuck_after_s == 0.0) options.stuck_after_s.reset();
}

void AddViews(CLI::App& app, ViewOptions& options) {
  app.add_flag("--tree", options.tree,
               "What was loaded because of what, with costs, in the place of the breakdown");
  app.add_option("--why", options.why,
                 "Why this library was loaded and what it cost: its soname, file name or path")
      ->option_text("LIBRARY");
  app.add_flag("--link", options.link, "How each object was linked, beside what it cost");
}

struct FilterValues {
  std::vector<std::string> executables;
  std::vector<std::string> comms;
  std::vector<uint32_t> uids;
  std::vector<uint32_t> pids;
  std::vector<std::string> cgroups;

  void Fill(startscope::v1::Filter& filter) const {
    filter.mutable_executable()->Assign(executables.begin(), executables.end());
    filter.mutable_comm()->Assign(comms.begin(), comms.end());
    filter.mutable_uid()->Assign(uids.begin(), uids.end());
    filter.mutable_pid()->Assign(pids.begin(), pids.end());
    filter.mutable_cgroup_path()->Assign(cgroups.begin(), cgroups.end());
  }
};

// One value per use of the option, so that what follows it is not swallowed.
void AddFilter(CLI::App& app, FilterValues& values) {
  app.add_option("--exe", values.executables,
                 "Executable's absolute path, or a pattern with * and ?")
      ->allow_extra_args(false)
      ->check([](const std::string& path) {
        const bool usable = !path.empty() && (path[0] == '/' || path[0] == '*');
        return usable ? "" : "must begin with / or * (processes are matched by absolute path)";
      })
      ->option_text("PATH|GLOB");
  app.add_option("--comm", values.comms, "Command name as the kernel keeps it, at most 15 bytes")
      ->allow_extra_args(false)
      ->check([](const std::string& comm) {
        const bool usable = !comm.empty() && comm.size() <= 15;
        return usable ? "" : "must have 1 to 15 bytes: the kernel cuts names there";
      })
      ->option_text("NAME");
  app.add_option("--uid", values.uids, "User id")->allow_extra_args(false)->option_text("UID");
  app.add_option("--pid", values.pids, "Process id, as the daemon sees it")
      ->allow_extra_args(false)
      ->option_text("PID");
  app.add_option("--cgroup", values.cgroups, "cgroup path below its root, and what is below it")
      ->allow_extra_args(false)
      ->option_text("PATH");
}

// The command to run is taken before the option parser sees it, so only the usage line tells of it.
class RunFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: startscope run [OPTIONS] -- COMMAND [ARGUMENTS...]\n";
  }
};

void SetUp(CLI::App& app, const char* footer) {
  app.set_help_flag("-h,--help", "Print this help");
  app.footer(footer);
  app.get_formatter()->column_width(kHelpColumn);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

ParseStop UsageError(const std::string& what, const std::string& command) {
  const std::string help =
      command.empty() ? "startscope --help" : "startscope " + command + " --help";
  return {kExitUsage, "startscope: " + what + "\nTry '" + help + "'.\n"};
}

}  // namespace

std::variant<ParsedCommand, ParseStop> ParseArguments(const std::vector<std::string>& arguments) {
  const std::string version = std::string("startscope ") + kVersion;
  // The question that scripts ask most, and the one for which no option need be known.
  if (arguments.size() == 1 && arguments[0] == "--version") {
    return ParseStop{kExitOk, version + "\n"};
  }
  CLI::App app("Shows where the start of a program goes: kernel, loader, libraries, runtime.",
               "startscope");
  SetUp(app, kMainFooter);
  app.set_version_flag("--version", version, "Print the version");
  app.require_subcommand(0, 1);
  // Before or after the subcommand's name alike, so one object is behind both.
  CommonOptions common;
  AddCommon(app, common);

  RunOptions run;
  CLI::App* run_app = app.add_subcommand("run", "Run a command and show how it starts");
  SetUp(*run_app, kRunFooter);
  run_app->formatter(std::make_shared<RunFormatter>());
  run_app->get_formatter()->column_width(kHelpColumn);
  run_app->add_option("-n,--runs", run.runs, "Run it N times, one after the other")
      ->check(CLI::Range(1u, 1'000'000u))
      ->option_text("N");
  AddMeasure(*run_app, run.measure);
  AddViews(*run_app, run.views);
  run_app->add_option("-o,--output", run.output_file, "Write the result to this file")
      ->option_text("FILE");
  run_app->add_flag("--show-output", run.show_output,
                    "With -n: do not discard the command's output");
  run_app->add_flag("--cold", run.cold,
                    "Take the files it will load out of memory before each run (implies --waits)");
  run_app->add_flag("--drop-caches", run.drop_caches,
                    "The same with every file of the machine: slows everyone down (root)");
  AddCommon(*run_app, common);
  run_app->prefix_command();

  WatchOptions watch;
  FilterValues watch_filter;
  CLI::App* watch_app = app.add_subcommand("watch", "Show program starts as they happen");
  SetUp(*watch_app, kWatchFooter);
  AddFilter(*watch_app, watch_filter);
  watch_app->add_flag("--descendants", watch.descendants,
                      "Only descendants of this very process (of a script: use run)");
  watch_app->add_option("--limit", watch.limit, "End after N startups")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 53))
      ->option_text("N");
  watch_app->add_option("--duration", watch.duration_s, "End after so many seconds")
      ->check(CLI::Range(0.001, 1e8))
      ->option_text("SECONDS");
  AddMeasure(*watch_app, watch.measure);
  watch_app->add_option("--replay", watch.replay, "Begin with the N newest ones that are over");
  watch_app->add_flag("--no-reconnect", watch.no_reconnect,
                      "End when the daemon goes away, do not wait for it to come back");
  watch_app->add_flag("-v,--verbose", watch.verbose, "The full breakdown of each, not a line");
  AddCommon(*watch_app, common);

  ListOptions list;
  FilterValues list_filter;
  CLI::App* list_app =
      app.add_subcommand("list", "List the daemon's recent startups, newest first");
  SetUp(*list_app, "");
  AddFilter(*list_app, list_filter);
  list_app->add_option("--limit", list.limit, "At most N of them (default 50)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 53))
      ->option_text("N");
  AddCommon(*list_app, common);

  ShowOptions show;
  CLI::App* show_app = app.add_subcommand("show", "Show one recent startup in full");
  SetUp(*show_app, "");
  show_app->add_option("ID", show.id, "Id from list, its unique begin, or 'last'")->required();
  AddViews(*show_app, show.views);
  show_app->add_flag("--timeline", show.timeline, "Every fault, mapping and mark (of level pages)");
  show_app->add_flag("--pages", show.pages, "Every page that faulted, in order (of level pages)");
  AddCommon(*show_app, common);

  StatusOptions status;
  CLI::App* status_app =
      app.add_subcommand("status", "Show the daemon's probes, kernel and losses");
  SetUp(*status_app, "");
  AddCommon(*status_app, common);

  DoctorOptions doctor;
  CLI::App* doctor_app =
      app.add_subcommand("doctor", "Say what cannot be measured here, why, and what to do");
  SetUp(*doctor_app, "");
  doctor_app->add_flag("--calibrate", doctor.calibrate,
                       "Have the daemon measure anew what its probes cost (root and the admin group)");
  AddCommon(*doctor_app, common);

  // A program of their own reads what follows, --help included.
  CLI::App* exporter_apps[] = {
      app.add_subcommand("metrics", "Serve program starts as Prometheus metrics"),
      app.add_subcommand("export", "Hand program starts on as OpenTelemetry traces")};
  for (CLI::App* exporter_app : exporter_apps) {
    exporter_app->set_help_flag();
    exporter_app->prefix_command();
  }

  // What follows `--` is the command's and must not be read as ours.
  auto separator = arguments.end();
  if (std::find(arguments.begin(), arguments.end(), "run") != arguments.end()) {
    separator = std::find(arguments.begin(), arguments.end(), "--");
  }
  std::vector<std::string> ours(arguments.begin(), separator);
  std::reverse(ours.begin(), ours.end());
  const auto chosen = [&app] {
    const std::vector<CLI::App*> parsed = app.get_subcommands();
    return parsed.empty() ? &app : parsed.front();
  };
  try {
    app.parse(ours);
  } catch (const CLI::CallForHelp&) {
    return ParseStop{kExitOk, chosen()->help()};
  } catch (const CLI::CallForVersion&) {
    return ParseStop{kExitOk, version + "\n"};
  } catch (const CLI::Error& error) {
    return UsageError(error.what(), chosen() == &app ? "" : chosen()->get_name());
  }

  if (exporter_apps[0]->parsed() || exporter_apps[1]->parsed()) {
    return ParsedCommand(ExporterCall{arguments});
  }
  watch_filter.Fill(watch.filter);
  list_filter.Fill(list.filter);
  run.common = watch.common = list.common = show.common = status.common = doctor.common = common;
  // Of a run, the number of runs and the format decide.
  const std::string run_error = Imply(startscope::v1::LEVEL_UNSPECIFIED, run.measure);
  const std::string watch_error = Imply(startscope::v1::LEVEL_PHASES, watch.measure);
  if (run_app->parsed()) {
    run.measure.waits |= run.cold || run.drop_caches;
    run.command = run_app->remaining();
    if (!run.command.empty() && run.command.front().size() > 1 && run.command.front()[0] == '-') {
      return UsageError("unknown option " + run.command.front(), "run");
    }
    if (separator != arguments.end()) {
      // A `--` after the command's name is an argument of the command.
      if (!run.command.empty()) run.command.push_back("--");
      run.command.insert(run.command.end(), separator + 1, arguments.end());
    }
    if (run.command.empty()) return UsageError("run needs a command: run -- COMMAND", "run");
    if (!run_error.empty()) return UsageError(run_error, "run");
    ChooseStuckAfter(common.format, run.measure);
    if (run.views.any() && run.measure.level == startscope::v1::LEVEL_PHASES) {
      return UsageError("--tree, --why and --link need --level objects or above", "run");
    }
    if (run.views.any() && run.runs > 1 && run.common.format == Format::kText) {
      return UsageError("--tree, --why and --link are of one run: leave out -n", "run");
    }
    if (run.measure.timeline && run.runs > 1 && run.common.format == Format::kText) {
      return UsageError(
          "the summary of several runs has no timeline: use --format json, or one run", "run");
    }
    return ParsedCommand(run);
  }
  if (watch_app->parsed()) {
    if (!watch_error.empty()) return UsageError(watch_error, "watch");
    ChooseStuckAfter(common.format, watch.measure);
    return ParsedCommand(watch);
  }
  if (list_app->parsed()) return ParsedCommand(list);
  if (show_app->parsed()) return ParsedCommand(show);
  if (status_app->parsed()) return ParsedCommand(status);
  if (doctor_app->parsed()) return ParsedCommand(doctor);
  return ParseStop{kExitUsage, app.help()};
}

}  // namespace startscope
