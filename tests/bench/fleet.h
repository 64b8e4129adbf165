// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_BENCH_FLEET_H_
#define STARTSCOPE_TESTS_BENCH_FLEET_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/export/otlp.pb.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// A recording, gone through decode and model as it would live.
struct RecordedStartup {
  std::string name;
  startscope::v1::Startup startup;
  // What the kernel side had sent for it: of its ring, and of the mapping side-band.
  uint64_t record_bytes = 0;
  uint64_t records = 0;
};
// The first startup of the recording, with all that its level has.
[[nodiscard]] absl::StatusOr<RecordedStartup> Replay(const std::string& path);

struct FleetOptions {
  uint32_t nodes = 100;
  uint32_t pods_per_node = 30;
  // Startups a second of each node.
  double rate = 50;
  // Of the startups: how many take a thousand times as long, and how many are killed.
  double slow_share = 0.002;
  double failed_share = 0.002;
  uint64_t seed = 4711;
};

// Startups of a number of simulated nodes: recorded ones with identities of their own, each phase
// as long as recorded times a factor drawn for the startup (log-normal, a third up or down), and
// sums that still hold.
class Fleet {
 public:
  Fleet(const FleetOptions& options, std::vector<RecordedStartup> recorded);

  // Those of one node in the second that begins at `now`: as many as a Poisson process gives.
  std::vector<startscope::v1::Startup> Second(uint32_t node, absl::Time now);
  // What the node's exporter says it is.
  [[nodiscard]] otlp::Resource ResourceOf(uint32_t node) const;

 private:
  startscope::v1::Startup Make(uint32_t node, absl::Time at);

  const FleetOptions options_;
  const std::vector<RecordedStartup> recorded_;
  std::mt19937_64 random_;
  uint64_t made_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_BENCH_FLEET_H_
