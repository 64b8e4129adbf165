// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What was seen of one startup, before anything is concluded from it. Passive data. Each list is in
// order of time and bounded by its owner; what did not fit is counted.

#ifndef STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_
#define STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "daemon/decode/event.h"
#include "daemon/model/startup.h"

namespace startscope {

template <typename T>
struct Timed {
  uint64_t boottime_ns = 0;
  uint32_t tid = 0;
  T value;
};

struct Evidence {
  uint32_t pid = 0;
  uint64_t start_boottime_ns = 0;
  uint64_t exec_boottime_ns = 0;  // of sched_process_exec
  ExecEvent exec;
  std::vector<Timed<FaultEvent>> faults;
  std::vector<Timed<MappingEvent>> mappings;
  std::vector<Timed<MarkEvent>> marks;
  uint32_t threads_created = 0;
  uint64_t records = 0;
  uint64_t faults_not_kept = 0;
  uint64_t mappings_not_kept = 0;
  // Records of the whole machine that were lost while this startup was open, by stage.
  std::map<LossStage, uint64_t> lost;
  bool first_exec = true;  // no earlier exec of this process was seen
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

struct StartupImages {
  const KnownImage* executable = nullptr;  // nullptr: not known
  const KnownImage* loader = nullptr;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_EVIDENCE_H_
