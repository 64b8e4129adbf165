// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/hub.h"

#include <algorithm>
#include <utility>

#include "daemon/serve/size_in_memory.h"

namespace startscope {
namespace {

// Batches come every few milliseconds. In a storm of starts, waking a stream costs as much as what it
// then writes: after so many startups at once, what follows this soon waits for the next batch. A
// stream that nobody wakes looks for itself (startup_service.cc, kCancelCheck).
constexpr size_t kStormStartups = 3;
constexpr uint64_t kAnnounceIntervalNs = 3'500'000;

// Where the queues hold too much, this part of it is dropped at once.
constexpr size_t kRelief = 8;

size_t SizeInMemory(const FinishedPhase& phase) {
  return phase.startup_id.size() + SizeInMemory(phase.slice);
}

size_t SizeInMemory(const ThrottledGroup& group) { return sizeof(group); }

size_t TimelineEntries(const Startup& startup) {
  return startup.timeline ? startup.timeline->entries.size() : 0;
}

Unsent operator+(const Unsent& a, const Unsent& b) {
  return {a.startups + b.startups, a.messages + b.messages};
}

UnsentItems operator+(const UnsentItems& a, const UnsentItems& b) {
  return {a.queue_full + b.queue_full, a.queues_too_large + b.queues_too_large};
}

}  // namespace

std::shared_ptr<Subscriber> Hub::Subscribe(WatchMask mask, StartupFilter filter, bool progress) {
  return Subscribe(mask, std::move(filter), progress, {}).subscriber;
}

Subscription Hub::Subscribe(WatchMask mask, StartupFilter filter, bool progress,
                            const ReplayTerms& terms) {
  Subscription made;
  made.subscriber = std::make_shared<Subscriber>(std::move(filter), progress, options_.queue_items,
                                                 load_);
  const uint64_t after = terms.after.value_or(0);
  std::vector<Kept> past;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) {
      made.subscriber->Close();
      return made;
    }
    made.subscriber->Saw(next_serial_ - 1);
    if (terms.after || terms.recent != 0) {
      for (const Kept& kept : kept_) {
        if (kept.serial > after) past.push_back(kept);
      }
      if (!kept_.empty()) {
        const Startup& oldest = *kept_.front().startup;
        made.past.oldest_end_boottime_ns = oldest.begin_boottime_ns + oldest.total_ns;
      }
    }
    Entry entry{mask, made.subscriber, false, next_serial_, nullptr};
    const uint64_t oldest = OldestSerial();
    if (terms.after && oldest > after + 1) made.past.gone = oldest - after - 1;
    const auto parked = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return terms.parked != nullptr && entry.subscriber == terms.parked;
    });
    if (parked != entries_.end()) {
      if (after + 1 >= parked->since && after + RecentSerials::kSpan >= next_serial_) {
        made.past.gone_matching = parked->matched->CountFrom(after + 1, oldest - 1);
      }
      made.subscriber->Inherit(*parked->subscriber);
      entry.since = parked->since;
      entry.matched = std::move(parked->matched);
      unsent_by_gone_ = unsent_by_gone_ + parked->subscriber->unsent();
      entries_.erase(parked);
    }
    if (entry.matched == nullptr) entry.matched = std::make_unique<RecentSerials>();
    entries_.push_back(std::move(entry));
  }
  const auto wanted = [&](const Kept& kept) {
    if (terms.parked != nullptr) {
      if ((kept.watches & mask) == 0) return false;
    } else if (terms.until_exit ? kept.goes_on : kept.reached_serial != 0) {
      return false;  // it is, or was, there under its other end
    }
    return made.subscriber->filter_.Matches(*kept.startup, *cgroups_);
  };
  std::vector<FinishedItem>& items = made.past.items;
  for (auto kept = past.rbegin(); kept != past.rend(); ++kept) {
    if (!terms.after && items.size() == terms.recent) break;
    if (wanted(*kept)) items.push_back({std::move(kept->startup), kept->serial});
  }
  std::reverse(items.begin(), items.end());
  return made;
}

void Hub::Unsubscribe(const std::shared_ptr<Subscriber>& subscriber) {
  absl::MutexLock lock(&mutex_);
  const auto gone = std::remove_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.subscriber == subscriber;
  });
  if (gone == entries_.end()) return;
  unsent_by_gone_ = unsent_by_gone_ + subscriber->unsent();
  entries_.erase(gone, entries_.end());
}

void Hub::Park(const std::shared_ptr<Subscriber>& subscriber) {
  absl::MutexLock lock(&mutex_);
  for (Entry& entry : entries_) {
    if (entry.subscriber == subscriber) entry.parked = true;
  }
  subscriber->Park();
}

void Hub::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (const Entry& entry : entries_) entry.subscriber->Close();
}

