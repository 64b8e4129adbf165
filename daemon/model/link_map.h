// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The objects that a loader works on, with their places in memory, as mappings and files tell of
// them.

#ifndef STARTSCOPE_DAEMON_MODEL_LINK_MAP_H_
#define STARTSCOPE_DAEMON_MODEL_LINK_MAP_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/model/boundary_finder.h"
#include "daemon/model/evidence.h"

namespace startscope {

struct LoadedObject {
  FileId file;
  std::string_view path;  // in the evidence
  const KnownImage* image = nullptr;  // nullptr: the file is not known
  const ImageFacts* facts = nullptr;  // nullptr: not known, or not readable
  bool is_executable = false;
  bool is_loader = false;
  // What its first mapping reserved: the others lie in it.
  uint64_t begin = 0;
  uint64_t end = 0;
  // What its addresses are shifted by (link_map.l_addr).
  uint64_t bias = 0;
  uint64_t first_ns = 0;   // its first mapping
  uint64_t mapped_ns = 0;  // the last that is no protection change, its BSS included
  // Its RELRO was protected: it is relocated.
  std::optional<uint64_t> relro_ns;
  bool has_code = false;

  [[nodiscard]] bool Holds(uint64_t address) const { return address >= begin && address < end; }
};

// In order of first mapping, up to a time. Files that are mapped without code are no objects of a
// loader's.
std::vector<LoadedObject> ReadLinkMap(const Evidence& evidence, const StartupImages& images,
                                      const BoundaryFinder& finder, uint64_t until_ns);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_LINK_MAP_H_
