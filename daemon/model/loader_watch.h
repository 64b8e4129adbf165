// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_
#define STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/model/address_map.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// Follows what one process maps after its startup and groups it into loader activities: a dlopen with
// the libraries it mapped, or, where no mark shows the call, the libraries that one thread mapped before
// it protected what it had relocated, which is the last that the loader does. Files mapped without code
// are data, and not the loader's. Feed events in order of time. Bounded by the number of threads that
// load at once, of libraries and of ranges mapped; what is beyond is counted.
class LoaderWatch {
 public:
  // `evidence` and `end` are those of the startup.
  LoaderWatch(const Evidence& evidence, const End& end, const FileId& executable,
              const FileId& loader);

  void OnEvent(const Event& event);
  // Activities that are over by now. `everything`: those that are not, too.
  std::vector<LoaderActivity> TakeFinished(uint64_t boottime_ns, bool everything);

  // Calls of the loader and libraries beyond what is followed, since this was asked last.
  uint64_t TakeNotFollowed() { return std::exchange(not_followed_, 0); }

  // What the startup had mapped (as if all at its begin) and what was loaded since, in order, bounded:
  // names and places only.
  [[nodiscard]] const std::vector<MappedObject>& loaded() const { return loaded_; }

 private:
  struct Activity {
    LoaderActivity result;
    uint64_t begin_ns = 0;
    uint64_t last_ns = 0;     // of the last mapping or protection change of its libraries
    bool relocated = false;   // a protection change was seen
    std::set<FileId> files;
    // Since last_ns: they belong to it only if another mapping of it follows.
    uint64_t later_minor = 0;
    uint64_t later_major = 0;
    uint64_t later_fault_ns = 0;
    std::vector<MappedObject> objects;
  };
  // The first mapping of a file: whether it is a library shows when its code is mapped.
  struct Candidate {
    uint64_t boottime_ns = 0;
    MappingEvent mapping;
  };
  using Candidates = std::map<uint32_t, Candidate>;  // by thread
  void OnMapping(const Event& event, const MappingEvent& mapping);
  Candidates::iterator AddCandidate(const Event& event, const MappingEvent& mapping);
  // A library that begins with `first`; nullptr: too many threads load at once, or too much is loaded.
  Activity* AddLibrary(const Event& event, const Candidate& first);
  void OnFault(const Event& event, const FaultEvent& fault);
  void OnMark(const Event& event, const MarkEvent& mark);
  Activity* Begin(uint32_t tid, uint64_t boottime_ns, BoundarySource source);
  void Finish(Activity activity);

  const uint64_t begin_ns_;
  const ExecEvent exec_;
  AddressMap map_;
  std::set<FileId> known_;
  std::map<uint32_t, Activity> open_;  // by thread
  Candidates candidates_;
  std::vector<LoaderActivity> finished_;
  std::vector<MappedObject> loaded_;
  uint64_t not_followed_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_
