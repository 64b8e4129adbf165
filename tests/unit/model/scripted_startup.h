// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Test helper: scripts the events of a startup and collects what the model makes of them.

#ifndef STARTSCOPE_TESTS_UNIT_MODEL_SCRIPTED_STARTUP_H_
#define STARTSCOPE_TESTS_UNIT_MODEL_SCRIPTED_STARTUP_H_

#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/model/startup_model.h"

namespace startscope {

inline constexpr FileId kExecutable{8, 1, 100};
inline constexpr FileId kLoader{8, 1, 200};
inline constexpr FileId kLibc{8, 1, 300};
inline constexpr uint64_t kEntryAddress = 0x401000;
inline constexpr uint64_t kLoaderBase = 0x7f0000000000;
inline constexpr uint64_t kLibcBase = 0x7e0000000000;
inline constexpr uint64_t kStackStart = 0x7ffd00001000;

class Recorder : public StartupListener, public ImageProber {
 public:
  void OnStarted(WatchMask, const Startup& startup) override { started.push_back(startup); }
  void OnPhaseFinished(WatchMask, const Startup&, const PhaseSlice& slice) override {
    slices.push_back(slice);
  }
  void OnReached(WatchMask mask, MilestoneKind, std::shared_ptr<const Startup> startup) override {
    reached.emplace_back(mask, std::move(startup));
  }
  void OnFinished(WatchMask mask, std::shared_ptr<const Startup> startup) override {
    finished.emplace_back(mask, std::move(startup));
  }
  void OnStuck(WatchMask mask, const StuckStartup& one) override { stuck.emplace_back(mask, one); }
  void OnLost(LossStage stage, uint64_t count) override { lost.emplace_back(stage, count); }
  bool RequestImage(const ProbeRequest& request) override {
    requests.push_back(request);
    return takes_requests;
  }
  bool RequestSymbols(const SymbolRequest& request) override {
    symbol_requests.push_back(request);
    return answers_symbols;
  }
  void OnLoaderActivity(WatchMask, const LoaderActivity& activity) override {
    activities.push_back(activity);
  }
  void StopTracking(uint32_t pid, uint64_t) override { stopped.push_back(pid); }

  std::vector<Startup> started;
  std::vector<PhaseSlice> slices;
  std::vector<std::pair<WatchMask, std::shared_ptr<const Startup>>> reached;
  std::vector<std::pair<WatchMask, std::shared_ptr<const Startup>>> finished;
  std::vector<std::pair<LossStage, uint64_t>> lost;
  std::vector<ProbeRequest> requests;
  std::vector<SymbolRequest> symbol_requests;
  bool answers_symbols = false;
  bool takes_requests = true;
  std::vector<LoaderActivity> activities;
  std::vector<uint32_t> stopped;
  std::vector<std::pair<WatchMask, StuckStartup>> stuck;
};

// Sends events of one process to a model; times are given as offsets from 1,000,000.
class Script {
 public:
  static constexpr uint64_t kOrigin = 1'000'000;

