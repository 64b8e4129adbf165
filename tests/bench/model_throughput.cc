// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// model_throughput SECONDS RECORDING…: how many events a second decode, order and model take on one core, by CPU time. The records
// of all recordings are read into memory first; then they go through a pipeline of their own, again and again, for
// about so many seconds. Prints events per second for each recording and for all. No privileges.

#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "daemon/collect/recording.h"
#include "daemon/pipeline.h"

namespace startscope {
namespace {

class Counter : public StartupListener, public ImageProber {
 public:
  void OnStarted(WatchMask, const Startup&) override {}
  void OnPhaseFinished(WatchMask, const Startup&, const PhaseSlice&) override {}
  void OnReached(WatchMask, MilestoneKind, std::shared_ptr<const Startup>) override { ++startups; }
  void OnFinished(WatchMask, std::shared_ptr<const Startup>) override { ++startups; }
  void OnLoaderActivity(WatchMask, const LoaderActivity&) override {}
  void OnStuck(WatchMask, const StuckStartup&) override {}
  void OnLost(LossStage, uint64_t) override {}
  bool RequestImage(const ProbeRequest&) override { return true; }
  bool RequestSymbols(const SymbolRequest&) override { return true; }
  void StopTracking(uint32_t, uint64_t) override {}

  uint64_t startups = 0;
};

struct StoredRecord {
  RecordOrigin origin;
  std::vector<uint8_t> bytes;
};

// CPU time: others on the machine do not count.
double NowS() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

int Run(double seconds, const std::vector<std::string>& paths) {
  uint64_t all_events = 0;
  double all_s = 0;
  for (const std::string& path : paths) {
    auto source = ReplayEventSource::Open(path);
    if (!source.ok()) {
      std::fprintf(stderr, "model_throughput: %s\n", std::string(source.status().message()).c_str());
      return 1;
    }
    std::vector<StoredRecord> records;
    while ((*source)->Wait(0)) {
      (*source)->Drain([&](const RawRecord& record) {
        records.push_back({record.origin, {record.bytes.begin(), record.bytes.end()}});
      });
    }
    uint64_t events = 0;
    uint64_t startups = 0;
    const double begin = NowS();
    const double end = begin + seconds / static_cast<double>(paths.size());
    do {
      Counter counter;
      Pipeline pipeline({}, &counter, &counter);
      for (const StoredRecord& record : records) pipeline.OnRecord({record.origin, record.bytes});
      pipeline.Finish();
      events += pipeline.decoder().decoded();
      startups += counter.startups;
    } while (NowS() < end);
    const double took = NowS() - begin;
    std::printf("%-44s %9.0f events/s %8.0f startups/s\n", path.substr(path.rfind('/') + 1).c_str(),
                static_cast<double>(events) / took, static_cast<double>(startups) / took);
    all_events += events;
    all_s += took;
  }
  std::printf("%-44s %9.0f events/s\n", "all", static_cast<double>(all_events) / all_s);
  return 0;
}

}  // namespace
}  // namespace startscope

int main(int argc, char** argv) {
  if (argc < 3 || std::atof(argv[1]) <= 0) {
    std::fprintf(stderr, "usage: model_throughput SECONDS RECORDING...\n");
    return 2;
  }
  return startscope::Run(std::atof(argv[1]), {argv + 2, argv + argc});
}
