// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Requests of any bytes: what is taken is within the documented bounds, a refusal says why, and a
// filter lets nobody see what is another user's. The first byte chooses the request, the rest is
// the message.

#include <cstdint>
#include <string>

#include "daemon/serve/startup_filter.h"
#include "daemon/serve/watch_request.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/require.h"

namespace {

using startscope::Require;
using startscope::v1::ListStartupsRequest;
using startscope::v1::WatchStartupsRequest;

void CheckSpec(const WatchStartupsRequest& request) {
  const absl::StatusOr<startscope::WatchSpec> spec = startscope::ParseRequest(request);
  if (!spec.ok()) return Require(!spec.status().message().empty());
  Require(spec->deadline_ns > 0 && spec->deadline_ns <= 3603 * uint64_t{1'000'000'000});
  Require(spec->stuck_after_ns <= 3603 * uint64_t{1'000'000'000});
  Require(spec->level >= startscope::Level::kPhases &&
          spec->level <= startscope::Level::kFunctions);
  Require(spec->prepare_executables.size() <= 16 && spec->prepare_libraries.size() <= 1024);
  for (const auto* paths : {&spec->prepare_executables, &spec->prepare_libraries}) {
    for (const std::string& path : *paths) {
      Require(path.size() <= 4096 && path.front() == '/' && path.find('\0') == std::string::npos);
    }
  }
}

template <typename Request>
void CheckFilter(const Request& request, const startscope::CgroupResolver& cgroups) {
  startscope::PeerIdentity peer;
  peer.uid = 1000;
  for (const bool privileged : {false, true}) {
    peer.privileged = privileged;
    const absl::StatusOr<startscope::StartupFilter> filter =
        startscope::StartupFilter::Create(request.allow(), request.deny(), peer);
    if (!filter.ok()) return Require(!filter.status().message().empty());
    const std::vector<startscope::KernelFilter> rules = filter->ForKernel(cgroups);
    Require(rules.size() <= 16);
    Require(privileged || !rules.empty());
    for (const startscope::KernelFilter& rule : rules) Require(privileged || rule.uid);
    startscope::Startup startup;
    startup.process.uid = 1001;
    startup.process.euid = 1001;
    Require(privileged || !filter->Matches(startup, cgroups));
    startup.process.uid = 1000;
    startup.process.euid = 0;
    Require(privileged || !filter->Matches(startup, cgroups));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const startscope::CgroupResolver cgroups;
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    WatchStartupsRequest request;
    if (!request.ParseFromArray(data + 1, static_cast<int>(size - 1))) return 0;
    CheckSpec(request);
    CheckFilter(request, cgroups);
  } else {
    ListStartupsRequest request;
    if (!request.ParseFromArray(data + 1, static_cast<int>(size - 1))) return 0;
    CheckFilter(request, cgroups);
  }
  return 0;
}
