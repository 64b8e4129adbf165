// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What was seen of one startup, before anything is concluded from it. Passive data. Each list is in
// order of time and bounded by its owner; what did not fit is counted.

#ifndef STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_
#define STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/decode/event.h"
#include "daemon/model/startup.h"

namespace startscope {

template <typename T>
struct Timed {
  uint64_t boottime_ns = 0;
  uint32_t tid = 0;
  T value;
};

// How much is kept of one startup.
struct EvidenceLimits {
  size_t faults = 131072;
  size_t mappings = 8192;
  size_t marks = 8192;
  size_t pages_read = 16384;
  size_t waits = 32768;
  size_t calls = 65536;
  size_t samples = 65536;
  size_t threads = 64;
};

struct Evidence {
  uint32_t pid = 0;
  uint64_t start_boottime_ns = 0;
  uint64_t exec_boottime_ns = 0;  // of sched_process_exec
  ExecEvent exec;
  std::vector<Timed<FaultEvent>> faults;
  std::vector<Timed<MappingEvent>> mappings;
  std::vector<Timed<MarkEvent>> marks;
  std::vector<Timed<PagesReadEvent>> pages_read;
  std::vector<Timed<WaitEvent>> waits;
  std::vector<Timed<SyscallEvent>> calls;
  std::vector<Timed<SampleEvent>> samples;
  uint32_t threads_created = 0;
  std::vector<Timed<uint32_t>> threads;  // the ids of the first ones, by who made them
  uint64_t records = 0;
  // Beyond the limits, by what they were.
  struct NotKept {
    uint64_t faults = 0;
    uint64_t mappings = 0;
    uint64_t marks = 0;
    uint64_t pages_read = 0;
    uint64_t waits = 0;
    uint64_t calls = 0;
    uint64_t samples = 0;
    [[nodiscard]] uint64_t total() const {
      return faults + mappings + marks + pages_read + waits + calls + samples;
    }
  } not_kept;
  // Records of the whole machine that were lost while this startup was open, by stage.
  std::map<LossStage, uint64_t> lost;
  bool first_exec = true;  // no earlier exec of this process was seen
  // What was executed is a program interpreter; `exec` tells of the program that it was given.
  bool loader_invoked = false;

  // Puts a record in its list, in order of time. False: its kind has no list here. With `full` it is
  // counted as not kept whatever the limits say.
  bool Add(Event&& event, const EvidenceLimits& limits, bool full);
  bool Add(const Event& event, const EvidenceLimits& limits, bool full) {
    return Add(Event(event), limits, full);
  }
  // As if it were new, with some of its memory.
  void Clear();
  // Takes out what was recorded at or after a time, as events.
  std::vector<Event> TakeSince(uint64_t boottime_ns);
  // Records that Add() put into the lists and that are still there.
  size_t kept = 0;

 private:
  // Of startups before this one, for the memory of their paths.
  std::vector<Timed<MappingEvent>> spare_mappings_;
};

// Where a breakdown ends.
struct End {
  uint64_t boottime_ns = 0;
  std::optional<Counters> counters;
  Outcome outcome = Outcome::kUnspecified;
  std::optional<MilestoneKind> milestone;
  // Of the milestone, when it was not a mark.
  BoundarySource source = BoundarySource::kUnspecified;
  std::optional<uint32_t> exit_status;
};

// What is known of the files a startup runs.
struct KnownImage {
  uint32_t image = 0;
  std::shared_ptr<const ImageFacts> facts;
  uint32_t attached_marks = 0;
  uint64_t attached_boottime_ns = 0;
  std::string attach_error;
};

// The mark that shows a program's main was in place when a start of it began.
inline bool MainWasMarked(const KnownImage* executable, uint64_t begin_boottime_ns) {
  if (executable == nullptr) return false;
  const MarkKind kind = EntryIsMain(*executable->facts) ? MarkKind::kEntry : MarkKind::kMain;
  return (executable->attached_marks & (1u << static_cast<unsigned>(kind))) != 0 &&
         executable->attached_boottime_ns != 0 &&
         executable->attached_boottime_ns <= begin_boottime_ns;
}

using ImageMap = absl::flat_hash_map<FileId, KnownImage>;

struct StartupImages {
  const KnownImage* executable = nullptr;  // nullptr: not known
  const KnownImage* loader = nullptr;
  const ImageMap* all = nullptr;

  [[nodiscard]] const ImageFacts* FactsOf(const FileId& file) const {
    const KnownImage* known = Find(file);
    return known == nullptr ? nullptr : known->facts.get();
  }
  // The same, to be shared by what outlives the images.
  [[nodiscard]] const std::shared_ptr<const ImageFacts>* SharedFactsOf(const FileId& file) const {
    const KnownImage* known = Find(file);
    return known == nullptr ? nullptr : &known->facts;
  }
  // nullptr: not known, or not readable.
  [[nodiscard]] const KnownImage* Find(const FileId& file) const {
    if (all == nullptr) return nullptr;
    const auto found = all->find(file);
    if (found == all->end() || !found->second.facts->error.empty()) return nullptr;
    return &found->second;
  }
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_
