// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_model.h"

#include <algorithm>
#include <utility>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/startup_builder.h"

namespace startscope {
namespace {

// Records of a process that executes nothing are forgotten after this long.
constexpr uint64_t kWaitingNs = 5'000'000'000;

template <typename T>
void Append(std::vector<Timed<T>>* list, size_t limit, const Event& event, const T& value,
            uint64_t* not_kept) {
  if (list->size() >= limit) {
    ++*not_kept;
    return;
  }
  Timed<T> timed{event.boottime_ns, event.tid, value};
  // Almost always in order; a late record goes to its place.
  auto at = list->end();
  while (at != list->begin() && std::prev(at)->boottime_ns > event.boottime_ns) --at;
  list->insert(at, std::move(timed));
}

}  // namespace

StartupModel::StartupModel(const ModelOptions& options, StartupListener* listener,
                           ImageProber* prober)
    : options_(options), listener_(listener), prober_(prober) {}

void StartupModel::OnEvent(const Event& event) {
  ++stats_.events;
  now_ns_ = std::max(now_ns_, event.boottime_ns);
  if (const auto* fault = std::get_if<FaultEvent>(&event.payload)) return OnFault(event, *fault);
  if (const auto* map = std::get_if<MappingEvent>(&event.payload)) return OnMapping(event, *map);
  if (const auto* mark = std::get_if<MarkEvent>(&event.payload)) return OnMark(event, *mark);
  if (const auto* exec = std::get_if<ExecEvent>(&event.payload)) return OnExec(event, *exec);
  if (const auto* exit = std::get_if<ExitEvent>(&event.payload)) return OnExit(event, *exit);
  if (const auto* image = std::get_if<ImageEvent>(&event.payload)) return OnImage(*image);
  if (const auto* lost = std::get_if<LostEvent>(&event.payload)) return OnLost(*lost);
  if (const auto* fork = std::get_if<ForkEvent>(&event.payload)) {
    Open* open = Find(event);
    if (open == nullptr) return;
    ++open->evidence.records;
    if (fork->thread) ++open->evidence.threads_created;
  }
}

StartupModel::Open* StartupModel::Find(const Event& event) {
  const auto it = open_.find(event.pid);
  if (it == open_.end()) return nullptr;
  const bool same = event.start_boottime_ns == 0 ||
                    event.start_boottime_ns == it->second->evidence.start_boottime_ns;
  if (same) return it->second.get();
  // The pid belongs to another process now, and the end of ours was never seen.
  End end;
  end.boottime_ns = event.boottime_ns;
  end.outcome = Outcome::kIncomplete;
  Conclude(it, end);
  return nullptr;
}

void StartupModel::TakeTerms(Open* open) const {
  for (int slot = 0; slot < kWatchSlots; ++slot) {
    if ((open->watches & (WatchMask{1} << slot)) == 0) continue;
    const std::optional<WatchTerms>& terms = watches_[slot];
    if (!terms) {
      open->watches &= ~(WatchMask{1} << slot);
      continue;
    }
    open->level = std::max(open->level, terms->level);
    open->until_exit |= terms->until_exit;
    open->until_main |= !terms->until_exit;
    const uint64_t begin = open->evidence.exec.begin_boottime_ns;
    if (terms->deadline_ns != 0) {
      open->deadline_ns = std::max(open->deadline_ns, begin + terms->deadline_ns);
    }
  }
  bool exact = false;
  for (int slot = 0; slot < kWatchSlots; ++slot) {
    if ((open->watches & (WatchMask{1} << slot)) == 0) continue;
    exact |= watches_[slot]->precision == Precision::kExact;
  }
  open->precision = exact ? Precision::kExact : Precision::kUnperturbed;
}

void StartupModel::OnExec(const Event& event, const ExecEvent& exec) {
  std::vector<Event> early;
  bool first_exec = true;
  if (Open* before = Find(event); before != nullptr) {
    // What was recorded since the new image's begin belongs to the new image.
    Evidence& old = before->evidence;
    const auto move_out = [&](auto* list) {
      auto from = std::find_if(list->begin(), list->end(), [&](const auto& timed) {
        return timed.boottime_ns >= exec.begin_boottime_ns;
      });
      for (auto it = from; it != list->end(); ++it) {
        Event moved;
        moved.boottime_ns = it->boottime_ns;
        moved.pid = event.pid;
        moved.tid = it->tid;
        moved.payload = it->value;
        early.push_back(std::move(moved));
      }
      list->erase(from, list->end());
    };
    move_out(&old.faults);
    move_out(&old.mappings);
    first_exec = false;
    End end;
    end.boottime_ns = exec.begin_boottime_ns;
    end.counters = exec.begin;
    end.outcome = Outcome::kReplaced;
    end.source = BoundarySource::kTracepoint;
    Conclude(open_.find(event.pid), end);
  }
  if (exec.watch_mask == 0) return;
  auto open = std::make_unique<Open>();
  open->watches = exec.watch_mask;
  Evidence& evidence = open->evidence;
  evidence.pid = event.pid;
  evidence.start_boottime_ns = event.start_boottime_ns;
  evidence.exec_boottime_ns = event.boottime_ns;
  evidence.exec = exec;
  evidence.records = 1;
  evidence.first_exec = first_exec;
  TakeTerms(open.get());
  if (open->watches == 0) return;
  ++stats_.startups_seen;
  if (open_.size() >= options_.max_open_startups) {
    ++stats_.startups_refused;
    listener_->OnLost(LossStage::kModel, 1);
    return;
  }
  Adopt(event.pid, exec.begin_boottime_ns, &evidence);
  const auto it = open_.emplace(event.pid, std::move(open)).first;
  for (const Event& moved : early) OnEvent(moved);
  Open& opened = *it->second;
  RequestImages(&opened);
  const BuildOptions build{opened.level, opened.precision, options_.max_objects};
  listener_->OnStarted(opened.watches,
                       DescribeStartup(opened.evidence, ImagesOf(opened), build));
}

void StartupModel::OnExit(const Event& event, const ExitEvent& exit) {
  waiting_.erase(event.pid);
  End end;
  end.boottime_ns = event.boottime_ns;
  end.counters = exit.now;
  end.source = BoundarySource::kTracepoint;
  end.exit_status = exit.exit_status;
  end.milestone = MilestoneKind::kExit;
  if (exit.before_exec) {
    Open open;
    open.evidence.pid = event.pid;
    open.evidence.start_boottime_ns = event.start_boottime_ns;
    open.evidence.exec_boottime_ns = exit.begin_boottime_ns;
    open.evidence.exec.begin_boottime_ns = exit.begin_boottime_ns;
    open.evidence.exec.exec_id = exit.exec_id;
    open.evidence.exec.begin = exit.now;
    open.evidence.exec.now = exit.now;
    open.watches = ~WatchMask{0};
    TakeTerms(&open);
    end.outcome = Outcome::kExecFailed;
    ++stats_.startups_seen;
    const BuildOptions build{open.level, open.precision, options_.max_objects};
    Deliver(open, std::make_shared<Startup>(BuildStartup(open.evidence, {}, end, build)));
    return;
  }
  Open* open = Find(event);
  if (open == nullptr) return;
  ++open->evidence.records;
  if ((exit.exit_status & 0x7f) != 0) {
    end.outcome = Outcome::kKilled;
  } else if (open->until_exit) {
    end.outcome = Outcome::kReached;
  } else {
    end.outcome = Outcome::kExited;
  }
  Conclude(open_.find(event.pid), end);
}

void StartupModel::OnFault(const Event& event, const FaultEvent& fault) {
  Open* open = Find(event);
  if (open == nullptr) return Keep(event);
  ++open->evidence.records;
  Append(&open->evidence.faults, options_.max_faults, event, fault,
         &open->evidence.faults_not_kept);
  if (fault.instruction_fetch && open->until_main && !open->reached_main) {
    TryInferMain(open_.find(event.pid));
  }
}

void StartupModel::OnMapping(const Event& event, const MappingEvent& mapping) {
  Open* open = Find(event);
  if (open == nullptr) return Keep(event);
  Append(&open->evidence.mappings, options_.max_mappings, event, mapping,
         &open->evidence.mappings_not_kept);
  if (!open->loader_requested) RequestImages(open);
}

void StartupModel::OnMark(const Event& event, const MarkEvent& mark) {
  Open* open = Find(event);
  if (open == nullptr) return;
  ++open->evidence.records;
  uint64_t not_kept = 0;
  Append(&open->evidence.marks, options_.max_marks, event, mark, &not_kept);
  if (open->reached_main || open->precision != Precision::kExact) return;
  const auto image = images_.find(open->evidence.exec.executable);
  const bool entry_is_main = mark.kind == MarkKind::kEntry && image != images_.end() &&
                             EntryIsMain(*image->second.facts);
  if (mark.kind != MarkKind::kMain && !entry_is_main) return;
  End end;
  end.boottime_ns = event.boottime_ns;
  end.counters = mark.now;
  ReachMain(open_.find(event.pid), end);
}

void StartupModel::ReachMain(OpenMap::iterator it, const End& given) {
  Open& open = *it->second;
  open.reached_main = true;
  End end = given;
  end.outcome = Outcome::kReached;
  end.milestone = MilestoneKind::kMain;
  const BuildOptions build{open.level, open.precision, options_.max_objects};
  const StartupImages images = ImagesOf(open);
  const BoundaryFinder finder(open.evidence, images, open.precision != Precision::kExact);
  if (end.source == BoundarySource::kUnspecified) {
    const auto main = finder.Find(Moment::kMain);
    end.source = main ? main->source : BoundarySource::kEntryUprobe;
  }
  if (!open.until_exit) return Conclude(it, end);
  // The watches until main have theirs; the rest goes on to exit.
  WatchMask served = 0;
  for (int slot = 0; slot < kWatchSlots; ++slot) {
    const WatchMask bit = WatchMask{1} << slot;
    if ((open.watches & bit) != 0 && !watches_[slot]->until_exit) served |= bit;
  }
  if (served == 0) return;
  open.watches &= ~served;
  open.until_main = false;
  listener_->OnReached(
      served, MilestoneKind::kMain,
      std::make_shared<Startup>(BuildStartup(open.evidence, images, end, build)));
}

bool StartupModel::MainIsMarked(const Open& open) const {
  if (open.precision != Precision::kExact) return false;
  const auto image = images_.find(open.evidence.exec.executable);
  return image != images_.end() &&
         MainWasMarked(&image->second, open.evidence.exec.begin_boottime_ns);
}

void StartupModel::TryInferMain(OpenMap::iterator it) {
  Open& open = *it->second;
  const auto image = images_.find(open.evidence.exec.executable);
  if (image == images_.end() || MainIsMarked(open)) return;
  const BoundaryFinder finder(open.evidence, ImagesOf(open),
                              open.precision != Precision::kExact);
  const std::optional<Boundary> main = finder.InferMain();
  if (!main) return;
  End end;
  end.boottime_ns = main->boottime_ns;
  end.source = main->source;
  if (!open.until_exit) {
    prober_->StopTracking(open.evidence.pid, open.evidence.start_boottime_ns);
  }
  ReachMain(it, end);
}

void StartupModel::RequestImages(Open* open) {
  const ExecEvent& exec = open->evidence.exec;
  if (!open->executable_requested) {
    open->executable_requested = true;
    std::string path = exec.filename;
    for (const auto& mapping : open->evidence.mappings) {
      if (mapping.value.file == exec.executable) path = mapping.value.path;
    }
    RequestImage(*open, exec.executable, path, 0, 0, false);
  }
  if (exec.at_base == 0) {
    open->loader_requested = true;
    return;
  }
  for (const auto& mapping : open->evidence.mappings) {
    const MappingEvent& value = mapping.value;
    if (value.file.inode == 0 || exec.at_base < value.address ||
        exec.at_base - value.address >= value.size_bytes) {
      continue;
    }
    open->loader_requested = true;
    open->loader = value.file;
    open->loader_path = value.path;
    RequestImage(*open, value.file, value.path, value.address, value.size_bytes, true);
    return;
  }
}

void StartupModel::RequestImage(const Open& open, const FileId& file, const std::string& path,
                                uint64_t map_address, uint64_t map_bytes, bool is_loader) {
  const auto known = images_.find(file);
  if (known != images_.end()) {
    // A file that could not be read may be readable now: this process is alive, the last one may not
    // have been.
    const bool failed = !known->second.facts->error.empty();
    const bool unmarked = open.precision == Precision::kExact &&
                          !known->second.facts->sites.empty() &&
                          known->second.attached_boottime_ns == 0;
    if (!unmarked && !failed) return;
  }
  if (requested_.size() >= options_.max_images) return;
  if (!requested_.insert(file).second) return;
  ProbeRequest request;
  request.file = file;
  request.path = path;
  request.pid = open.evidence.pid;
  request.start_boottime_ns = open.evidence.start_boottime_ns;
  request.parent_pid = open.evidence.exec.parent_pid;
  request.map_address = map_address;
  request.map_size_bytes = map_bytes;
  request.is_loader = is_loader;
  prober_->RequestImage(request);
}

void StartupModel::OnImage(const ImageEvent& image) {
  const FileId file = image.facts->file;
  requested_.erase(file);
  if (image.forgotten) {
    images_.erase(file);
    return;
  }
  if (images_.size() >= options_.max_images && !images_.contains(file)) {
    images_.erase(images_.begin());
  }
  images_[file] = {image.image, image.facts, image.attached_marks, image.attached_boottime_ns,
                   image.attach_error};
  // A start that waited for these facts may now be concluded.
  std::vector<uint32_t> waiting;
  for (const auto& [pid, open] : open_) {
    if (open->evidence.exec.executable == file && open->until_main && !open->reached_main) {
      waiting.push_back(pid);
    }
  }
  for (const uint32_t pid : waiting) TryInferMain(open_.find(pid));
}

void StartupModel::OnLost(const LostEvent& lost) {
  for (auto& [pid, open] : open_) open->evidence.lost[lost.stage] += lost.count;
  listener_->OnLost(lost.stage, lost.count);
}

void StartupModel::Keep(const Event& event) {
  if (waiting_.size() >= options_.max_waiting_processes && !waiting_.contains(event.pid)) {
    absl::erase_if(waiting_, [&](const auto& entry) {
      return entry.second.last_ns + kWaitingNs < now_ns_;
    });
    if (waiting_.size() >= options_.max_waiting_processes) waiting_.erase(waiting_.begin());
  }
  Waiting& waiting = waiting_[event.pid];
  waiting.last_ns = event.boottime_ns;
  // Only what the kernel does inside one exec can matter, so the newest are enough.
  if (waiting.events.size() >= options_.max_waiting_records) {
    waiting.events.erase(waiting.events.begin(),
                         waiting.events.begin() +
                             static_cast<std::ptrdiff_t>(options_.max_waiting_records / 2));
  }
  waiting.events.push_back(event);
}

void StartupModel::Adopt(uint32_t pid, uint64_t since_ns, Evidence* evidence) {
  const auto found = waiting_.find(pid);
  if (found == waiting_.end()) return;
  for (const Event& event : found->second.events) {
    if (event.boottime_ns < since_ns) continue;
    if (const auto* fault = std::get_if<FaultEvent>(&event.payload)) {
      ++evidence->records;
      Append(&evidence->faults, options_.max_faults, event, *fault, &evidence->faults_not_kept);
    } else if (const auto* mapping = std::get_if<MappingEvent>(&event.payload)) {
      Append(&evidence->mappings, options_.max_mappings, event, *mapping,
             &evidence->mappings_not_kept);
    }
  }
  waiting_.erase(found);
}

StartupImages StartupModel::ImagesOf(const Open& open) const {
  StartupImages images;
  const auto executable = images_.find(open.evidence.exec.executable);
  if (executable != images_.end()) images.executable = &executable->second;
  const auto loader = images_.find(open.loader);
  if (loader != images_.end() && open.loader.inode != 0) images.loader = &loader->second;
  return images;
}

void StartupModel::Deliver(const Open& open, std::shared_ptr<const Startup> startup) {
  for (const PhaseSlice& slice : startup->phases) {
    listener_->OnPhaseFinished(open.watches, *startup, slice);
  }
  listener_->OnFinished(open.watches, std::move(startup));
}

void StartupModel::Conclude(OpenMap::iterator it, const End& end) {
  const std::unique_ptr<Open> open = std::move(it->second);
  open_.erase(it);
  const BuildOptions build{open->level, open->precision, options_.max_objects};
  Deliver(*open, std::make_shared<Startup>(
                     BuildStartup(open->evidence, ImagesOf(*open), end, build)));
}

void StartupModel::ClearWatch(int slot) {
  watches_[slot].reset();
  const WatchMask bit = WatchMask{1} << slot;
  std::vector<uint32_t> orphaned;
  for (auto& [pid, open] : open_) {
    open->watches &= ~bit;
    if (open->watches == 0) orphaned.push_back(pid);
  }
  End end;
  end.boottime_ns = now_ns_;
  end.outcome = Outcome::kIncomplete;
  for (const uint32_t pid : orphaned) {
    const auto it = open_.find(pid);
    prober_->StopTracking(pid, it->second->evidence.start_boottime_ns);
    Conclude(it, end);
  }
}

void StartupModel::AdvanceTo(uint64_t boottime_ns) {
  now_ns_ = std::max(now_ns_, boottime_ns);
  std::vector<uint32_t> late;
  for (const auto& [pid, open] : open_) {
    if (open->deadline_ns != 0 && open->deadline_ns <= now_ns_) late.push_back(pid);
  }
  for (const uint32_t pid : late) {
    const auto it = open_.find(pid);
    End end;
    end.boottime_ns = it->second->deadline_ns;
    end.outcome = Outcome::kDeadline;
    prober_->StopTracking(pid, it->second->evidence.start_boottime_ns);
    Conclude(it, end);
  }
}

void StartupModel::Finish() {
  End end;
  end.boottime_ns = now_ns_;
  end.outcome = Outcome::kIncomplete;
  while (!open_.empty()) Conclude(open_.begin(), end);
}

}  // namespace startscope
