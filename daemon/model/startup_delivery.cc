// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/startup_delivery.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace startscope {
namespace {

// Names the functions that a timeline's faults happened in. `name_of` takes the index of an object
// and an offset in its file, and gives the name, or an empty one where none is known.
template <typename NameOf>
void NameFaults(const NameOf& name_of, Timeline* timeline) {
  absl::flat_hash_map<std::string_view, uint32_t> indexes;
  for (TimelineEntry& entry : timeline->entries) {
    auto* fault = std::get_if<FaultEntry>(&entry.entry);
    if (fault == nullptr || fault->ip_object == kNoIndex || fault->symbol != kNoIndex) continue;
    const std::string_view name = name_of(fault->ip_object, fault->ip_offset);
    if (name.empty()) continue;
    const auto [index, first] =
        indexes.try_emplace(name, static_cast<uint32_t>(timeline->symbols.size()));
    if (first) timeline->symbols.emplace_back(name);
    fault->symbol = index->second;
  }
}

template <typename Names>
std::string_view NameAt(const Names& names, uint64_t file_offset) {
  const auto found = names.find(file_offset);
  return found == names.end() ? std::string_view() : found->second;
}

}  // namespace

void StartupDelivery::Add(FinishedStartup startup, uint64_t now_ns) {
  WaitingStartup waiting;
  waiting.deadline_ns = now_ns + limits_.patience_ns;
  const bool held = std::any_of(startups_.begin(), startups_.end(), [&](const auto& one) {
    return one.finished.startup_id == startup.startup_id;
  });
  waiting.finished = std::move(startup);
  if (TakeStep(&waiting, limits_.patience_ns == 0, held)) return;
  if (startups_.size() >= limits_.waiting) HurryFirstStartup();
  startups_.push_back(std::move(waiting));
}

void StartupDelivery::Add(FinishedActivity activity, uint64_t now_ns) {
  activities_.push_back({std::move(activity), now_ns + limits_.patience_ns});
  ProceedActivities(now_ns, 0);
  if (activities_.size() > limits_.waiting) HurryFirstActivity();
}

void StartupDelivery::HurryFirstStartup() {
  if (startups_.empty()) return;
  ++hurried_;
  TakeStep(&startups_.front(), /*at_once=*/true, /*held=*/false);
  startups_.pop_front();
}

void StartupDelivery::HurryFirstActivity() {
  WaitingActivity& first = activities_.front();
  // Its startup comes before it, and whatever that waits behind.
  const auto waits = [&first](const WaitingStartup& one) {
    return one.finished.startup_id == first.finished.activity.startup_id;
  };
  while (std::any_of(startups_.begin(), startups_.end(), waits)) HurryFirstStartup();
  ++hurried_;
  Tell(&first);
  activities_.pop_front();
}

void StartupDelivery::OnFacts(const FileId& file, uint64_t now_ns) {
  for (WaitingStartup& waiting : startups_) waiting.finished.facts_awaited.erase(file);
  for (WaitingActivity& waiting : activities_) waiting.finished.facts_awaited.erase(file);
  Proceed(now_ns, 0);
}

void StartupDelivery::OnSymbols(const SymbolsEvent& symbols, bool keep, uint64_t now_ns) {
  if (keep) names_.Keep(symbols);
  absl::flat_hash_map<uint64_t, std::string_view> names;
  for (const SymbolsEvent::Symbol& symbol : symbols.symbols) {
    names.emplace(symbol.file_offset, symbol.name);
  }
  for (WaitingStartup& waiting : startups_) {
    const auto awaited = waiting.symbols_awaited.find(symbols.file);
    if (awaited == waiting.symbols_awaited.end()) continue;
    Timeline& timeline = *waiting.startup->timeline;
    NameFaults(
        [&](uint32_t object, uint64_t file_offset) {
          const bool is_it = timeline.objects[object].file == symbols.file;
          return is_it ? NameAt(names, file_offset) : std::string_view();
        },
        &timeline);
    // Several may have asked for functions of the same file; who asked is not in the answer.
    const bool answers_all =
        std::all_of(awaited->second.begin(), awaited->second.end(),
                    [&names](uint64_t file_offset) { return names.contains(file_offset); });
    if (!answers_all && !names.empty()) continue;
    waiting.symbols_awaited.erase(awaited);
    // The file could not be opened; requests are answered in their order.
    if (names.empty()) break;
  }
  Proceed(now_ns, 0);
}

void StartupDelivery::Release(WatchMask watches, uint64_t now_ns) {
  const auto keep_others = [watches](WatchMask* of) {
    if ((*of & ~watches) != 0) *of &= ~watches;
  };
  for (WaitingStartup& waiting : startups_) keep_others(&waiting.finished.watches);
  for (WaitingActivity& waiting : activities_) keep_others(&waiting.finished.watches);
  Proceed(now_ns, watches);
}

