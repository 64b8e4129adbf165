// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/hub.h"

#include <algorithm>
#include <utility>

namespace startscope {

std::optional<HubItem> Subscriber::Pop(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &Subscriber::HasNews), timeout);
  if (!losses_.empty()) {
    const auto loss = *losses_.begin();
    losses_.erase(losses_.begin());
    return LostItem{loss.first, loss.second, lost_total_[loss.first]};
  }
  if (items_.empty()) return std::nullopt;
  HubItem item = std::move(items_.front());
  items_.pop_front();
  return item;
}

bool Subscriber::closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_ && items_.empty() && losses_.empty();
}

bool Subscriber::has_more() const {
  absl::MutexLock lock(&mutex_);
  return !items_.empty() || !losses_.empty();
}

uint64_t Subscriber::dropped() const {
  absl::MutexLock lock(&mutex_);
  const auto found = lost_total_.find(LossStage::kSubscriber);
  return found == lost_total_.end() ? 0 : found->second;
}

void Subscriber::Push(HubItem item) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  if (items_.size() >= capacity_) {
    // Only startups count: progress messages are a courtesy that a full queue does without.
    if (!std::holds_alternative<FinishedItem>(item) && !std::holds_alternative<LoaderItem>(item)) {
      return;
    }
    ++losses_[LossStage::kSubscriber];
    ++lost_total_[LossStage::kSubscriber];
    return;
  }
  items_.push_back(std::move(item));
}

void Subscriber::Lose(LossStage stage, uint64_t count) {
  absl::MutexLock lock(&mutex_);
  losses_[stage] += count;
  lost_total_[stage] += count;
}

void Subscriber::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

std::shared_ptr<Subscriber> Hub::Subscribe(WatchMask mask, StartupFilter filter, bool progress) {
  auto subscriber =
      std::make_shared<Subscriber>(std::move(filter), progress, options_.queue_items);
  absl::MutexLock lock(&mutex_);
  if (closed_) {
    subscriber->Close();
  } else {
    entries_.push_back({mask, subscriber});
  }
  return subscriber;
}

void Hub::Unsubscribe(const std::shared_ptr<Subscriber>& subscriber) {
  absl::MutexLock lock(&mutex_);
  const auto gone = std::remove_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.subscriber == subscriber;
  });
  if (gone == entries_.end()) return;
  dropped_by_gone_ += subscriber->dropped();
  entries_.erase(gone, entries_.end());
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
    if (it->startup->startup_id == startup_id) return it->startup;
  }
  return nullptr;
}

size_t Hub::subscribers() const {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

size_t Hub::kept() const {
  absl::MutexLock lock(&mutex_);
  return kept_.size();
}

uint64_t Hub::dropped() const {
  absl::MutexLock lock(&mutex_);
  uint64_t total = dropped_by_gone_;
  for (const Entry& entry : entries_) total += entry.subscriber->dropped();
  return total;
}

void Hub::Deliver(WatchMask watches, const Startup& startup, bool progress_only,
                  const HubItem& item) {
  std::vector<std::shared_ptr<Subscriber>> targets;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) {
      if ((entry.mask & watches) == 0) continue;
      if (progress_only && !entry.subscriber->progress_) continue;
      targets.push_back(entry.subscriber);
    }
  }
  for (const auto& target : targets) {
    if (target->filter_.Matches(startup, *cgroups_)) target->Push(item);
  }
}

void Hub::OnStarted(WatchMask watches, const Startup& startup) {
  Deliver(watches, startup, /*progress_only=*/true,
          StartedItem{std::make_shared<const Startup>(startup)});
}

void Hub::OnPhaseFinished(WatchMask watches, const Startup& startup, const PhaseSlice& slice) {
  Deliver(watches, startup, /*progress_only=*/true, PhaseItem{startup.startup_id, slice});
}

void Hub::OnReached(WatchMask watches, MilestoneKind milestone,
                    std::shared_ptr<const Startup> startup) {
  Deliver(watches, *startup, /*progress_only=*/false, FinishedItem{startup});
}

void Hub::OnFinished(WatchMask watches, std::shared_ptr<const Startup> startup) {
  Deliver(watches, *startup, /*progress_only=*/false, FinishedItem{startup});
  absl::MutexLock lock(&mutex_);
  const auto entries = [](const Startup& one) {
    return one.timeline ? one.timeline->entries.size() : 0;
  };
  kept_entries_ += entries(*startup);
  kept_.push_back({next_serial_++, std::move(startup)});
  if (kept_.size() > options_.kept_startups) {
    kept_entries_ -= entries(*kept_.front().startup);
    kept_.pop_front();
  }
  for (auto it = kept_.begin(); kept_entries_ > options_.kept_timeline_entries && it != kept_.end();
       ++it) {
    const size_t count = entries(*it->startup);
    if (count == 0) continue;
    auto without = std::make_shared<Startup>(*it->startup);
    without->timeline->omitted += count;
    without->timeline->entries = {};
    it->startup = std::move(without);
    kept_entries_ -= count;
  }
}

void Hub::OnLoaderActivity(WatchMask watches, const LoaderActivity& activity) {
  Startup identity;
  identity.startup_id = activity.startup_id;
  identity.process = activity.process;
  Deliver(watches, identity, /*progress_only=*/false,
          LoaderItem{std::make_shared<const LoaderActivity>(activity)});
}

void Hub::OnStuck(WatchMask watches, const StuckStartup& stuck) {
  Startup identity;
  identity.startup_id = stuck.startup_id;
  identity.process = stuck.process;
  Deliver(watches, identity, /*progress_only=*/false,
          StuckItem{std::make_shared<const StuckStartup>(stuck)});
}

void Hub::OnLost(LossStage stage, uint64_t count) {
  std::vector<std::shared_ptr<Subscriber>> targets;
  {
    absl::MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) targets.push_back(entry.subscriber);
  }
  for (const auto& target : targets) target->Lose(stage, count);
}

}  // namespace startscope
