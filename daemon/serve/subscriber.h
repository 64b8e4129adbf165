// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_SUBSCRIBER_H_
#define STARTSCOPE_DAEMON_SERVE_SUBSCRIBER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/model/startup_listener.h"
#include "daemon/serve/startup_filter.h"

namespace startscope {

// What a subscriber takes from its queue. Small, and shared where it is not: a queue holds thousands
// for a client that does not read, and there may be many of those.
struct StartedItem {
  std::shared_ptr<const Startup> startup;
};
struct FinishedPhase {
  std::string startup_id;
  PhaseSlice slice;
};
struct PhaseItem {
  std::shared_ptr<const FinishedPhase> phase;
};
struct FinishedItem {
  std::shared_ptr<const Startup> startup;
  uint64_t serial = 0;  // its place in the ring
};
struct LoaderItem {
  std::shared_ptr<const LoaderActivity> activity;
};
struct LostItem {
  LossStage stage = LossStage::kSubscriber;
  uint64_t count = 0;
  uint64_t total = 0;
};
struct StuckItem {
  std::shared_ptr<const StuckStartup> stuck;
};
struct ThrottledItem {
  std::shared_ptr<const ThrottledGroup> group;
};
using HubItem = std::variant<StartedItem, PhaseItem, FinishedItem, LostItem, LoaderItem, StuckItem,
                             ThrottledItem>;
static_assert(sizeof(HubItem) <= 32);

// Bytes that wait in the queues of all subscribers.
using QueueLoad = std::atomic<size_t>;

// Counts what an item takes in memory for as long as it waits in any queue.
class QueueCharge {
 public:
  QueueCharge(std::shared_ptr<QueueLoad> load, size_t bytes) : load_(std::move(load)), bytes_(bytes) {
    *load_ += bytes_;
  }
  ~QueueCharge() { *load_ -= bytes_; }
  QueueCharge(const QueueCharge&) = delete;
  QueueCharge& operator=(const QueueCharge&) = delete;

  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  const std::shared_ptr<QueueLoad> load_;
  const size_t bytes_;
};

struct QueuedItem {
  HubItem item;
  std::shared_ptr<const QueueCharge> charge;  // one for all queues it is in
};

// What did not reach a subscriber for one reason.
struct Unsent {
  uint64_t startups = 0;  // and loader events
  uint64_t messages = 0;  // of progress, of being stuck or throttled: a courtesy
};
struct UnsentItems {
  Unsent queue_full;
  Unsent queues_too_large;
};

// One watcher's bounded queue. Filled by the core thread through the hub, emptied by one gRPC thread.
// Every startup that matched is either popped or counted in a LostItem: sent + dropped = produced.
class Subscriber {
 public:
  Subscriber(StartupFilter filter, bool progress, size_t capacity, std::shared_ptr<QueueLoad> load)
      : filter_(std::move(filter)),
        progress_(progress),
        capacity_(capacity),
        load_(std::move(load)) {}
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // nullopt: the timeout passed, or the hub closed (closed() tells).
  std::optional<HubItem> Pop(absl::Duration timeout);
  [[nodiscard]] bool closed() const;
  // The next Pop() gives an item at once.
  [[nodiscard]] bool has_more() const;
  [[nodiscard]] uint64_t dropped() const;
  [[nodiscard]] UnsentItems unsent() const;
  // Everything up to this serial has been popped, was not this subscriber's, or was told as lost.
  [[nodiscard]] uint64_t position() const;

 private:
  friend class Hub;
  // `quietly`: nobody is woken for it; Announce() is called later.
  void Push(QueuedItem item, bool quietly = false);
  void Announce();
  void Saw(uint64_t serial);
  void Park();
  // Goes on where a parked one stopped: what was lost since is still to be told.
  void Inherit(const Subscriber& parked);
  void Lose(LossStage stage, uint64_t count);
  // What waits for it, beyond a single item.
  [[nodiscard]] size_t droppable_bytes() const;
  // Drops its oldest until no more than this is waiting for it, or a single item.
  void DropBeyond(size_t bytes);
  void Close();
  void TakeFront() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountUnsent(const HubItem& item, Unsent* in) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || (!quiet_ && (!items_.empty() || !losses_.empty()));
  }

  const StartupFilter filter_;
  const bool progress_;
  const size_t capacity_;
  const std::shared_ptr<QueueLoad> load_;
  mutable absl::Mutex mutex_;
  std::deque<QueuedItem> items_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Not yet told, by stage, and told in all.
  absl::flat_hash_map<LossStage, uint64_t> losses_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<LossStage, uint64_t> lost_total_ ABSL_GUARDED_BY(mutex_);
  UnsentItems unsent_ ABSL_GUARDED_BY(mutex_);
  uint64_t popped_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t seen_ ABSL_GUARDED_BY(mutex_) = 0;
  bool quiet_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_SUBSCRIBER_H_