std::vector<std::shared_ptr<const Startup>> Hub::List(const StartupFilter& filter, size_t limit,
                                                      uint64_t before,
                                                      uint64_t* next_before) const {
  std::vector<std::shared_ptr<const Startup>> found;
  std::vector<Kept> kept;
  {
    absl::MutexLock lock(&mutex_);
    kept.assign(kept_.rbegin(), kept_.rend());
  }
  *next_before = 0;
  uint64_t last = 0;
  for (const Kept& one : kept) {
    if (one.goes_on) continue;
    if (before != 0 && one.serial >= before) continue;
    if (!filter.Matches(*one.startup, *cgroups_)) continue;
    if (found.size() == limit) {
      *next_before = last;
      break;
    }
    last = one.serial;
    found.push_back(one.startup);
  }
  return found;
}

std::shared_ptr<const Startup> Hub::Get(const std::string& startup_id) const {
  absl::MutexLock lock(&mutex_);
  for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) {
    if (!it->goes_on && it->startup->startup_id == startup_id) return it->startup;
  }
  return nullptr;
}

size_t Hub::subscribers() const {
  absl::MutexLock lock(&mutex_);
  return std::count_if(entries_.begin(), entries_.end(),
                       [](const Entry& entry) { return !entry.parked; });
}

size_t Hub::kept() const {
  absl::MutexLock lock(&mutex_);
  return kept_.size() - kept_going_on_;
}

UnsentItems Hub::unsent() const {
  absl::MutexLock lock(&mutex_);
  UnsentItems sum = unsent_by_gone_;
  for (const Entry& entry : entries_) sum = sum + entry.subscriber->unsent();
  return sum;
}

uint64_t Hub::evicted() const {
  absl::MutexLock lock(&mutex_);
  return evicted_;
}

uint64_t Hub::evicted_for_bytes() const {
  absl::MutexLock lock(&mutex_);
  return evicted_for_bytes_;
}

uint64_t Hub::entries_evicted() const {
  absl::MutexLock lock(&mutex_);
  return entries_evicted_;
}

uint64_t Hub::last_serial() const {
  absl::MutexLock lock(&mutex_);
  return next_serial_ - 1;
}

void Hub::Deliver(WatchMask watches, const Startup& startup, bool progress_only,
                  const QueuedItem& item) {
  std::vector<std::shared_ptr<Subscriber>> targets;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) {
      if (entry.parked || (entry.mask & watches) == 0) continue;
      if (progress_only && !entry.subscriber->progress_) continue;
      targets.push_back(entry.subscriber);
    }
  }
  for (const auto& target : targets) {
    if (target->filter_.Matches(startup, *cgroups_)) target->Push(item);
  }
  RelieveQueues();
}

template <typename Item, typename T>
QueuedItem Hub::Queued(const T& thing) const {
  return {Item{std::make_shared<const T>(thing)},
          std::make_shared<const QueueCharge>(load_, SizeInMemory(thing))};
}

void Hub::RelieveQueues() {
  if (*load_ <= options_.queue_bytes) return;
  std::vector<std::shared_ptr<Subscriber>> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) all.push_back(entry.subscriber);
  }
  if (all.empty()) return;
  size_t level = 0;
  for (const auto& subscriber : all) level = std::max(level, subscriber->droppable_bytes());
  // What many wait for goes only when the last of them has dropped it: hence level by level. Whoever
  // reads is far below the level that those who do not are brought down to.
  const size_t share = options_.queue_bytes / (2 * all.size());
  const size_t wanted = options_.queue_bytes - options_.queue_bytes / kRelief;
  while (level > share && *load_ > wanted) {
    level = std::max(level - level / kRelief - 1, share);
    for (const auto& subscriber : all) subscriber->DropBeyond(level);
  }
}

bool Hub::WantsProgress(WatchMask watches) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(entries_.begin(), entries_.end(), [watches](const Entry& entry) {
    return !entry.parked && (entry.mask & watches) != 0 && entry.subscriber->progress_;
  });
}

void Hub::BeginBatch() { in_batch_ = true; }

void Hub::EndBatch(uint64_t boottime_ns) {
  in_batch_ = false;
  const bool storm = announced_startups_ >= kStormStartups;
  if (to_announce_.empty() || (storm && boottime_ns - announced_ns_ < kAnnounceIntervalNs)) return;
  announced_ns_ = boottime_ns;
  announced_startups_ = std::exchange(unannounced_startups_, 0);
  for (const std::shared_ptr<Subscriber>& subscriber : to_announce_) subscriber->Announce();
  to_announce_.clear();
}

void Hub::OnStarted(WatchMask watches, const Startup& startup) {
  Deliver(watches, startup, /*progress_only=*/true, Queued<StartedItem>(startup));
}

void Hub::OnPhaseFinished(WatchMask watches, const Startup& startup, const PhaseSlice& slice) {
  Deliver(watches, startup, /*progress_only=*/true,
          Queued<PhaseItem>(FinishedPhase{startup.startup_id, slice}));
}

