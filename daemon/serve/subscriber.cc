// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/subscriber.h"

#include <algorithm>

namespace startscope {

Subscriber::~Subscriber() { *load_ -= items_.size() * sizeof(QueuedItem); }

std::optional<HubItem> Subscriber::Pop(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &Subscriber::HasNews), timeout);
  if (!losses_.empty()) {
    const auto loss = *losses_.begin();
    losses_.erase(losses_.begin());
    return LostItem{loss.first, loss.second, lost_total_[loss.first]};
  }
  if (items_.empty()) return std::nullopt;
  HubItem item = std::move(items_.front().item);
  TakeFront();
  if (const auto* finished = std::get_if<FinishedItem>(&item)) popped_ = finished->serial;
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

UnsentItems Subscriber::unsent() const {
  absl::MutexLock lock(&mutex_);
  return unsent_;
}

uint64_t Subscriber::position() const {
  absl::MutexLock lock(&mutex_);
  return items_.empty() ? std::max(popped_, seen_) : popped_;
}

void Subscriber::Saw(uint64_t serial) {
  absl::MutexLock lock(&mutex_);
  seen_ = std::max(seen_, serial);
}

void Subscriber::Park() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  while (!items_.empty()) TakeFront();
  // What had no room in the queue may still be in the ring.
  losses_.erase(LossStage::kSubscriber);
}

void Subscriber::Inherit(const Subscriber& parked) {
  absl::MutexLock theirs(&parked.mutex_);
  absl::MutexLock lock(&mutex_);
  losses_ = parked.losses_;
  for (const auto& [stage, count] : parked.lost_total_) {
    if (stage != LossStage::kSubscriber) lost_total_[stage] = count;
  }
}

void Subscriber::TakeFront() {
  waiting_bytes_ -= items_.front().charge->bytes();
  items_.pop_front();
  *load_ -= sizeof(QueuedItem);
}

void Subscriber::CountUnsent(const HubItem& item, Unsent* in) {
  // Only startups count: progress messages are a courtesy that a full queue does without.
  if (!std::holds_alternative<FinishedItem>(item) && !std::holds_alternative<LoaderItem>(item)) {
    ++in->messages;
    return;
  }
  ++in->startups;
  ++losses_[LossStage::kSubscriber];
  ++lost_total_[LossStage::kSubscriber];
}

void Subscriber::Push(QueuedItem item, bool quietly) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  if (items_.size() >= capacity_) return CountUnsent(item.item, &unsent_.queue_full);
  quiet_ = quietly && (quiet_ || items_.empty()) && 2 * (items_.size() + 1) < capacity_;
  waiting_bytes_ += item.charge->bytes();
  items_.push_back(std::move(item));
  *load_ += sizeof(QueuedItem);
}

size_t Subscriber::droppable_bytes() const {
  absl::MutexLock lock(&mutex_);
  return items_.size() > 1 ? waiting_bytes_ : 0;
}

void Subscriber::DropBeyond(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  while (waiting_bytes_ > bytes && items_.size() > 1) {
    CountUnsent(items_.front().item, &unsent_.queues_too_large);
    TakeFront();
  }
}

void Subscriber::Announce() {
  absl::MutexLock lock(&mutex_);
  quiet_ = false;
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

}  // namespace startscope
