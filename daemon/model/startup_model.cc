// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_model.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/dependency_chain.h"
#include "daemon/model/startup_builder.h"
#include "daemon/model/stuck_finder.h"

namespace startscope {
namespace {

// Startups looked at for being stuck at one AdvanceTo(), which may have to read all that is kept of
// each; the others wait for the next.
constexpr size_t kStuckAtOnce = 8;

constexpr size_t kSpareOpen = 16;

}  // namespace

StartupModel::StartupModel(const ModelOptions& options, StartupListener* listener,
                           ImageProber* prober)
    : options_(options),
      listener_(listener),
      prober_(prober),
      delivery_({options.facts_patience_ns, options.max_open_startups}, listener, prober),
      waiting_({options.max_waiting_processes, options.max_waiting_records}) {}

void StartupModel::OnEvent(Event&& event) {
  ++stats_.events;
  now_ns_ = std::max(now_ns_, event.boottime_ns);
  if (std::holds_alternative<FaultEvent>(event.payload)) return OnFault(std::move(event));
  if (std::holds_alternative<MappingEvent>(event.payload)) return OnMapping(std::move(event));
  if (std::holds_alternative<MarkEvent>(event.payload)) return OnMark(std::move(event));
  if (const auto* exec = std::get_if<std::shared_ptr<const ExecEvent>>(&event.payload)) {
    return OnExec(event, **exec);
  }
  if (const auto* exit = std::get_if<ExitEvent>(&event.payload)) return OnExit(event, *exit);
  if (const auto* image = std::get_if<ImageEvent>(&event.payload)) return OnImage(*image);
  if (const auto* lost = std::get_if<LostEvent>(&event.payload)) return OnLost(*lost);
  if (const auto* symbols = std::get_if<SymbolsEvent>(&event.payload)) {
    return delivery_.OnSymbols(*symbols, images_.contains(symbols->file), now_ns_);
  }
  if (const auto* fork = std::get_if<ForkEvent>(&event.payload)) return OnFork(event, *fork);
  OnDetail(std::move(event));
}

void StartupModel::OnFork(const Event& event, const ForkEvent& fork) {
  Open* open = Find(event);
  if (open == nullptr) return;
  Evidence& evidence = open->evidence;
  ++evidence.records;
  if (!fork.thread) return;
  ++evidence.threads_created;
  if (evidence.threads.size() < options_.evidence.threads) {
    evidence.threads.push_back({event.boottime_ns, event.tid, fork.child_tid});
  }
}

std::unique_ptr<StartupModel::Open> StartupModel::OpenPool::Take() {
  if (spare_.empty()) return std::make_unique<Open>();
  std::unique_ptr<Open> open = std::move(spare_.back());
  spare_.pop_back();
  return open;
}

void StartupModel::OpenPool::Return(std::unique_ptr<Open> open) {
  if (spare_.size() >= kSpareOpen) return;
  open->Clear();
  spare_.push_back(std::move(open));
}

StartupModel::Open* StartupModel::Find(const Event& event) {
  const auto is_same = [&event](const Open& open) {
    return event.start_boottime_ns == 0 ||
           event.start_boottime_ns == open.evidence.start_boottime_ns;
  };
  if (found_ != nullptr && found_pid_ == event.pid && is_same(*found_)) return found_;
  const auto it = open_.find(event.pid);
  if (it == open_.end()) return nullptr;
  if (is_same(*it->second)) {
    found_pid_ = event.pid;
    found_ = it->second.get();
    return found_;
  }
  // The pid belongs to another process now, and the end of ours was never seen.
  End end;
  end.boottime_ns = event.boottime_ns;
  end.outcome = Outcome::kIncomplete;
  Conclude(it, end);
  return nullptr;
}

void StartupModel::TakeTerms(Open* open) const {
  open->level = Level::kPhases;
  open->until_exit = false;
  open->until_main = false;
  open->waits = false;
  open->syscalls = false;
  open->samples = false;
  open->loader_events = false;
  open->pages_read_known = true;
  open->windows_known = true;
  open->deadline_ns = 0;
  open->stuck_due_ns = 0;
  for (int slot = 0; slot < kWatchSlots; ++slot) {
    if ((open->watches & (WatchMask{1} << slot)) == 0) continue;
    const std::optional<WatchTerms>& terms = watches_[slot];
    if (!terms) {
      open->watches &= ~(WatchMask{1} << slot);
      continue;
    }
    open->level = std::max(open->level, terms->level);
    open->until_exit |= terms->until_exit;
    open->until_main |= !terms->until_exit && !open->reached_main;
    open->waits |= terms->waits;
    open->syscalls |= terms->syscalls;
    open->samples |= terms->samples;
    open->loader_events |= terms->loader_events;
    open->pages_read_known &= terms->pages_read_known;
    open->windows_known &= terms->windows_known;
    const uint64_t begin = open->evidence.exec.begin_boottime_ns;
    if (terms->deadline_ns != 0) {
      open->deadline_ns = std::max(open->deadline_ns, begin + terms->deadline_ns);
    }
    if (terms->stuck_after_ns != 0) {
      const uint64_t due = begin + NextStuckMoment(terms->stuck_after_ns, open->stuck_told_ns);
      if (open->stuck_due_ns == 0 || due < open->stuck_due_ns) open->stuck_due_ns = due;
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
  bool early_complete = true;
  bool first_exec = true;
  if (Open* before = Find(event); before != nullptr) {
    // What was recorded since the new image's begin belongs to the new image.
    if (before->late) {
      early_complete = before->recent.cut_through_ns < exec.begin_boottime_ns;
      for (Event& recent : before->recent.events) {
        if (recent.boottime_ns >= exec.begin_boottime_ns) early.push_back(std::move(recent));
      }
    } else {
      early = before->evidence.TakeSince(exec.begin_boottime_ns);
      kept_records_ -= std::min(kept_records_, early.size());
      stats_.records_kept -= early.size();  // they come again
    }
    first_exec = false;
    End end;
    end.boottime_ns = exec.begin_boottime_ns;
    end.counters = exec.begin;
    end.outcome = Outcome::kReplaced;
    end.source = BoundarySource::kTracepoint;
    Conclude(open_.find(event.pid), end);
  }
  if (exec.watch_mask == 0) return;
  OpenPtr open = NewOpen();
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
  for (const auto* losses : {&lost_before_, &lost_lately_}) {
    for (const auto& [stage, count] : *losses) evidence.lost[stage] += count;
  }
  early_complete &= Adopt(event.pid, exec.begin_boottime_ns, &evidence);
  if (!early_complete) {
    ++stats_.startups_cut_early;
    ++evidence.lost[LossStage::kEarly];
    listener_->OnLost(LossStage::kEarly, 1);
  }
  const auto it = open_.emplace(event.pid, std::move(open)).first;
  for (Event& moved : early) OnEvent(std::move(moved));
  Open& opened = *it->second;
  RequestImages(&opened);
  if (!listener_->WantsProgress(opened.watches)) return;
  listener_->OnStarted(opened.watches,
                       DescribeStartup(opened.evidence, ImagesOf(opened), OptionsOf(opened)));
}

void StartupModel::OnExit(const Event& event, const ExitEvent& exit) {
  waiting_.Forget(event.pid);
  End end;
  end.boottime_ns = event.boottime_ns;
  end.counters = exit.now;
  end.source = BoundarySource::kTracepoint;
  end.exit_status = exit.exit_status;
  end.milestone = MilestoneKind::kExit;
  if (exit.before_exec) {
    OpenPtr open = NewOpen();
    open->evidence.pid = event.pid;
    open->evidence.start_boottime_ns = event.start_boottime_ns;
    open->evidence.exec_boottime_ns = exit.begin_boottime_ns;
    open->evidence.exec.begin_boottime_ns = exit.begin_boottime_ns;
    open->evidence.exec.exec_id = exit.exec_id;
    open->evidence.exec.begin = exit.now;
    open->evidence.exec.now = exit.now;
    open->watches = ~WatchMask{0};
    TakeTerms(open.get());
    end.outcome = Outcome::kExecFailed;
    ++stats_.startups_seen;
    const WatchMask watches = open->watches;
    Finish(std::move(open), end, watches, std::nullopt);
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

void StartupModel::KeepRecord(Open* open, Event&& event) {
  const size_t before = open->evidence.kept;
  const bool full = kept_records_ >= options_.max_records;
  if (!open->evidence.Add(std::move(event), options_.evidence, full)) return;
  const size_t added = open->evidence.kept - before;
  kept_records_ += added;
  ++(added != 0 ? stats_.records_kept : stats_.records_not_kept);
}

void StartupModel::OnFault(Event&& event) {
  Open* open = Find(event);
  if (open == nullptr) return waiting_.Keep(std::move(event));
  if (open->late) return OnLate(open, std::move(event));
  const uint32_t pid = event.pid;
  const bool is_fetch = std::get<FaultEvent>(event.payload).instruction_fetch;
  KeepRecord(open, std::move(event));
  if (is_fetch && open->until_main && !open->reached_main) TryInferMain(open_.find(pid));
}

void StartupModel::OnMapping(Event&& event) {
  Open* open = Find(event);
  if (open == nullptr) return waiting_.Keep(std::move(event));
  const auto& mapping = std::get<MappingEvent>(event.payload);
  // Asked for last: this mapping may show what else the file is.
  std::optional<MappingEvent> library;
  if (MayBeLibrary(*open, mapping)) library = mapping;
  if (open->late) {
    OnLate(open, std::move(event));
  } else {
    KeepRecord(open, std::move(event));
    if (!open->loader_requested) RequestImages(open);
    FollowInvokedLoader(open);
  }
  if (library) RequestLibrary(*open, *library);
}

void StartupModel::OnLate(Open* open, Event&& event) {
  open->late->OnEvent(event);
  open->recent.Add(std::move(event), options_.max_waiting_records);
}

void StartupModel::OnDetail(Event&& event) {
  if (Open* open = Find(event); open == nullptr) {
    waiting_.Keep(std::move(event));
  } else if (!open->late) {
    KeepRecord(open, std::move(event));
  }
}

void StartupModel::OnMark(Event&& event) {
  Open* open = Find(event);
  if (open == nullptr) return;
  if (open->late) return OnLate(open, std::move(event));
  const uint32_t pid = event.pid;
  const auto& mark = std::get<MarkEvent>(event.payload);
  const MarkKind kind = mark.kind;
  End end;
  end.boottime_ns = event.boottime_ns;
  end.counters = mark.now;
  KeepRecord(open, std::move(event));
  if (open->reached_main || open->precision != Precision::kExact) return;
  if (kind != MarkKind::kMain) {
    if (kind != MarkKind::kEntry) return;
    const auto image = images_.find(open->evidence.exec.executable);
    if (image == images_.end() || !EntryIsMain(*image->second.facts)) return;
  }
  ReachMain(open_.find(pid), end);
}

void StartupModel::ReachMain(OpenMap::iterator it, const End& given) {
  Open& open = *it->second;
  open.reached_main = true;
  End end = given;
  end.outcome = Outcome::kReached;
  end.milestone = MilestoneKind::kMain;
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
  open.until_main = false;
  OpenPtr part = NewOpen();
  part->evidence = open.evidence;
  part->level = open.level;
  part->precision = open.precision;
  part->waits = open.waits;
  part->syscalls = open.syscalls;
  part->samples = open.samples;
  part->pages_read_known = open.pages_read_known;
  part->windows_known = open.windows_known;
  part->loader = open.loader;
  kept_records_ += part->evidence.kept;
  open.watches &= ~served;
  Finish(std::move(part), end, served, MilestoneKind::kMain);
}

void StartupModel::TryInferMain(OpenMap::iterator it) {
  Open& open = *it->second;
  const auto image = images_.find(open.evidence.exec.executable);
  if (image == images_.end()) return;
  const bool exact = open.precision == Precision::kExact;
  if (exact && MainWasMarked(&image->second, open.evidence.exec.begin_boottime_ns)) return;
  const BoundaryFinder finder(open.evidence, ImagesOf(open), !exact);
  const std::optional<Boundary> main = finder.InferMain();
  if (!main) return;
  End end;
  end.boottime_ns = main->boottime_ns;
  end.source = main->source;
  if (!open.until_exit && !open.loader_events) {
    prober_->StopTracking(open.evidence.pid, open.evidence.start_boottime_ns);
  }
  ReachMain(it, end);
}

void StartupModel::OnLost(const LostEvent& lost) {
  for (auto& [pid, open] : open_) {
    if (!open->late) open->evidence.lost[lost.stage] += lost.count;
  }
  lost_lately_[lost.stage] += lost.count;
  listener_->OnLost(lost.stage, lost.count);
}

bool StartupModel::Adopt(uint32_t pid, uint64_t since_ns, Evidence* evidence) {
  const size_t before = evidence->kept;
  const bool complete = waiting_.Take(pid, since_ns, [&](Event&& event) {
    evidence->Add(std::move(event), options_.evidence, false);
  });
  kept_records_ += evidence->kept - before;
  stats_.records_kept += evidence->kept - before;
  return complete;
}

BuildOptions StartupModel::OptionsOf(const Open& open) const {
  return {.level = open.level,
          .precision = open.precision,
          .waits = open.waits,
          .syscalls = open.syscalls,
          .samples = open.samples,
          .pages_read_known = open.pages_read_known,
          .windows_known = open.windows_known,
          .max_objects = options_.max_objects,
          .max_timeline = options_.max_timeline,
          .costs = costs_};
}

void StartupModel::Conclude(OpenMap::iterator it, const End& end) {
  OpenPtr open = std::move(it->second);
  open_.erase(it);
  found_ = nullptr;
  if (open->late) {
    for (LoaderActivity& activity : open->late->TakeFinished(end.boottime_ns, true)) {
      // What the kernel mapped for the image that takes its place is not the loader's.
      const uint64_t began = open->evidence.exec.begin_boottime_ns + activity.offset_ns;
      if (began < end.boottime_ns) TellActivity(*open, std::move(activity));
    }
    CountNotFollowed(open.get());
    return;
  }
  const WatchMask watches = open->watches;
  const bool goes_on = open->loader_events && end.milestone == MilestoneKind::kMain;
  if (goes_on) WatchLoader(*open, end);
  Finish(std::move(open), end, watches, std::nullopt);
}

void StartupModel::WatchLoader(const Open& over, const End& end) {
  WatchMask watches = 0;
  for (int slot = 0; slot < kWatchSlots; ++slot) {
    const WatchMask bit = WatchMask{1} << slot;
    if ((over.watches & bit) != 0 && watches_[slot]->loader_events) watches |= bit;
  }
  OpenPtr open = NewOpen();
  open->watches = watches;
  open->evidence.pid = over.evidence.pid;
  open->evidence.start_boottime_ns = over.evidence.start_boottime_ns;
  open->evidence.exec = over.evidence.exec;
  open->evidence.exec_boottime_ns = over.evidence.exec_boottime_ns;
  open->level = over.level;
  open->precision = over.precision;
  open->until_exit = true;
  open->reached_main = true;
  open->executable_requested = true;
  open->loader_requested = true;
  open->loader_events = true;
  open->loader = over.loader;
  const BoundaryFinder finder(over.evidence, ImagesOf(over), false);
  open->late = std::make_unique<LoaderWatch>(over.evidence, end, finder.executable_file(),
                                             finder.loader_file());
  open_[over.evidence.pid] = std::move(open);
  found_ = nullptr;
}

void StartupModel::TellActivity(const Open& open, LoaderActivity activity) {
  const Startup startup = DescribeStartup(open.evidence, ImagesOf(open), OptionsOf(open));
  StartupDelivery::FinishedActivity finished;
  for (const MappedObject& object : activity.objects) {
    if (requested_.contains(object.file)) finished.facts_awaited.insert(object.file);
  }
  finished.activity = std::move(activity);
  finished.activity.startup_id = startup.startup_id;
  finished.activity.process = startup.process;
  finished.watches = open.watches;
  std::vector<MappedObject> loaded;
  if (open.late) loaded = open.late->loaded();
  finished.complete = [this, loaded = std::move(loaded), executable = open.evidence.exec.executable,
                       loader = open.loader](LoaderActivity* told) {
    ChainActivity(executable, loader, loaded, told);
  };
  delivery_.Add(std::move(finished), now_ns_);
}

void StartupModel::CountNotFollowed(Open* open) {
  const uint64_t count = open->late->TakeNotFollowed();
  if (count == 0) return;
  stats_.loads_not_followed += count;
  listener_->OnLost(LossStage::kLoader, count);
}

void StartupModel::ChainActivity(const FileId& executable, const FileId& loader,
                                 std::vector<MappedObject> loaded, LoaderActivity* activity) const {
  ChainDependencies(ImagesOf(executable, loader), 0, &loaded);
  for (MappedObject& object : activity->objects) {
    const auto chained =
        std::find_if(loaded.begin(), loaded.end(),
                     [&object](const MappedObject& one) { return one.file == object.file; });
    if (chained == loaded.end()) continue;
    object.needed_by = chained->needed_by;
    object.load_order = chained->load_order;
    object.depth = chained->depth;
    object.reason = chained->reason;
    object.facts = chained->facts;
  }
}

void StartupModel::Finish(OpenPtr open, const End& end, WatchMask watches,
                          std::optional<MilestoneKind> reached) {
  StartupDelivery::FinishedStartup finished;
  finished.startup_id = StartupIdOf(open->evidence);
  finished.watches = watches;
  finished.reached = reached;
  finished.facts_awaited = AwaitedBy(*open);
  finished.build = [this, open = std::move(open), end]() mutable {
    FollowInvokedLoader(open.get());  // it may have turned out only now that a loader was executed
    kept_records_ -= std::min(kept_records_, open->evidence.kept);
    return std::make_shared<Startup>(
        BuildStartup(open->evidence, ImagesOf(*open), end, OptionsOf(*open), &room_));
  };
  delivery_.Add(std::move(finished), now_ns_);
}

void StartupModel::ClearWatch(int slot) {
  const WatchMask bit = WatchMask{1} << slot;
  delivery_.Release(bit, now_ns_);  // for those, nobody will wait for what is still missing
  watches_[slot].reset();
  std::vector<uint32_t> orphaned;
  for (auto& [pid, open] : open_) {
    if ((open->watches & bit) == 0) continue;
    open->watches &= ~bit;
    if (open->watches == 0) {
      orphaned.push_back(pid);
    } else if (!open->late) {
      TakeTerms(open.get());  // what only the other wanted is no longer recorded
    }
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
  delivery_.Advance(now_ns_);
  std::vector<uint32_t> late;
  for (const auto& [pid, open] : open_) {
    if (open->late) {
      for (LoaderActivity& activity : open->late->TakeFinished(now_ns_, false)) {
        TellActivity(*open, std::move(activity));
      }
      CountNotFollowed(open.get());
    }
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
  TellStuck();
  lost_before_ = std::exchange(lost_lately_, {});
}

void StartupModel::TellStuck() {
  std::vector<std::pair<uint64_t, uint32_t>> due;
  for (const auto& [pid, open] : open_) {
    if (open->late || open->stuck_due_ns == 0 || open->stuck_due_ns > now_ns_) continue;
    due.emplace_back(open->stuck_due_ns, pid);
  }
  const size_t count = std::min(due.size(), kStuckAtOnce);
  std::partial_sort(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(count), due.end());
  for (size_t i = 0; i < count; ++i) {
    Open& open = *open_.find(due[i].second)->second;
    const StuckStartup stuck = FindStuck(open.evidence, ImagesOf(open), OptionsOf(open), now_ns_);
    WatchMask watches = 0;
    for (int slot = 0; slot < kWatchSlots; ++slot) {
      const WatchMask bit = WatchMask{1} << slot;
      if ((open.watches & bit) == 0 || !watches_[slot]) continue;
      const uint64_t after_ns = watches_[slot]->stuck_after_ns;
      if (LastStuckMoment(after_ns, stuck.elapsed_ns) > open.stuck_told_ns) watches |= bit;
    }
    open.stuck_told_ns = stuck.elapsed_ns;
    TakeTerms(&open);
    if (watches != 0) listener_->OnStuck(watches, stuck);
  }
}

void StartupModel::Finish() {
  End end;
  end.boottime_ns = now_ns_;
  end.outcome = Outcome::kIncomplete;
  while (!open_.empty()) Conclude(open_.begin(), end);
  delivery_.Release(~WatchMask{0}, now_ns_);
}

}  // namespace startscope
