// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_HUB_H_
#define STARTSCOPE_DAEMON_SERVE_HUB_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "daemon/model/startup_listener.h"
#include "daemon/serve/recent_serials.h"
#include "daemon/serve/startup_filter.h"
#include "daemon/serve/subscriber.h"

namespace startscope {

struct HubOptions {
  // Items waiting for one subscriber; what does not fit is dropped, counted and told.
  size_t queue_items = 4096;
  // Memory of what waits for all subscribers together, each startup once, however many it waits for.
  // Beyond it those for whom most is waiting lose their oldest, down to half an equal share each or a
  // single item.
  size_t queue_bytes = 16 << 20;
  // Finished startups kept for ListStartups and GetStartup.
  size_t kept_startups = 1024;
  // Memory of those.
  size_t kept_bytes = 64 << 20;
  // Timeline entries of those, in all; older startups lose theirs first.
  size_t kept_timeline_entries = 262144;
};

// What a subscriber wants of the past.
struct ReplayTerms {
  // Everything that was finished after this serial; unset: the `recent` newest that match.
  std::optional<uint64_t> after = std::nullopt;
  size_t recent = 0;
  // The watch ends startups at exit, not at main.
  bool until_exit = false;
  // Whose place this one takes: only what that one would have been given is replayed. nullptr: all
  // that the filter lets pass.
  std::shared_ptr<Subscriber> parked = nullptr;
};
struct Past {
  std::vector<FinishedItem> items;  // oldest first
  // Finished after `after`, and no longer in the ring.
  uint64_t gone = 0;
  // Of these, the ones the parked subscriber would have been given.
  std::optional<uint64_t> gone_matching;
  // When the oldest one in the ring ended; 0: it is empty.
  uint64_t oldest_end_boottime_ns = 0;
};
struct Subscription {
  std::shared_ptr<Subscriber> subscriber;
  Past past;
};

// Where the model's results meet their subscribers, and where recent ones are kept. The core thread
// tells it (StartupListener); gRPC threads subscribe and look up.
class Hub : public StartupListener {
 public:
  Hub(const HubOptions& options, const CgroupResolver* cgroups)
      : options_(options), cgroups_(cgroups) {}

  std::shared_ptr<Subscriber> Subscribe(WatchMask mask, StartupFilter filter, bool progress);
  // Also gives what was finished before the first startup that the subscriber will pop: none is in
  // both, and none in neither.
  Subscription Subscribe(WatchMask mask, StartupFilter filter, bool progress,
                         const ReplayTerms& terms);
  void Unsubscribe(const std::shared_ptr<Subscriber>& subscriber);
  // It takes nothing any more, and another may take its place later.
  void Park(const std::shared_ptr<Subscriber>& subscriber);
  // Ends every stream; nobody can subscribe any more.
  void Close();

  // Newest first, those `filter` lets pass, older than serial `before` (0: from the newest). Sets
  // `next_before` to continue with, 0 at the end.
  std::vector<std::shared_ptr<const Startup>> List(const StartupFilter& filter, size_t limit,
                                                   uint64_t before, uint64_t* next_before) const;
  [[nodiscard]] std::shared_ptr<const Startup> Get(const std::string& startup_id) const;
  [[nodiscard]] size_t subscribers() const;
  [[nodiscard]] size_t kept() const;
  // By all subscribers, gone ones too.
  [[nodiscard]] UnsentItems unsent() const;
  // Startups that left the ring for newer ones; those of them that left it for its size.
  [[nodiscard]] uint64_t evicted() const;
  [[nodiscard]] uint64_t evicted_for_bytes() const;
  // Timeline entries that kept startups had to give up.
  [[nodiscard]] uint64_t entries_evicted() const;
  // Of the startup finished last; 0: none was.
  [[nodiscard]] uint64_t last_serial() const;

  [[nodiscard]] bool WantsProgress(WatchMask watches) const override;
  void BeginBatch() override;
  void EndBatch(uint64_t boottime_ns) override;
  void OnStarted(WatchMask watches, const Startup& startup) override;
  void OnPhaseFinished(WatchMask watches, const Startup& startup,
                       const PhaseSlice& slice) override;
  void OnReached(WatchMask watches, MilestoneKind milestone,
                 std::shared_ptr<const Startup> startup) override;
  void OnFinished(WatchMask watches, std::shared_ptr<const Startup> startup) override;
  void OnLoaderActivity(WatchMask watches, const LoaderActivity& activity) override;
  void OnStuck(WatchMask watches, const StuckStartup& stuck) override;
  void OnLost(LossStage stage, uint64_t count) override;
  void OnThrottled(const ThrottledGroup& group) override;

 private:
  struct Entry {
    WatchMask mask = 0;
    std::shared_ptr<Subscriber> subscriber;
    bool parked = false;
    // The first serial it could be given, or the one whose place it took; and which since then were
    // its own. A stream may have been cut long before that is noticed, so this begins at its begin.
    uint64_t since = 0;
    std::unique_ptr<RecentSerials> matched;
  };
  // One breakdown that was given to subscribers.
  struct Kept {
    uint64_t serial = 0;
    WatchMask watches = 0;  // whose it was
    // It ended at main for these watches and goes on for others.
    bool goes_on = false;
    // The serial under which it was given when it reached main; 0: it was not.
    uint64_t reached_serial = 0;
    std::shared_ptr<const Startup> startup;
    size_t bytes = 0;
  };
  // Keeps it and gives it to those that want it, in one step as far as Subscribe() can see.
  void Publish(WatchMask watches, bool goes_on, std::shared_ptr<const Startup> startup);
  void Keep(Kept kept) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] uint64_t OldestSerial() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return kept_.empty() ? next_serial_ : kept_.front().serial;
  }
  void Deliver(WatchMask watches, const Startup& startup, bool progress_only,
               const QueuedItem& item);
  template <typename Item, typename T>
  QueuedItem Queued(const T& thing) const;
  // Makes room where the queues hold more than they may.
  void RelieveQueues();

  const HubOptions options_;
  const CgroupResolver* const cgroups_;
  const std::shared_ptr<QueueLoad> load_ = std::make_shared<QueueLoad>(0);
  // Of the core thread: whom batches have given startups that are not announced yet.
  bool in_batch_ = false;
  std::vector<std::shared_ptr<Subscriber>> to_announce_;
  size_t unannounced_startups_ = 0;
  size_t announced_startups_ = 0;  // the last time
  uint64_t announced_ns_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // oldest first
  uint64_t next_serial_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t kept_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t kept_entries_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t kept_going_on_ ABSL_GUARDED_BY(mutex_) = 0;
  // Those that reached main and go on, with the serial of that: as many as the model has open.
  absl::flat_hash_map<std::string, uint64_t> reached_ ABSL_GUARDED_BY(mutex_);
  uint64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t entries_evicted_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t evicted_for_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  UnsentItems unsent_by_gone_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_HUB_H_
