// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_HUB_H_
#define STARTSCOPE_DAEMON_SERVE_HUB_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/model/startup_listener.h"
#include "daemon/serve/startup_filter.h"

namespace startscope {

struct HubOptions {
  // Items waiting for one subscriber; what does not fit is dropped, counted and told.
  size_t queue_items = 4096;
  // Finished startups kept for ListStartups and GetStartup.
  size_t kept_startups = 1024;
  // Timeline entries of those, in all; older startups lose theirs first.
  size_t kept_timeline_entries = 262144;
};

// What a subscriber takes from its queue.
struct StartedItem {
  std::shared_ptr<const Startup> startup;
};
struct PhaseItem {
  std::string startup_id;
  PhaseSlice slice;
};
struct FinishedItem {
  std::shared_ptr<const Startup> startup;
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
using HubItem =
    std::variant<StartedItem, PhaseItem, FinishedItem, LostItem, LoaderItem, StuckItem>;

// One watcher's bounded queue. Filled by the core thread through the hub, emptied by one gRPC thread.
// Every startup that matched is either popped or counted in a LostItem: sent + dropped = produced.
class Subscriber {
 public:
  Subscriber(StartupFilter filter, bool progress, size_t capacity)
      : filter_(std::move(filter)), progress_(progress), capacity_(capacity) {}

  // nullopt: the timeout passed, or the hub closed (closed() tells).
  std::optional<HubItem> Pop(absl::Duration timeout);
  [[nodiscard]] bool closed() const;
  // The next Pop() gives an item at once.
  [[nodiscard]] bool has_more() const;
  [[nodiscard]] uint64_t dropped() const;

 private:
  friend class Hub;
  void Push(HubItem item);
  void Lose(LossStage stage, uint64_t count);
  void Close();
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !items_.empty() || !losses_.empty();
  }

  const StartupFilter filter_;
  const bool progress_;
  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::deque<HubItem> items_ ABSL_GUARDED_BY(mutex_);
  // Not yet told, by stage, and told in all.
  absl::flat_hash_map<LossStage, uint64_t> losses_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<LossStage, uint64_t> lost_total_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Where the model's results meet their subscribers, and where recent ones are kept. The core thread
// tells it (StartupListener); gRPC threads subscribe and look up.
class Hub : public StartupListener {
 public:
  Hub(const HubOptions& options, const CgroupResolver* cgroups)
      : options_(options), cgroups_(cgroups) {}

  std::shared_ptr<Subscriber> Subscribe(WatchMask mask, StartupFilter filter, bool progress);
  void Unsubscribe(const std::shared_ptr<Subscriber>& subscriber);
  // Ends every stream; nobody can subscribe any more.
  void Close();

  // Newest first, those `filter` lets pass, older than serial `before` (0: from the newest). Sets
  // `next_before` to continue with, 0 at the end.
  std::vector<std::shared_ptr<const Startup>> List(const StartupFilter& filter, size_t limit,
                                                   uint64_t before, uint64_t* next_before) const;
  [[nodiscard]] std::shared_ptr<const Startup> Get(const std::string& startup_id) const;
  [[nodiscard]] size_t subscribers() const;
  [[nodiscard]] size_t kept() const;
  // Startups dropped at subscribers' queues, in all.
  [[nodiscard]] uint64_t dropped() const;

  void OnStarted(WatchMask watches, const Startup& startup) override;
  void OnPhaseFinished(WatchMask watches, const Startup& startup,
                       const PhaseSlice& slice) override;
  void OnReached(WatchMask watches, MilestoneKind milestone,
                 std::shared_ptr<const Startup> startup) override;
  void OnFinished(WatchMask watches, std::shared_ptr<const Startup> startup) override;
  void OnLoaderActivity(WatchMask watches, const LoaderActivity& activity) override;
  void OnStuck(WatchMask watches, const StuckStartup& stuck) override;
  void OnLost(LossStage stage, uint64_t count) override;

 private:
  struct Entry {
    WatchMask mask = 0;
    std::shared_ptr<Subscriber> subscriber;
  };
  struct Kept {
    uint64_t serial = 0;
    std::shared_ptr<const Startup> startup;
  };
  void Deliver(WatchMask watches, const Startup& startup, bool progress_only, const HubItem& item);

  const HubOptions options_;
  const CgroupResolver* const cgroups_;
  mutable absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // oldest first
  uint64_t next_serial_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t kept_entries_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_by_gone_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_HUB_H_
