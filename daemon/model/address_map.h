// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_
#define STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_

#include <cstdint>
#include <map>
#include <unordered_set>
#include <vector>

#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

// The mappings of one process as they come, and the faults charged to them: which object, which
// segment. Feed mappings and faults in order of time.
class AddressMap {
 public:
  // `loader` as found by BoundaryFinder.
  AddressMap(const ExecEvent& exec, const FileId& loader, size_t max_objects);

  enum class Change : uint8_t { kNewMapping, kProtection };
  // Returns what the event meant.
  Change Apply(uint64_t boottime_ns, const MappingEvent& mapping);

  // False: no object there.
  bool Charge(const FaultEvent& fault, uint64_t latency_ns, bool latency_known);

  // The objects, costliest first. Call once, at the end.
  std::vector<MappedObject> Take(uint64_t begin_boottime_ns);
  [[nodiscard]] uint64_t objects_not_kept() const { return objects_not_kept_; }

 private:
  struct Range {
    uint64_t end = 0;
    uint64_t file_offset = 0;
    uint32_t prot = 0;
    size_t object = 0;
    size_t segment = 0;
  };
  struct Entry {
    MappedObject object;
    uint64_t mapped_at_ns = 0;
    std::unordered_set<uint64_t> pages;
    std::vector<std::unordered_set<uint64_t>> segment_pages;
  };

  static constexpr size_t kNone = SIZE_MAX;
  size_t ObjectFor(uint64_t boottime_ns, const MappingEvent& mapping);
  [[nodiscard]] ObjectKind KindOf(const MappingEvent& mapping) const;
  size_t AddSegment(size_t object, const MappingEvent& mapping);
  // Removes [begin, end) from the ranges, splitting what overlaps.
  void Carve(uint64_t begin, uint64_t end);
  std::map<uint64_t, Range>::iterator RangeAt(uint64_t address);

  const ExecEvent& exec_;
  const FileId loader_;
  const size_t max_objects_;
  std::map<uint64_t, Range> ranges_;  // by start address
  std::vector<Entry> entries_;
  uint64_t objects_not_kept_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_