void Hub::OnReached(WatchMask watches, MilestoneKind /*milestone*/,
                    std::shared_ptr<const Startup> startup) {
  Publish(watches, /*goes_on=*/true, std::move(startup));
}

void Hub::OnFinished(WatchMask watches, std::shared_ptr<const Startup> startup) {
  Publish(watches, /*goes_on=*/false, std::move(startup));
}

void Hub::Publish(WatchMask watches, bool goes_on, std::shared_ptr<const Startup> startup) {
  std::vector<std::shared_ptr<Subscriber>> subscribers;
  const size_t bytes = SizeInMemory(*startup);
  size_t targets = 0;
  uint64_t serial = 0;
  {
    absl::MutexLock lock(&mutex_);
    serial = next_serial_++;
    for (Entry& entry : entries_) {
      const bool matches = (entry.mask & watches) != 0 &&
                           entry.subscriber->filter_.Matches(*startup, *cgroups_);
      if (matches) entry.matched->Add(serial);
      if (entry.parked) continue;
      subscribers.push_back(entry.subscriber);
      if (matches) std::swap(subscribers[targets++], subscribers.back());
    }
    Kept kept{serial, watches, goes_on, 0, startup, bytes};
    if (goes_on) {
      reached_[startup->startup_id] = serial;
    } else if (const auto reached = reached_.find(startup->startup_id);
               reached != reached_.end()) {
      kept.reached_serial = reached->second;
      reached_.erase(reached);
    }
    Keep(std::move(kept));
  }
  if (in_batch_) ++unannounced_startups_;
  const QueuedItem item = {FinishedItem{startup, serial},
                           std::make_shared<const QueueCharge>(load_, targets == 0 ? 0 : bytes)};
  for (size_t i = 0; i < subscribers.size(); ++i) {
    Subscriber& subscriber = *subscribers[i];
    if (i < targets) {
      subscriber.Push(item, in_batch_);
      if (in_batch_ && std::find(to_announce_.begin(), to_announce_.end(), subscribers[i]) ==
                           to_announce_.end()) {
        to_announce_.push_back(subscribers[i]);
      }
    }
    subscriber.Saw(serial);
  }
  RelieveQueues();
}

void Hub::Keep(Kept kept) {
  kept_entries_ += TimelineEntries(*kept.startup);
  kept_bytes_ += kept.bytes;
  if (kept.goes_on) ++kept_going_on_;
  kept_.push_back(std::move(kept));
  if (kept_.size() > options_.kept_startups) Evict();
  for (auto it = kept_.begin(); kept_entries_ > options_.kept_timeline_entries && it != kept_.end();
       ++it) {
    const size_t count = TimelineEntries(*it->startup);
    if (count == 0) continue;
    auto without = std::make_shared<Startup>(*it->startup);
    without->timeline->omitted += count;
    without->timeline->entries = {};
    it->startup = std::move(without);
    kept_bytes_ -= it->bytes;
    it->bytes = SizeInMemory(*it->startup);
    kept_bytes_ += it->bytes;
    kept_entries_ -= count;
    entries_evicted_ += count;
  }
  while (kept_bytes_ > options_.kept_bytes && kept_.size() > 1) {
    Evict();
    ++evicted_for_bytes_;
  }
}

void Hub::Evict() {
  const Kept& oldest = kept_.front();
  kept_bytes_ -= oldest.bytes;
  kept_entries_ -= TimelineEntries(*oldest.startup);
  if (oldest.goes_on) --kept_going_on_;
  ++evicted_;
  kept_.pop_front();
}

void Hub::OnLoaderActivity(WatchMask watches, const LoaderActivity& activity) {
  Startup identity;
  identity.startup_id = activity.startup_id;
  identity.process = activity.process;
  Deliver(watches, identity, /*progress_only=*/false, Queued<LoaderItem>(activity));
}

void Hub::OnStuck(WatchMask watches, const StuckStartup& stuck) {
  Startup identity;
  identity.startup_id = stuck.startup_id;
  identity.process = stuck.process;
  Deliver(watches, identity, /*progress_only=*/false, Queued<StuckItem>(stuck));
}

void Hub::OnLost(LossStage stage, uint64_t count) {
  std::vector<std::shared_ptr<Subscriber>> targets;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) targets.push_back(entry.subscriber);
  }
  for (const auto& target : targets) target->Lose(stage, count);
}

void Hub::OnThrottled(const ThrottledGroup& group) {
  std::vector<std::shared_ptr<Subscriber>> targets;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) {
      if (!entry.parked && (entry.mask & group.watches) != 0) targets.push_back(entry.subscriber);
    }
  }
  const QueuedItem item = Queued<ThrottledItem>(group);
  for (const auto& target : targets) {
    if (target->filter_.MaySeeUser(group.uid)) target->Push(item);
  }
}

}  // namespace startscope