  explicit Script(StartupModel* model, uint32_t pid = 42, uint64_t start = 900'000)
      : model_(model), pid_(pid), start_(start) {
    Begin();
  }

  Script& Image(const FileId& file, Libc libc, Linkage linkage, std::vector<MarkKind> marks,
                uint64_t attached_ns = 1) {
    auto facts = std::make_shared<ImageFacts>();
    facts->file = file;
    facts->kind = file == kLoader ? ImageKind::kLoader : ImageKind::kExecutable;
    facts->libc = libc;
    facts->linkage = linkage;
    facts->language = Language::kCOrCpp;
    facts->entry_address = 0x1000;
    ImageEvent event;
    event.image = static_cast<uint32_t>(file.inode);
    event.attached_boottime_ns = marks.empty() ? 0 : attached_ns;
    for (const MarkKind kind : marks) {
      MarkSite site;
      site.kind = kind;
      site.rung = SiteRung::kCallSite;
      facts->sites.push_back(site);
      event.attached_marks |= 1u << static_cast<unsigned>(kind);
      if (kind == MarkKind::kMain) facts->main_address = 0x1800;
    }
    event.facts = std::move(facts);
    return Send(0, event);
  }

  // What happens from here on belongs to the next exec.
  Script& Begin() {
    begin_ = Count(0);
    return *this;
  }

  Script& Exec(uint64_t at, uint64_t begin, bool dynamic, uint64_t exec_id = 1,
               WatchMask mask = 1) {
    ExecEvent exec;
    exec.begin_boottime_ns = kOrigin + begin;
    exec.begin = begin_;
    exec.begin.off_cpu_ns = blocked_ns_;
    exec.begin.voluntary_switches = blocked_ns_;
    exec.now = Count(at);
    exec.exec_id = exec_id;
    exec.watch_mask = mask;
    exec.at_base = dynamic ? kLoaderBase : 0;
    exec.at_entry = kEntryAddress;
    exec.stack_start = kStackStart;
    exec.executable = kExecutable;
    exec.comm = "hello";
    exec.filename = "/bin/hello";
    exec.argv0 = "hello";
    return Send(at, std::make_shared<const ExecEvent>(exec));
  }

  Script& Map(uint64_t at, const FileId& file, uint64_t address, uint64_t size, uint32_t prot,
              const std::string& path, uint64_t offset = 0) {
    MappingEvent mapping;
    mapping.file = file;
    mapping.address = address;
    mapping.size_bytes = size;
    mapping.prot = prot;
    mapping.path = path;
    mapping.file_offset = offset;
    return Send(at, mapping, /*with_start=*/false);
  }

  // The kernel's mappings of a dynamic program, as they come before sched_process_exec.
  Script& MapImages(uint64_t at, bool dynamic) {
    Map(at, kExecutable, 0x400000, 0x3000, PROT_READ | PROT_EXEC, "/usr/bin/hello");
    Map(at, kExecutable, 0x403000, 0x1000, PROT_READ | PROT_WRITE, "/usr/bin/hello", 0x3000);
    if (dynamic) {
      Map(at, kLoader, kLoaderBase, 0x30000, PROT_READ | PROT_EXEC, "/lib/ld.so");
      Map(at, kLoader, kLoaderBase + 0x30000, 0x2000, PROT_READ | PROT_WRITE, "/lib/ld.so", 0x30000);
    }
    return *this;
  }

  Script& Mark(uint64_t at, MarkKind kind, const FileId& file) {
    MarkEvent mark;
    mark.kind = kind;
    mark.image = static_cast<uint32_t>(file.inode);
    mark.now = Count(at);
    return Send(at, mark);
  }

  // A completed minor fault; the kernel's count goes up with it.
  Script& Fault(uint64_t at, uint64_t address, uint64_t latency = 5, bool fetch = false,
                bool major = false) {
    ++(major ? major_ : minor_);
    FaultEvent fault;
    fault.address = address;
    fault.ip = fetch ? address : kEntryAddress;
    fault.entry_boottime_ns = kOrigin + at - latency;
    fault.completed = true;
    fault.major = major;
    fault.access_known = true;
    fault.instruction_fetch = fetch;
    fault.counts_known = true;
    fault.minor_faults = minor_;
    fault.major_faults = major_;
    return Send(at, fault);
  }

  // Faults that only the kernel counts.
  Script& HiddenFaults(uint64_t count) {
    minor_ += count;
    return *this;
  }

  Script& BlockedFor(uint64_t ns) {
    blocked_ns_ += ns;
    return *this;
  }

  Script& Exit(uint64_t at, uint32_t status = 0) {
    ExitEvent exit;
    exit.now = Count(at);
    exit.exit_status = status;
    return Send(at, exit);
  }

  template <typename Payload>
  Script& Send(uint64_t at, Payload payload, bool with_start = true) {
    Event event;
    event.boottime_ns = kOrigin + at;
    event.pid = pid_;
    event.tid = pid_;
    event.start_boottime_ns = with_start ? start_ : 0;
    event.payload = std::move(payload);
    model_->OnEvent(event);
    return *this;
  }

 private:
  Counters Count(uint64_t at) const {
    Counters counters;
    counters.minor_faults = minor_;
    counters.major_faults = major_;
    counters.off_cpu_ns = blocked_ns_;
    counters.voluntary_switches = blocked_ns_;
    counters.threads = 1;
    return counters;
  }

  StartupModel* const model_;
  const uint32_t pid_;
  const uint64_t start_;
  uint64_t minor_ = 7;  // what the process had before this exec
  uint64_t major_ = 1;
  uint64_t blocked_ns_ = 0;
  Counters begin_;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_MODEL_SCRIPTED_STARTUP_H_
