// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "daemon/daemon.h"

namespace {

constexpr char kUnixPrefix[] = "unix://";

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

}  // namespace

int main(int argc, char** argv) {
  startscope::DaemonOptions options;
  std::string listen = "unix:///run/startscope/startscope.sock";
  std::vector<std::string> unwanted;
  CLI::App app("startscoped: traces program starts and serves their breakdowns over gRPC");
  app.set_version_flag("--version", STARTSCOPE_VERSION);
  app.add_option("--listen", listen, "Unix socket to serve on: unix:///path")->capture_default_str();
  app.add_option("--serve-fd", options.server.serve_fd,
                 "Serve one connected socket, given as this descriptor, and end with it");
  app.add_option("--record", options.capture.record_path,
                 "Record all events to this file, which must not exist");
  app.add_option("--replay", options.replay_path,
                 "Serve a recording instead of the running kernel; needs no privileges");
  app.add_option("--ring-bytes", options.capture.bpf.ring_bytes,
                 "Size of the kernel's event ring, a power of two")
      ->capture_default_str();
  app.add_option("--mapping-ring-pages", options.capture.mapping_ring_pages,
                 "Pages of each CPU's ring of mapping records, a power of two")
      ->capture_default_str();
  app.add_option("--max-open-startups", options.capture.model.max_open_startups,
                 "Startups followed at once")
      ->capture_default_str();
  app.add_option("--queue-startups", options.hub.queue_items,
                 "Startups waiting for one subscriber before further ones are dropped")
      ->capture_default_str();
  app.add_option("--keep", options.hub.kept_startups, "Finished startups kept for list and show")
      ->capture_default_str();
  app.add_option("--admin-group", options.server.admin_group,
                 "Members may see every user's processes; the socket belongs to it")
      ->capture_default_str();
  app.add_option("--without-probe", unwanted, "Leave this BPF program out (see `status`)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  options.capture.bpf.unwanted_programs.insert(unwanted.begin(), unwanted.end());
  options.server.service.version = STARTSCOPE_VERSION;
  if (options.server.serve_fd < 0) {
    if (listen.rfind(kUnixPrefix, 0) != 0) {
      std::fprintf(stderr, "startscoped: --listen %s: must be unix:///path (TCP is not offered)\n",
                   listen.c_str());
      return kUsage;
    }
    options.server.listen_path = listen.substr(sizeof(kUnixPrefix) - 1);
  }
  if (!IsPowerOfTwo(options.capture.bpf.ring_bytes) || options.capture.bpf.ring_bytes < 65536 ||
      !IsPowerOfTwo(options.capture.mapping_ring_pages)) {
    std::fprintf(stderr,
                 "startscoped: --ring-bytes (at least 65536) and --mapping-ring-pages must be "
                 "powers of two\n");
    return kUsage;
  }
  const absl::Status status = startscope::RunDaemon(options);
  if (!status.ok()) {
    std::fprintf(stderr, "startscoped: %s\n", std::string(status.message()).c_str());
  }
  return ExitCodeOf(status);
}