bool StartupDelivery::TakeStep(WaitingStartup* waiting, bool at_once, bool held) {
  if (waiting->startup == nullptr) {
    if (!at_once && !waiting->finished.facts_awaited.empty()) return false;
    waiting->startup = waiting->finished.build();
    waiting->finished.build = nullptr;  // what it holds is large
    NameFunctions(waiting, /*ask=*/!at_once);
  }
  if (held || (!at_once && !waiting->symbols_awaited.empty())) return false;
  Tell(*waiting);
  return true;
}

void StartupDelivery::NameFunctions(WaitingStartup* waiting, bool ask) {
  if (!waiting->startup->timeline) return;
  Timeline& timeline = *waiting->startup->timeline;
  std::vector<const FunctionNames::OfFile*> known;  // by object
  for (const Timeline::Object& object : timeline.objects) {
    known.push_back(names_.Find(object.file));
  }
  NameFaults(
      [&known](uint32_t object, uint64_t file_offset) {
        const FunctionNames::OfFile* names = known[object];
        return names == nullptr ? std::string_view() : NameAt(*names, file_offset);
      },
      &timeline);
  if (!ask) return;
  std::map<FileId, SymbolRequest> requests;
  for (const TimelineEntry& entry : timeline.entries) {
    const auto* fault = std::get_if<FaultEntry>(&entry.entry);
    if (fault == nullptr || fault->ip_object == kNoIndex) continue;
    const Timeline::Object& object = timeline.objects[fault->ip_object];
    if (object.file.inode == 0) continue;
    const FunctionNames::OfFile* names = known[fault->ip_object];
    if (names != nullptr && names->contains(fault->ip_offset)) continue;
    SymbolRequest& request = requests[object.file];
    request.path = object.path;
    request.file_offsets.push_back(fault->ip_offset);
  }
  for (auto& [file, request] : requests) {
    request.file = file;
    request.pid = waiting->startup->process.pid;
    request.parent_pid = waiting->startup->process.parent_pid;
    std::sort(request.file_offsets.begin(), request.file_offsets.end());
    request.file_offsets.erase(
        std::unique(request.file_offsets.begin(), request.file_offsets.end()),
        request.file_offsets.end());
    if (!prober_->RequestSymbols(request)) continue;
    waiting->symbols_awaited[file] = std::move(request.file_offsets);
  }
}

void StartupDelivery::Tell(WaitingActivity* waiting) {
  FinishedActivity& finished = waiting->finished;
  finished.complete(&finished.activity);
  ++told_;
  listener_->OnLoaderActivity(finished.watches, finished.activity);
}

void StartupDelivery::Tell(const WaitingStartup& waiting) {
  ++told_;
  const FinishedStartup& finished = waiting.finished;
  if (finished.reached) {
    listener_->OnReached(finished.watches, *finished.reached, waiting.startup);
    return;
  }
  if (listener_->WantsProgress(finished.watches)) {
    for (const PhaseSlice& slice : waiting.startup->phases) {
      listener_->OnPhaseFinished(finished.watches, *waiting.startup, slice);
    }
  }
  listener_->OnFinished(finished.watches, waiting.startup);
}

void StartupDelivery::Advance(uint64_t now_ns) {
  // The first one waits longest; beside time, only answers make one ready.
  const bool late = (!startups_.empty() && startups_.front().deadline_ns <= now_ns) ||
                    (!activities_.empty() && activities_.front().deadline_ns <= now_ns);
  if (late) Proceed(now_ns, 0);
}

void StartupDelivery::Proceed(uint64_t now_ns, WatchMask of_watches) {
  absl::flat_hash_set<std::string_view> held;  // by startup
  for (auto it = startups_.begin(); it != startups_.end();) {
    const bool late = it->deadline_ns <= now_ns;
    const bool at_once = late || (it->finished.watches & of_watches) != 0;
    const bool lacks = !it->finished.facts_awaited.empty() || !it->symbols_awaited.empty();
    if (TakeStep(&*it, at_once, held.contains(it->finished.startup_id))) {
      hurried_ += late && lacks;
      it = startups_.erase(it);
    } else {
      held.insert(it->finished.startup_id);
      ++it;
    }
  }
  ProceedActivities(now_ns, of_watches);
}

void StartupDelivery::ProceedActivities(uint64_t now_ns, WatchMask of_watches) {
  if (activities_.empty()) return;
  // What happened in a process is told in order, the startup first.
  absl::flat_hash_set<std::string_view> held;
  for (const WaitingStartup& waiting : startups_) {
    if (!waiting.finished.reached) held.insert(waiting.finished.startup_id);
  }
  for (auto it = activities_.begin(); it != activities_.end();) {
    FinishedActivity& finished = it->finished;
    const bool lacks = !finished.facts_awaited.empty();
    const bool late = it->deadline_ns <= now_ns;
    const bool ready = !lacks || late || (finished.watches & of_watches) != 0;
    if (!ready || held.contains(finished.activity.startup_id)) {
      held.insert(finished.activity.startup_id);
      ++it;
      continue;
    }
    hurried_ += late && lacks;
    Tell(&*it);
    it = activities_.erase(it);
  }
}

}  // namespace startscope
