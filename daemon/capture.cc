// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/capture.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/base/errno_status.h"
#include "daemon/collect/calibrator.h"
#include "daemon/collect/drain_pacer.h"
#include "daemon/decode/image_codec.h"
#include "daemon/redact/exec_record.h"

namespace startscope {
namespace {

constexpr uint64_t kThrottledTellNs = 1'000'000'000;

constexpr int kDepartureChecks = 20;
constexpr absl::Duration kDepartureCheck = absl::Milliseconds(5);

// Loaders of this machine that a watch of everything prepares for.
constexpr const char* kUsualLoaders[] = {"/lib64/ld-linux-x86-64.so.2",
                                         "/lib/ld-musl-x86_64.so.1"};
// Libraries of this machine that have dlopen: glibc's, by distributions' layouts and before 2.34.
constexpr const char* kUsualDlopens[] = {
    "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6",
    "/lib/x86_64-linux-gnu/libdl.so.2", "/lib64/libdl.so.2"};

// What level and options mean for the kernel side.
uint32_t DetailsOf(const WatchTerms& terms) {
  uint32_t details = 0;
  if (terms.level >= Level::kObjects) details |= SS_DETAIL_PAGES_READ;
  if (terms.level >= Level::kPages) details |= SS_DETAIL_FAULT_AROUND | SS_DETAIL_MAPPING_CALLS;
  if (terms.waits) details |= SS_DETAIL_WAITS;
  if (terms.syscalls) details |= SS_DETAIL_SYSCALLS;
  if (terms.samples) details |= SS_DETAIL_SAMPLES;
  return details;
}

ss_rule RuleOf(const WatchSpec& spec, const KernelFilter& filter) {
  ss_rule rule{};
  rule.enabled = 1;
  rule.level = spec.level >= Level::kObjects ? SS_LEVEL_OBJECTS : SS_LEVEL_PHASES;
  // A process whose loader is watched is followed beyond its startup.
  rule.until_exit = spec.until_exit || spec.loader_events;
  rule.exact = spec.precision == Precision::kExact;
  rule.details = DetailsOf(spec.terms());
  if (filter.uid) {
    rule.fields |= SS_RULE_UID;
    rule.uid = *filter.uid;
  }
  if (filter.pid) {
    rule.fields |= SS_RULE_TGID;
    rule.tgid = *filter.pid;
  }
  if (filter.cgroup_id) {
    rule.fields |= SS_RULE_CGROUP;
    rule.cgroup_id = *filter.cgroup_id;
  }
  if (filter.comm) {
    rule.fields |= SS_RULE_COMM;
    std::memcpy(rule.comm, filter.comm->data(),
                std::min(filter.comm->size(), sizeof(rule.comm) - 1));
  }
  if (spec.ancestor_pid) {
    rule.fields |= SS_RULE_ANCESTOR;
    rule.ancestor_tgid = *spec.ancestor_pid;
  }
  return rule;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Capture>> Capture::Start(const CaptureOptions& options,
                                                        const KernelFeatures& features,
                                                        const Launchers& launchers,
                                                        StartupListener* listener) {
  std::unique_ptr<Capture> self(new Capture(options, listener));
  SS_ASSIGN_OR_RETURN(self->inspector_, Inspector::Start(options.inspector, launchers.inspectors));
  if (options.bpf.argument_bytes != 0) {
    SS_ASSIGN_OR_RETURN(self->redactor_, ArgumentRedactor::Create(options.redact));
  }
  self->features_ = features;
  SS_ASSIGN_OR_RETURN(self->object_, BpfObject::Load(self->features_, options.bpf));
  self->attacher_ = std::make_unique<ProbeAttacher>(self->object_.get());
  SS_ASSIGN_OR_RETURN(self->source_,
                      BpfEventSource::Create(self->object_.get(), options.mapping_ring_pages));
  if (!options.record_path.empty()) {
    SS_ASSIGN_OR_RETURN(self->recording_,
                        RecordingWriter::Create(options.record_path, options.record_max_bytes));
  }
  self->pipeline_ = std::make_unique<Pipeline>(options.model, listener, self.get());
  ImageRegistryOptions images = options.images;
  // The first instruction of a new image always faults. A breakpoint on it costs each start a page of its
  // own, five microseconds, to say the same.
  if (self->object_->program("on_fault_user") != nullptr) {
    images.needless_marks = 1u << static_cast<unsigned>(MarkKind::kLoaderEntry);
  }
  self->images_ = std::make_unique<ImageRegistry>(
      images, launchers.openers, self->inspector_.get(), self->attacher_.get(),
      [raw = self.get()](const ImageEvent& event) {
        raw->object_->SetFileKnown(event.facts->file,
                                   !event.forgotten && event.facts->error.empty());
        raw->Post([raw, bytes = EncodeImageEvent(event)] {
          raw->OnRecord({RecordOrigin::kImage, bytes});
        });
      },
      [raw = self.get()](const SymbolsEvent& event) {
        raw->Post([raw, bytes = EncodeSymbolsEvent(event)] {
          raw->OnRecord({RecordOrigin::kImage, bytes});
        });
      });
  if (options.calibrate) {
    // Without it all else works; the log says why nothing is known of the cost.
    if (absl::StatusOr<ProbeCosts> costs =
            CalibrateProbes(self->object_.get(), self->attacher_.get());
        costs.ok()) {
      self->OnCosts(*costs);
    } else {
      std::fprintf(stderr, "startscoped: %s\n", std::string(costs.status().message()).c_str());
    }
  }
  self->core_ = std::thread([raw = self.get()] { raw->CoreLoop(); });
  return self;
}

Capture::~Capture() {
  if (!core_.joinable()) return;
  {
    absl::MutexLock lock(&arm_mutex_);
    for (Slot& slot : slots_) slot.watches = 0;
    UpdateProbes().IgnoreError();
  }
  // The core thread asks for images until it ends; what the resolver still has for it then nobody reads.
  stopping_ = true;
  source_->Wake();
  core_.join();
  images_.reset();
  if (recording_) recording_->Finish().IgnoreError();
}

void Capture::Post(std::function<void()> command) {
  {
    absl::MutexLock lock(&command_mutex_);
    commands_.push_back(std::move(command));
  }
  source_->Wake();
}

void Capture::RunOnCore(const std::function<void()>& command) {
  absl::Notification done;
  Post([&] {
    command();
    done.Notify();
  });
  done.WaitForNotification();
}

bool Capture::CoreAnswers() {
  if (!core_answered_.exchange(false)) return false;
  Post([this] { core_answered_ = true; });
  return true;
}

void Capture::RunCommands() {
  std::vector<std::function<void()>> commands;
  {
    absl::MutexLock lock(&command_mutex_);
    commands.swap(commands_);
  }
  for (const auto& command : commands) command();
}

void Capture::OnRecord(const RawRecord& given) {
  RawRecord record = given;
  std::optional<std::vector<uint8_t>> redacted;
  if (redactor_ && record.origin == RecordOrigin::kRing) {
    redacted = RedactExecRecord(record.bytes, *redactor_);
    if (redacted) record.bytes = *redacted;
  }
  if (recording_) recording_->Write(record);
  pipeline_->OnRecord(record);
}

void Capture::OnCosts(const ProbeCosts& costs) {
  {
    absl::MutexLock lock(&costs_mutex_);
    costs_ = costs;
  }
  OnRecord({RecordOrigin::kCosts, {reinterpret_cast<const uint8_t*>(&costs), sizeof(costs)}});
}

absl::Status Capture::Calibrate() {
  BpfObjectOptions loadable = options_.bpf;
  for (const BpfObject::Refusal& refusal : object_->refusals()) {
    loadable.unwanted_programs.insert(refusal.program);
  }
  SS_ASSIGN_OR_RETURN(ProbeCosts costs, CalibrateProbesApart(features_, loadable));
  {
    absl::MutexLock lock(&costs_mutex_);
    if (costs_) costs = costs.OrElse(*costs_);
  }
  RunOnCore([&] { OnCosts(costs); });
  return absl::OkStatus();
}

void Capture::TellThrottled() {
  const uint64_t now_ns = BoottimeNs();
  if (now_ns - throttled_looked_ns_ < kThrottledTellNs) return;
  throttled_looked_ns_ = now_ns;
  const uint64_t total = object_->ReadStats().throttled;
  if (total == throttled_.told()) return;
  for (const ThrottleLedger::News& news :
       throttled_.Update(now_ns, total, object_->ReadThrottled())) {
    listener_->OnThrottled({news.watch_mask, news.cgroup_id, news.uid, news.count, news.total,
                            news.since_ns});
  }
}

void Capture::CopyFigures() {
  const StartupModel& model = pipeline_->model();
  absl::MutexLock lock(&figures_mutex_);
  figures_.received = pipeline_->received();
  figures_.bad_records = pipeline_->decoder().bad_total();
  figures_.model = model.stats();
  figures_.early_kept = model.waiting().kept();
  figures_.early_gave_way = model.waiting().gave_way();
  figures_.told = model.delivery().told();
  figures_.hurried = model.delivery().hurried();
  if (recording_) {
    figures_.recording = true;
    figures_.recorded = recording_->written();
    figures_.not_recorded = recording_->omitted();
  }
  startups_open_ = model.open_startups();
}

void Capture::CoreLoop() {
  const RecordSink sink = [this](const RawRecord& record) { OnRecord(record); };
  DrainPacer pacer;
  pthread_setname_np(pthread_self(), "core");
  while (!stopping_) {
    source_->Wait(pacer.TickMs(BoottimeNs(), watches_ != 0));
    RunCommands();
    const uint64_t before = pipeline_->received().total();
    source_->Drain(sink);
    pacer.Drained(BoottimeNs(), /*active=*/pipeline_->received().total() != before,
                  pipeline_->model().stats().startups_seen);
    CopyFigures();
    TellThrottled();
  }
  RunCommands();
}

bool Capture::RequestImage(const ProbeRequest& request) { return images_->Request(request); }

bool Capture::RequestSymbols(const SymbolRequest& request) { return images_->Request(request); }

void Capture::StopTracking(uint32_t pid, uint64_t start_boottime_ns) {
  object_->StopFollowing(pid, start_boottime_ns);
}

absl::StatusOr<Capture::TakenSlots> Capture::TakeSlots(const std::vector<KernelFilter>& filters,
                                                       std::optional<uint32_t> ancestor,
                                                       const WatchTerms& terms) {
  TakenSlots taken;
  std::vector<KernelFilter> unmatched;
  for (const KernelFilter& filter : filters) {
    const auto same = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
      return slot.watches != 0 && slot.terms == terms && slot.filter == filter &&
             slot.ancestor == ancestor;
    });
    if (same == slots_.end()) {
      unmatched.push_back(filter);
      continue;
    }
    const int slot = static_cast<int>(same - slots_.begin());
    if (std::find(taken.all.begin(), taken.all.end(), slot) == taken.all.end()) {
      taken.all.push_back(slot);
    }
  }
  // Round robin, so that a slot rests before it means another watch.
  for (size_t i = 0; i < slots_.size() && taken.fresh.size() < unmatched.size(); ++i) {
    const int slot = (next_slot_ + static_cast<int>(i)) % static_cast<int>(slots_.size());
    if (slots_[slot].watches == 0) taken.fresh.push_back(slot);
  }
  if (taken.fresh.size() < unmatched.size()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all ", slots_.size(), " filter rules are in use; end another watch, or ask "
                     "with fewer filter values"));
  }
  for (size_t i = 0; i < unmatched.size(); ++i) {
    slots_[taken.fresh[i]] = {0, terms, unmatched[i], ancestor};
    taken.all.push_back(taken.fresh[i]);
  }
  for (const int slot : taken.all) ++slots_[slot].watches;
  if (!taken.fresh.empty()) next_slot_ = (taken.fresh.back() + 1) % static_cast<int>(slots_.size());
  return taken;
}

