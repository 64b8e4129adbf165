// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_BOUNDED_QUEUE_H_
#define STARTSCOPE_DAEMON_BASE_BOUNDED_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace startscope {

// A queue between threads that never grows beyond its capacity: what does not fit is refused and
// counted, and producers never block. Any number of producers and consumers.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // False when full or closed; a refusal because full is counted in dropped().
  bool TryPush(T value) {
    absl::MutexLock lock(&mutex_);
    if (closed_) return false;
    if (items_.size() >= capacity_) {
      ++dropped_;
      return false;
    }
    items_.push_back(std::move(value));
    return true;
  }

  // Waits for an item. nullopt: closed and drained, or the timeout passed.
  std::optional<T> Pop(absl::Duration timeout = absl::InfiniteDuration()) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &BoundedQueue::HasNews), timeout);
    if (items_.empty()) return std::nullopt;
    T value = std::move(items_.front());
    items_.pop_front();
    return value;
  }

  // Wakes all consumers; what is queued can still be popped.
  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

  [[nodiscard]] bool closed() const {
    absl::MutexLock lock(&mutex_);
    return closed_;
  }
  [[nodiscard]] uint64_t dropped() const {
    absl::MutexLock lock(&mutex_);
    return dropped_;
  }
  [[nodiscard]] size_t size() const {
    absl::MutexLock lock(&mutex_);
    return items_.size();
  }

 private:
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closed_ || !items_.empty(); }

  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::deque<T> items_ ABSL_GUARDED_BY(mutex_);
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_BASE_BOUNDED_QUEUE_H_
