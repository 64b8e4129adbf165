// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "bpf/event.h"
#include "daemon/daemon.h"
#include "daemon/privilege/syscall_filter.h"

namespace {

constexpr absl::string_view kUnixPrefix = "unix://";
constexpr absl::string_view kTcpPrefix = "tcp://";

// Exit codes; startscoped(8) documents them.
enum ExitCode { kOk = 0, kFailed = 1, kUsage = 2, kNotPermitted = 3, kUnsupportedKernel = 4 };

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kInvalidArgument:
      return kUsage;
    case absl::StatusCode::kPermissionDenied:
      return kNotPermitted;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
      return kUnsupportedKernel;
    default:
      return kFailed;
  }
}

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

// Durations on the command line are in seconds.
CLI::Option* AddSeconds(CLI::App* app, const char* name, absl::Duration* value, const char* help) {
  return app
      ->add_option_function<double>(
          name, [value](double seconds) { *value = absl::Seconds(seconds); }, help)
      ->check(CLI::Range(0.01, 86400.0))
      ->type_name("SECONDS")
      ->default_str(absl::StrCat(absl::ToDoubleSeconds(*value)));
}

void AddServing(CLI::App* app, startscope::DaemonOptions* options,
                std::vector<std::string>* listen) {
  app->add_option(
         "--listen", *listen,
         "Where to serve: unix:///path; beside it also tcp://ADDRESS:PORT, with mutual TLS only")
      ->capture_default_str();
  app->add_option("--tls-cert", options->tls.certificate,
                  "The daemon's certificate and chain, PEM (for --listen tcp://)");
  app->add_option("--tls-key", options->tls.key, "Its key, PEM");
  app->add_option("--tls-client-ca", options->tls.client_authorities,
                  "Authorities whose client certificates are accepted, PEM");
  app->add_option(
      "--tls-admin-name", options->server.service.tls_admin_names,
      "A URI or DNS name (without any: the common name) of a client certificate that may "
      "read everything; others may read nothing. May be repeated; none by default");
  app->add_option("--serve-fd", options->serve_fd,
                  "Serve one connected socket, given as this descriptor, and end with it");
  app->add_option("--admin-group", options->admin_group,
                  "Members may see every user's processes; the socket belongs to it")
      ->capture_default_str();
}

void AddLimits(CLI::App* app, startscope::DaemonOptions* options) {
  startscope::ServerOptions& server = options->server;
  const auto count = [&](const char* name, auto* value, const char* help) {
    app->add_option(name, *value, help)->check(CLI::Range(1, 1 << 24))->capture_default_str();
  };
  count("--max-connections", &server.connections.max_connections, "Unix connections at once");
  count("--max-connections-per-user", &server.connections.max_connections_per_user,
        "Those of one user who is neither root nor in the admin group");
  count("--max-tls-connections", &server.connections.max_tls_connections,
        "TLS connections at once");
  count("--max-watches", &server.service.max_subscribers, "Watches at once");
  count("--max-watches-per-user", &server.service.max_subscribers_per_user,
        "Those of one user who is neither root nor in the admin group");
  count("--max-streams", &server.max_streams, "Calls at once on one connection");
  count("--max-message-bytes", &server.max_message_bytes, "Size of a request");
  AddSeconds(app, "--handshake-timeout", &server.connections.handshake,
             "From connecting to the HTTP/2 preface or the end of the TLS handshake");
  AddSeconds(app, "--idle-timeout", &server.idle,
             "A connection without a call is closed after this");
  AddSeconds(app, "--write-timeout", &server.service.write_timeout,
             "A watch whose client takes nothing for so long is ended");
}

// How much is taken, followed and kept.
void AddCapacities(CLI::App* app, startscope::DaemonOptions* options) {
  startscope::CaptureOptions& capture = options->capture;
  const auto count = [&](const char* name, auto* value, const char* help) {
    return app->add_option(name, *value, help)
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
  };
  const auto bytes = [&](const char* name, size_t* value, const char* help) {
    app->add_option(name, *value, help)
        ->check(CLI::Range(uint64_t{1} << 20, uint64_t{1} << 34))
        ->capture_default_str();
  };
  app->add_option("--ring-bytes", capture.bpf.ring_bytes,
                  "Size of the kernel's event ring, a power of two")
      ->capture_default_str();
  app->add_option("--mapping-ring-pages", capture.mapping_ring_pages,
                  "Pages of each CPU's ring of mapping records, a power of two")
      ->capture_default_str();
  count("--max-open-startups", &capture.model.max_open_startups, "Startups followed at once");
  count("--max-records", &capture.model.max_records,
        "Records kept of all startups under way; what is beyond is counted");
  count("--max-waiting-processes", &capture.model.max_waiting_processes,
        "Processes not followed whose last mappings are kept, in case that they are executing");
  // A descriptor is held of each.
  count("--max-files", &capture.images.max_images,
        "Files whose facts and probes are kept; the least recently met goes first")
      ->check(CLI::Range(16, 32768));
  count("--max-waiting-files", &capture.images.max_waiting,
        "Files and functions waiting to be looked up");
  app->add_option("--cgroup-rate", capture.bpf.cgroup_rate,
                  "Startups that one control group may begin in a second, and at once; what is beyond "
                  "is counted and told, not followed. 0: no limit")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  count("--queue-startups", &options->hub.queue_items,
        "Startups waiting for one subscriber before further ones are dropped");
  bytes("--queue-bytes", &options->hub.queue_bytes,
        "Memory of what waits for all subscribers; beyond it those for whom most is waiting lose "
        "their oldest");
  count("--keep", &options->hub.kept_startups, "Finished startups kept for list and show");
  bytes("--keep-bytes", &options->hub.kept_bytes, "Memory of those");
}

