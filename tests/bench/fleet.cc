// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "tests/bench/fleet.h"

#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/export/trace_builder.h"
#include "daemon/collect/recording.h"
#include "daemon/pipeline.h"
#include "daemon/serve/startup_to_proto.h"

namespace startscope {
namespace {

constexpr double kLogNormalSigma = 0.3;
constexpr double kSlowFactor = 1000;

class FirstStartup : public StartupListener, public ImageProber {
 public:
  void OnStarted(WatchMask, const Startup&) override {}
  void OnPhaseFinished(WatchMask, const Startup&, const PhaseSlice&) override {}
  void OnReached(WatchMask, MilestoneKind, std::shared_ptr<const Startup> startup) override {
    Take(std::move(startup));
  }
  void OnFinished(WatchMask, std::shared_ptr<const Startup> startup) override {
    Take(std::move(startup));
  }
  void OnLoaderActivity(WatchMask, const LoaderActivity&) override {}
  void OnStuck(WatchMask, const StuckStartup&) override {}
  void OnLost(LossStage, uint64_t) override {}
  bool RequestImage(const ProbeRequest&) override { return true; }
  bool RequestSymbols(const SymbolRequest&) override { return true; }
  void StopTracking(uint32_t, uint64_t) override {}

  std::shared_ptr<const Startup> startup;

 private:
  void Take(std::shared_ptr<const Startup> found) {
    if (startup == nullptr) startup = std::move(found);
  }
};

}  // namespace

absl::StatusOr<RecordedStartup> Replay(const std::string& path) {
  auto source = ReplayEventSource::Open(path);
  if (!source.ok()) return source.status();
  FirstStartup listener;
  Pipeline pipeline({}, &listener, &listener);
  RecordedStartup result;
  result.name = path.substr(path.rfind('/') + 1);
  result.name.resize(result.name.rfind('.'));
  while ((*source)->Wait(0)) {
    (*source)->Drain([&](const RawRecord& record) {
      if (record.origin == RecordOrigin::kRing || record.origin == RecordOrigin::kSideband) {
        result.record_bytes += record.bytes.size();
        ++result.records;
      }
      pipeline.OnRecord(record);
    });
  }
  pipeline.Finish();
  if (listener.startup == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, ": no startup in it"));
  }
  ToProto(*listener.startup, {.level = Level::kFunctions, .timeline_limit = kTimelineStreamed},
          ProtoContext{}, &result.startup);
  return result;
}

Fleet::Fleet(const FleetOptions& options, std::vector<RecordedStartup> recorded)
    : options_(options), recorded_(std::move(recorded)), random_(options.seed) {}

std::vector<v1::Startup> Fleet::Second(uint32_t node, absl::Time now) {
  std::vector<v1::Startup> startups(std::poisson_distribution<int>(options_.rate)(random_));
  for (v1::Startup& startup : startups) startup = Make(node, now);
  return startups;
}

v1::Startup Fleet::Make(uint32_t node, absl::Time at) {
  std::uniform_real_distribution<double> draw;
  v1::Startup startup = recorded_[random_() % recorded_.size()].startup;
  const uint64_t number = ++made_;
  const uint32_t pod = static_cast<uint32_t>(random_() % options_.pods_per_node);
  startup.set_startup_id(absl::StrCat(1000 + number % 4'000'000, "-", random_(), "-", number));
  startup.set_begin_boottime_ns(random_());
  const int64_t exec_ns = absl::ToUnixNanos(at) + static_cast<int64_t>(random_() % 1'000'000'000);
  startup.mutable_exec_time()->set_seconds(exec_ns / 1'000'000'000);
  startup.mutable_exec_time()->set_nanos(static_cast<int32_t>(exec_ns % 1'000'000'000));
  v1::Process& process = *startup.mutable_process();
  process.set_pid(static_cast<uint32_t>(1000 + number % 4'000'000));
  // As the kubelet and containerd name them.
  const std::string pod_uid = absl::StrFormat("%08x-1111-4222-8333-%012x", node, pod);
  process.mutable_pod()->set_uid(pod_uid);
  process.set_container_id(absl::StrFormat("%032x%032x", node, pod));
  process.set_cgroup_path(absl::StrCat("/kubepods.slice/kubepods-burstable.slice/pod", pod_uid,
                                       "/cri-containerd-", process.container_id(), ".scope"));
  double factor = std::lognormal_distribution<double>(0, kLogNormalSigma)(random_);
  const double kind = draw(random_);
  if (kind < options_.slow_share) factor *= kSlowFactor;
  if (kind > 1 - options_.failed_share) {
    startup.set_outcome(v1::OUTCOME_KILLED);
    startup.set_exit_status(11);
  }
  const auto scaled = [factor](uint64_t value_ns) {
    return static_cast<uint64_t>(static_cast<double>(value_ns) * factor);
  };
  uint64_t offset_ns = 0;
  for (v1::PhaseSlice& slice : *startup.mutable_phases()) {
    slice.set_offset_ns(offset_ns);
    slice.set_duration_ns(scaled(slice.duration_ns()));
    if (slice.has_on_cpu_ns()) {
      slice.set_runqueue_ns(scaled(slice.runqueue_ns()));
      slice.set_blocked_ns(scaled(slice.blocked_ns()));
      slice.set_on_cpu_ns(slice.duration_ns() - slice.runqueue_ns() - slice.blocked_ns());
    }
    if (slice.has_fault_ns()) slice.set_fault_ns(scaled(slice.fault_ns()));
    offset_ns += slice.duration_ns();
  }
  for (v1::TimeShare& share : *startup.mutable_blame()) {
    share.set_duration_ns(scaled(share.duration_ns()));
  }
  startup.set_total_ns(offset_ns);
  return startup;
}

otlp::Resource Fleet::ResourceOf(uint32_t node) const {
  otlp::Resource resource;
  auto* attributes = resource.mutable_attributes();
  AddAttribute("service.name", "startscope", attributes);
  AddAttribute("telemetry.sdk.name", "startscope", attributes);
  AddAttribute("telemetry.sdk.language", "cpp", attributes);
  AddAttribute("telemetry.sdk.version", "0.1.0", attributes);
  AddAttribute("os.type", "linux", attributes);
  AddAttribute("host.name", absl::StrFormat("node-%05u.example.internal", node), attributes);
  AddAttribute("host.id", absl::StrFormat("%032x", node + 1), attributes);
  return resource;
}

}  // namespace startscope