void Capture::ExcludeCgroups() {
  std::vector<BpfObject::CgroupPlace> places;
  for (const std::string& path : options_.images.never_probe.cgroups()) {
    const std::optional<uint64_t> id = cgroups_.IdOf(path);
    if (!id) continue;
    places.push_back({*id, static_cast<uint32_t>(std::count(path.begin(), path.end(), '/'))});
  }
  object_->SetNeverCgroups(places);
}

absl::Status Capture::UpdateProbes() {
  ProbeNeeds needs;
  ImageRegistry::WantedMarks marks;
  int watches = 0;
  for (const Slot& slot : slots_) {
    if (slot.watches == 0) continue;
    ++watches;
    needs.process = true;
    needs.fault_entries = true;
    needs.fault_completions |= slot.terms.level >= Level::kObjects;
    needs.details |= DetailsOf(slot.terms);
    const bool slot_exact = slot.terms.precision == Precision::kExact;
    marks.startup |= slot_exact;
    marks.dlopen |= slot_exact && slot.terms.loader_events;
    marks.functions |= slot_exact && slot.terms.level >= Level::kFunctions;
  }
  watches_ = watches;
  // More is wanted only while a watch is armed, which says what for; here it can only become less.
  images_->WantMarks(marks, false);
  marks_attached_ = marks.startup;
  absl::Status status = attacher_->SetNeeds(needs);
  if (watches != 0) return status;
  RunOnCore([this] {
    source_->Drain([this](const RawRecord& record) { OnRecord(record); });
    source_->Close();
    object_->ResetTracking();
  });
  return status;
}

