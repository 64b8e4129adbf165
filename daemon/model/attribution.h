// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_ATTRIBUTION_H_
#define STARTSCOPE_DAEMON_MODEL_ATTRIBUTION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/model/address_map.h"
#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"
#include "daemon/model/startup.h"

namespace startscope {

struct AttributionOptions {
  size_t max_objects = 1024;
  size_t max_pages = 0;     // listed with their heat; 0: none
  size_t max_timeline = 0;  // entries; 0: no timeline
  bool windows_known = false;
  // The process's own mapping calls were recorded (level PAGES).
  bool calls_known = false;
};

struct Attribution {
  std::vector<MappedObject> objects;  // the costliest first
  // Parallel to Evidence::faults: the object's index in the order of first mapping; kNoIndex: no
  // object.
  std::vector<uint32_t> fault_objects;
  std::vector<uint32_t> places;  // for each such index, its index in `objects`
  Unattributed unattributed;          // faults that were recorded and lie in no object
  // Parallel to the slices.
  std::vector<uint64_t> mmap_calls;
  std::vector<uint64_t> mapped_bytes;
  uint64_t objects_not_kept = 0;
  std::optional<Timeline> timeline;
};

// Walks all that was recorded from a startup's begin to its end, in order of time: which object each
// fault belongs to, what was mapped in each phase, and, if asked, the timeline. `map` is used as room.
Attribution Attribute(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
                      const std::vector<PhaseSlice>& slices, const AttributionOptions& options,
                      AddressMap* map);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_ATTRIBUTION_H_
