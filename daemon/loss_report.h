// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_LOSS_REPORT_H_
#define STARTSCOPE_DAEMON_LOSS_REPORT_H_

#include <cstdint>
#include <vector>

#include "bpf/event.h"
#include "daemon/pipeline.h"
#include "daemon/probe/image_registry.h"
#include "daemon/serve/watch_controller.h"

namespace startscope {

// What the capture side's stages have counted. Passive data.
struct LossFigures {
  ss_stats kernel{};
  Pipeline::Received received;
  uint64_t bad_records = 0;
  StartupModel::Stats model;
  // Records of processes that nobody followed yet.
  uint64_t early_kept = 0;
  uint64_t early_gave_way = 0;
  // Startups and loader events, and those told before their files were known.
  uint64_t told = 0;
  uint64_t hurried = 0;
  ImageRegistry::Counts images;
  bool recording = false;
  uint64_t recorded = 0;
  uint64_t not_recorded = 0;
};

// Every place of the capture side where something can be missing, with the option that makes it
// larger and what follows. The edge adds its own (subscribers' queues, the ring of finished
// startups).
std::vector<DaemonStatus::Loss> ReportLosses(const LossFigures& figures);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_LOSS_REPORT_H_