absl::Status Capture::AttachFor(const WatchSpec& spec, std::vector<Degradation>* degradations) {
  absl::Status ring;
  absl::Status sideband;
  RunOnCore([&] {
    ring = source_->OpenRing();
    sideband = source_->OpenSideband();
  });
  if (!ring.ok()) return ring;
  if (!sideband.ok()) {
    degradations->push_back({DegradationKind::kProbeUnavailable,
                             absl::StrCat("mappings are not seen: ", sideband.message()), 0});
  }
  if (spec.precision == Precision::kExact) {
    const bool everything = spec.prepare_executables.empty();
    ImageRegistry::WantedMarks marks;
    for (const Slot& slot : slots_) {
      if (slot.watches == 0 || slot.terms.precision != Precision::kExact) continue;
      marks.startup = true;
      marks.dlopen |= slot.terms.loader_events;
      marks.functions |= slot.terms.level >= Level::kFunctions;
    }
    images_->WantMarks(marks, /*known_too=*/everything);
    if (everything) {
      for (const char* loader : kUsualLoaders) {
        images_->PrepareOwn(loader, ImageRegistry::Role::kLoader).IgnoreError();
      }
    }
    if (spec.loader_events) {
      for (const char* library : kUsualDlopens) {
        images_->PrepareOwn(library, ImageRegistry::Role::kLibrary).IgnoreError();
      }
    }
  }
  const FileViewer viewer = {spec.peer.pid, spec.peer.uid, spec.peer.gid};
  for (const std::string& path : spec.prepare_executables) {
    if (absl::Status status = images_->Prepare(viewer, path); !status.ok()) {
      degradations->push_back({DegradationKind::kUnreadableImage, std::string(status.message()), 0});
    }
  }
  for (const std::string& path : spec.prepare_libraries) {
    if (absl::Status status = images_->PrepareLibrary(viewer, path); !status.ok()) {
      degradations->push_back({DegradationKind::kUnreadableImage, std::string(status.message()), 0});
    }
  }
  return UpdateProbes();
}

