// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_MODEL_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_MODEL_H_

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/base/probe_costs.h"
#include "daemon/decode/event.h"
#include "daemon/model/evidence.h"
#include "daemon/model/loader_watch.h"
#include "daemon/model/startup.h"
#include "daemon/model/startup_builder.h"
#include "daemon/model/startup_delivery.h"
#include "daemon/model/startup_listener.h"
#include "daemon/model/waiting_records.h"
#include "daemon/model/watch_terms.h"

namespace startscope {

struct ModelOptions {
  // Startups followed at once; an exec beyond it is counted and not followed.
  size_t max_open_startups = 8192;
  // Records kept of one startup; the faults of further ones are counted, not attributed.
  EvidenceLimits evidence;
  // Records kept of all startups together.
  size_t max_records = 1u << 20;
  size_t max_objects = 1024;
  size_t max_timeline = 262144;
  // Files whose facts are kept.
  size_t max_images = 4096;
  // Mappings and faults of processes not (yet) followed, waiting for the exec they belong to.
  size_t max_waiting_processes = 4096;
  size_t max_waiting_records = 256;
  // How long a finished startup waits for the facts of files that it was the first to map, and for
  // symbols.
  uint64_t facts_patience_ns = 500'000'000;
};

// Turns events, in order of time, into startups. Pure: no I/O, no clock but the events' own times
// and AdvanceTo(). Single-threaded; does not own listener and prober.
class StartupModel {
 public:
  StartupModel(const ModelOptions& options, StartupListener* listener, ImageProber* prober);

  static constexpr int kWatchSlots = 64;
  void SetWatch(int slot, const WatchTerms& terms) { watches_[slot] = terms; }
  // What startups that end from now on say that watching them has cost is reckoned with these.
  void SetProbeCosts(const ProbeCosts& costs) { costs_ = costs; }
  // Startups that only this watch asked for end as INCOMPLETE.
  void ClearWatch(int slot);

  void OnEvent(Event&& event);
  void OnEvent(const Event& event) { OnEvent(Event(event)); }
  // Ends startups whose deadline has passed, and tells of those that last long.
  void AdvanceTo(uint64_t boottime_ns);
  // Ends everything still open as INCOMPLETE, at the last event seen.
  void Finish();

  struct Stats {
    uint64_t startups_seen = 0;
    uint64_t startups_refused = 0;    // beyond max_open_startups
    uint64_t startups_cut_early = 0;  // some of what the kernel mapped for them may be missing
    uint64_t records_kept = 0;        // of startups, and those beyond what is kept
    uint64_t records_not_kept = 0;
    uint64_t loads_not_followed = 0;  // of loaders, after startups
    uint64_t files_requested = 0;
    uint64_t files_not_requested = 0;  // too many are waited for
    uint64_t images_evicted = 0;       // facts of files
    uint64_t events = 0;
  };
  [[nodiscard]] const Stats& stats() const { return stats_; }
  [[nodiscard]] size_t open_startups() const { return open_.size(); }
  [[nodiscard]] const WaitingRecords& waiting() const { return waiting_; }
  [[nodiscard]] const StartupDelivery& delivery() const { return delivery_; }

 private:
  // What is known of a process that is followed, beside the evidence.
  struct OpenState {
    WatchMask watches = 0;
    Level level = Level::kPhases;
    Precision precision = Precision::kExact;
    bool until_exit = false;
    bool until_main = false;
    bool waits = false;
    bool syscalls = false;
    bool samples = false;
    bool loader_events = false;
    bool pages_read_known = true;
    bool windows_known = true;
    uint64_t deadline_ns = 0;  // absolute
    // When it is next to be told that it lasts long, absolute (0: never), and when it last was,
    // from its begin.
    uint64_t stuck_due_ns = 0;
    uint64_t stuck_told_ns = 0;
    bool reached_main = false;
    // Set once the startup is over and only its loader is watched.
    std::unique_ptr<LoaderWatch> late;
    RecentRecords recent;  // then: they belong to the next image, if one is being executed
    bool executable_requested = false;
    bool loader_requested = false;
    FileId loader;
  };
  struct Open : OpenState {
    Evidence evidence;

    // As if it were new, with some of its memory.
    void Clear() {
      static_cast<OpenState&>(*this) = {};
      evidence.Clear();
    }
  };
  // Startups come and go by the thousand: what one that is over was kept in serves another.
  class OpenPool {
   public:
    std::unique_ptr<Open> Take();
    void Return(std::unique_ptr<Open> open);