absl::Status ParseListen(const std::vector<std::string>& listen,
                         startscope::DaemonOptions* options) {
  for (const std::string& address : listen) {
    std::string* target = nullptr;
    absl::string_view rest = address;
    if (absl::ConsumePrefix(&rest, kUnixPrefix)) {
      target = &options->listen_path;
    } else if (absl::ConsumePrefix(&rest, kTcpPrefix)) {
      target = &options->listen_tcp;
    }
    if (target == nullptr || rest.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--listen ", address, ": must be unix:///path or tcp://ADDRESS:PORT"));
    }
    if (!target->empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--listen ", address, ": only one address of each kind"));
    }
    *target = std::string(rest);
  }
  return absl::OkStatus();
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "startscoped: %s\n", std::string(status.message()).c_str());
  return ExitCodeOf(status);
}

}  // namespace

int main(int argc, char** argv) {
  startscope::DaemonOptions options;
  std::vector<std::string> listen = {"unix:///run/startscope/startscope.sock"};
  std::string seccomp = "errno";
  std::vector<std::string> unwanted;
  std::vector<std::string> never;
  std::vector<std::string> never_files;
  CLI::App app("startscoped: traces program starts and serves their breakdowns over gRPC");
  app.set_version_flag("--version", STARTSCOPE_VERSION);
  AddServing(&app, &options, &listen);
  AddLimits(&app, &options);
  app.add_option("--record", options.capture.record_path,
                 "Record all events to this file, which must not exist");
  app.add_option("--record-bytes", options.capture.record_max_bytes,
                 "Size of it; what is beyond is counted, not written")
      ->check(CLI::Range(uint64_t{1} << 20, uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--replay", options.replay_path,
                 "Serve a recording instead of the running kernel; needs no privileges");
  AddCapacities(&app, &options);
  app.add_option("--user", options.user,
                 "Become this user after the start, keeping the capabilities that tracing needs");
  app.add_option("--seccomp", seccomp,
                 "What system calls meet that the daemon has no use for: errno, kill, or off")
      ->capture_default_str();
  app.add_option(
      "--never-probe", never,
      "Leave this alone: /path or build-id:HEX of a file, in which no breakpoint is placed; "
      "cgroup:/path, of whose processes nothing is recorded. May be repeated");
  app.add_option("--never-probe-file", never_files, "A file of such rules, one a line");
  CLI::Option* collect =
      app.add_option("--collect-arguments", options.capture.bpf.argument_bytes,
                     "Collect all arguments of each start, at most so many bytes (4096 where none "
                     "are given), without what looks like a secret; otherwise argv[0] alone")
          ->expected(0, 1)
          ->default_str("4096")
          ->type_name("BYTES")
          ->check(CLI::Range(1, SS_ARGUMENTS_MAX));
  app.add_option("--redact", options.capture.redact,
                 "Remove also what this RE2 pattern matches in an argument. May be repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false)
      ->needs(collect);
  app.add_option("--debuginfod-cache", options.capture.images.debug_files.debuginfod_cache,
                 "Look for debug files in this cache of debuginfod's clients too: "
                 "DIR/BUILD-ID/debuginfo. Nothing is ever fetched; none by default")
      ->check(CLI::ExistingDirectory)
      ->check([](const std::string& path) {
        return path[0] == '/' ? std::string() : path + ": must be an absolute path";
      })
      ->type_name("DIR");
  bool skip_calibration = false;
  app.add_flag("--no-calibration", skip_calibration,
               "Do not measure at the start what watching costs; startups then do not say it");
  app.add_option("--without-probe", unwanted, "Leave this BPF program out (see `status`)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  // The model also remembers which files could not be read.
  options.capture.model.max_images = 4 * options.capture.images.max_images;
  options.capture.bpf.unwanted_programs.insert(unwanted.begin(), unwanted.end());
  options.server.service.version = STARTSCOPE_VERSION;
  options.capture.calibrate = !skip_calibration;
  if (options.serve_fd < 0) {
    if (absl::Status status = ParseListen(listen, &options); !status.ok()) return Fail(status);
  }
  startscope::NeverProbe& never_probe = options.capture.images.never_probe;
  for (const std::string& rule : never) {
    if (absl::Status status = never_probe.Add(rule); !status.ok()) return Fail(status);
  }
  for (const std::string& path : never_files) {
    if (absl::Status status = never_probe.AddFile(path); !status.ok()) return Fail(status);
  }
  if (absl::Status status = startscope::ArgumentRedactor::Create(options.capture.redact).status();
      !status.ok()) {
    return Fail(status);
  }
  const absl::StatusOr<startscope::FilterAction> filter = startscope::ParseFilterAction(seccomp);
  if (!filter.ok()) return Fail(filter.status());
  options.seccomp = *filter;
  if (!IsPowerOfTwo(options.capture.bpf.ring_bytes) || options.capture.bpf.ring_bytes < 65536 ||
      !IsPowerOfTwo(options.capture.mapping_ring_pages)) {
    std::fprintf(stderr,
                 "startscoped: --ring-bytes (at least 65536) and --mapping-ring-pages must be "
                 "powers of two\n");
    return kUsage;
  }
  const absl::Status status = startscope::RunDaemon(options);
  return status.ok() ? kOk : Fail(status);
}