absl::StatusOr<ArmedWatch> Capture::Arm(const WatchSpec& spec) {
  // A client that ended a moment ago may still have its breakpoints placed: they would perturb this one.
  // If another watch really wants them, waiting is in vain, and the startups say so.
  if (spec.precision == Precision::kUnperturbed) {
    for (int i = 0; i < kDepartureChecks && marks_attached_; ++i) absl::SleepFor(kDepartureCheck);
  }
  absl::MutexLock lock(&arm_mutex_);
  std::vector<KernelFilter> filters = spec.filters;
  if (filters.empty()) filters.emplace_back();
  WatchTerms terms = spec.terms();
  terms.pages_read_known = object_->program("on_page_cached") != nullptr;
  terms.windows_known = object_->program("on_fault_around") != nullptr;
  SS_ASSIGN_OR_RETURN(const TakenSlots slots, TakeSlots(filters, spec.ancestor_pid, terms));
  ExcludeCgroups();
  ArmedWatch armed;
  for (const int slot : slots.all) armed.mask |= WatchMask{1} << slot;
  for (const int slot : slots.fresh) {
    Post([this, bytes = EncodeWatchSet(slot, terms)] {
      OnRecord({RecordOrigin::kWatch, bytes});
    });
  }
  absl::Status status = AttachFor(spec, &armed.degradations);
  for (const int slot : slots.fresh) {
    if (!status.ok()) break;
    status = object_->SetRule(static_cast<uint32_t>(slot), RuleOf(spec, slots_[slot].filter));
  }
  if (!status.ok()) {
    Release(slots.all);
    return status;
  }
  for (const BpfObject::Refusal& refusal : object_->refusals()) {
    armed.degradations.push_back({DegradationKind::kProbeUnavailable,
                                  absl::StrCat(refusal.program, ": ", refusal.reason), 0});
  }
  RunOnCore([] {});  // facts of prepared files have reached the model
  armed.boottime_ns = BoottimeNs();
  return armed;
}

