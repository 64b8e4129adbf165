// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_WAITING_RECORDS_H_
#define STARTSCOPE_DAEMON_MODEL_WAITING_RECORDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "daemon/decode/event.h"

namespace startscope {

// The newest records of one process. Only what the kernel does inside one exec can matter later, so
// these are enough in all but the strangest cases, which show in `cut_through_ns`.
struct RecentRecords {
  std::vector<Event> events;    // oldest first
  uint64_t cut_through_ns = 0;  // when the newest of those that gave way was made; 0: none did

  // Returns how many gave way.
  size_t Add(Event&& event, size_t most);
};

// Mappings and faults of processes that nobody follows (yet): the kernel maps a new image before it
// is known that somebody wants it. Kept of the processes that were heard of last. Single-threaded.
class WaitingRecords {
 public:
  struct Limits {
    size_t processes = 0;
    size_t records = 0;  // of each
  };
  explicit WaitingRecords(const Limits& limits) : limits_(limits) {}

  void Keep(Event&& event);
  // Gives what is kept of `pid`, and was made from `since_ns` on; all of it is then forgotten.
  // True: nothing of what was made in that time has given way.
  bool Take(uint32_t pid, uint64_t since_ns, absl::FunctionRef<void(Event&&)> take);
  void Forget(uint32_t pid);

  [[nodiscard]] uint64_t kept() const { return kept_; }
  // Records that gave way to newer ones within the limits.
  [[nodiscard]] uint64_t gave_way() const { return gave_way_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // Places of records, which go from one process to the next: most keep a few, and those that are
  // about to be followed many, for a moment. A free one keeps its record's memory.
  struct Node {
    Event event;
    uint32_t next = kNone;
  };
  static constexpr size_t kBlockNodes = 64;
  using Block = std::array<Node, kBlockNodes>;
  struct Process {
    uint32_t first = kNone;  // oldest
    uint32_t last = kNone;
    size_t count = 0;
    uint64_t cut_through_ns = 0;  // when the newest of those that gave way was made; 0: none did
    uint64_t last_ns = 0;
    std::list<uint32_t>::iterator place;
  };
  using Processes = absl::flat_hash_map<uint32_t, Process>;
  Node& NodeAt(uint32_t index) { return (*blocks_[index / kBlockNodes])[index % kBlockNodes]; }
  uint32_t NewNode();
  // Frees the oldest record of a process.
  void DropFirst(Process* process);
  void DropOldest();
  // With all that is kept of it.
  void Erase(Processes::iterator process);

  const Limits limits_;
  Processes processes_;
  std::vector<std::unique_ptr<Block>> blocks_;
  uint32_t free_ = kNone;            // the node that was freed last, and by `next` the others
  std::list<uint32_t> order_;        // pids, the one heard of last at the end
  std::list<uint32_t> spare_;        // places in it that are free
  uint64_t dropped_through_ns_ = 0;  // the newest record of a process that gave way as a whole
  uint64_t kept_ = 0;
  uint64_t gave_way_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_WAITING_RECORDS_H_