   private:
    std::vector<std::unique_ptr<Open>> spare_;
  };
  struct ReturnToPool {
    OpenPool* pool = nullptr;
    void operator()(Open* open) const { pool->Return(std::unique_ptr<Open>(open)); }
  };
  using OpenPtr = std::unique_ptr<Open, ReturnToPool>;
  using OpenMap = absl::flat_hash_map<uint32_t, OpenPtr>;

  void OnExec(const Event& event, const ExecEvent& exec);
  void OnExit(const Event& event, const ExitEvent& exit);
  void OnFault(Event&& event);
  void OnMapping(Event&& event);
  // Everything that is kept and looked at only when the startup is over.
  void OnDetail(Event&& event);
  void OnMark(Event&& event);
  void OnFork(const Event& event, const ForkEvent& fork);
  void OnImage(const ImageEvent& image);
  void OnLost(const LostEvent& lost);

  // Of a process whose startup is over.
  void OnLate(Open* open, Event&& event);

  OpenPtr NewOpen() { return {pool_.Take().release(), {&pool_}}; }
  Open* Find(const Event& event);
  // Moves what is kept of `pid` since `since_ns` into `evidence`. False: some of it had to give
  // way.
  bool Adopt(uint32_t pid, uint64_t since_ns, Evidence* evidence);
  void TakeTerms(Open* open) const;
  void RequestImages(Open* open);
  // Where a loader was executed, looks for the program that it was given.
  void FollowInvokedLoader(Open* open);
  void RequestImage(const Open& open, ProbeRequest request);
  // Asks on behalf of another process that has the file; false: there is none.
  bool AskAnother(const FileId& file);
  // Ends a startup at main when nothing but inference can show it and the evidence is there.
  void TryInferMain(OpenMap::iterator it);
  void ReachMain(OpenMap::iterator it, const End& end);
  void Conclude(OpenMap::iterator it, const End& end);
  void KeepRecord(Open* open, Event&& event);
  [[nodiscard]] BuildOptions OptionsOf(const Open& open) const;
  // Ends a startup, or the part of it that some watches wanted, now or when its files are known.
  void Finish(OpenPtr open, const End& end, WatchMask watches,
              std::optional<MilestoneKind> reached);
  // A file with code that is not known, or lacks marks that are wanted.
  [[nodiscard]] bool MayBeLibrary(const Open& open, const MappingEvent& mapping) const;
  void RequestLibrary(const Open& open, const MappingEvent& mapping);
  // Files that this startup maps, that were asked for and not answered.
  [[nodiscard]] std::set<FileId> AwaitedBy(const Open& open) const;
  void TellStuck();
  // Goes on watching the loader of a process whose startup is over.
  void WatchLoader(const Open& over, const End& end);
  void TellActivity(const Open& open, LoaderActivity activity);
  void CountNotFollowed(Open* open);
  // What files say of the objects of an activity: who they are, who needs them.
  // `loaded`: all that its process has loaded.
  void ChainActivity(const FileId& executable, const FileId& loader,
                     std::vector<MappedObject> loaded, LoaderActivity* activity) const;
  [[nodiscard]] StartupImages ImagesOf(const Open& open) const;
  [[nodiscard]] StartupImages ImagesOf(const FileId& executable, const FileId& loader) const;

  const ModelOptions options_;
  StartupListener* const listener_;
  ImageProber* const prober_;
  OpenPool pool_;  // outlives those that return to it
  StartupDelivery delivery_;
  std::array<std::optional<WatchTerms>, kWatchSlots> watches_;
  OpenMap open_;
  // Of what is looked up next to each other most is the same. Both hold until a process comes or
  // goes.
  uint32_t found_pid_ = 0;
  Open* found_ = nullptr;
  ImageMap images_;
  size_t kept_records_ = 0;
  struct Asked {
    uint32_t pid = 0;  // on behalf of
    bool as_library = false;
    // Of other processes that have it mapped, the latest last: the one above may be gone before its
    // file is opened.
    std::vector<ProbeRequest> others;
    void AddOther(ProbeRequest request);
  };
  absl::flat_hash_map<FileId, Asked> requested_;  // asked for, not answered
  WaitingRecords waiting_;
  BuildRoom room_;
  // Lost since the last AdvanceTo(), and before that since the one before: what begins now was
  // perhaps under way then, its records being among those that were not lost.
  std::map<LossStage, uint64_t> lost_lately_;
  std::map<LossStage, uint64_t> lost_before_;
  uint64_t now_ns_ = 0;
  Stats stats_;
  std::optional<ProbeCosts> costs_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_MODEL_H_