void Capture::Release(const std::vector<int>& slots) {
  std::vector<int> unused;
  for (const int slot : slots) {
    if (--slots_[slot].watches == 0) unused.push_back(slot);
  }
  if (unused.empty()) return;
  for (const int slot : unused) object_->ClearRule(static_cast<uint32_t>(slot));
  RunOnCore([&] {
    // What was recorded for this watch is concluded before the watch is forgotten.
    source_->Drain([this](const RawRecord& record) { OnRecord(record); });
    for (const int slot : unused) OnRecord({RecordOrigin::kWatch, EncodeWatchCleared(slot)});
  });
  for (const int slot : unused) slots_[slot] = Slot{};
  UpdateProbes().IgnoreError();
}

void Capture::Disarm(WatchMask mask) {
  absl::MutexLock lock(&arm_mutex_);
  std::vector<int> slots;
  for (int slot = 0; slot < static_cast<int>(slots_.size()); ++slot) {
    if ((mask & (WatchMask{1} << slot)) != 0 && slots_[slot].watches != 0) {
      slots.push_back(slot);
    }
  }
  if (!slots.empty()) Release(slots);
}

DaemonStatus Capture::Status() {
  DaemonStatus status;
  status.kernel_release = features_.release;
  status.machine = features_.machine;
  status.abi_version = SS_ABI_VERSION;
  for (const KernelFeatures::Line& line : features_.Describe()) {
    status.features.push_back({line.name, line.available, line.detail});
  }
  if (redactor_) {
    status.features.push_back(
        {"arguments", true,
         absl::StrCat("collected, at most ", options_.bpf.argument_bytes,
                      " bytes of each start; what looks like a secret is removed, by the built-in "
                      "rules and ", options_.redact.size(), " patterns of --redact")});
  }
  for (const ProbeAttacher::ProbeState& probe : attacher_->States()) {
    DaemonStatus::Probe to;
    to.name = probe.name;
    to.attachments = probe.attachments;
    to.detail = probe.detail;
    using State = DaemonStatus::ProbeState;
    to.state = probe.attachments != 0 ? State::kAttached
               : probe.loaded         ? State::kIdle
                                      : State::kUnavailable;
    if (to.name == "on_begin_new_exec" && features_.prepare_exec_tracepoint) {
      to.detail = "not needed: sched_prepare_exec is there";
    }
    status.probes.push_back(std::move(to));
  }
  LossFigures figures;
  {
    absl::MutexLock lock(&figures_mutex_);
    figures = figures_;
    status.startups_open = startups_open_;
  }
  figures.kernel = object_->ReadStats();
  figures.images = images_->counts();
  status.losses = ReportLosses(figures);
  for (const ImageRegistry::KnownImage& image : images_->Known()) {
    status.images.push_back({image.facts, image.attached_marks, image.error});
  }
  status.startups_seen = figures.model.startups_seen;
  status.records_received = figures.received.total();
  status.inspector = inspector_->State();
  absl::MutexLock lock(&costs_mutex_);
  status.costs = costs_;
  return status;
}

}  // namespace startscope
