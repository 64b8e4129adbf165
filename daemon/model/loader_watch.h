// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_
#define STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "daemon/model/address_map.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// Follows what one process maps after its startup and groups it into loader activities: a dlopen with
// what it mapped, or, where no mark shows the call, a burst of new mappings of one thread. Feed events
// in order of time. Bounded by the number of threads that load at once and of ranges mapped.
class LoaderWatch {
 public:
  // `evidence` and `end` are those of the startup.
  LoaderWatch(const Evidence& evidence, const End& end, const FileId& executable,
              const FileId& loader);

  void OnEvent(const Event& event);
  // Activities that are over by now. `everything`: those that are not, too.
  std::vector<LoaderActivity> TakeFinished(uint64_t boottime_ns, bool everything);

 private:
  struct Activity {
    LoaderActivity result;
    uint64_t begin_ns = 0;
    uint64_t last_ns = 0;       // of the last mapping or protection change
    std::set<FileId> files;
    // Since last_ns: they belong to it only if another mapping follows.
    uint64_t later_minor = 0;
    uint64_t later_major = 0;
    uint64_t later_fault_ns = 0;
    std::vector<MappedObject> objects;
  };
  void OnMapping(const Event& event, const MappingEvent& mapping);
  void OnFault(const Event& event, const FaultEvent& fault);
  void OnMark(const Event& event, const MarkEvent& mark);
  Activity* Begin(const Event& event, BoundarySource source);
  void Finish(Activity activity);

  const uint64_t begin_ns_;
  const ExecEvent exec_;
  AddressMap map_;
  std::set<FileId> known_;
  std::map<uint32_t, Activity> open_;  // by thread
  std::vector<LoaderActivity> finished_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_LOADER_WATCH_H_
