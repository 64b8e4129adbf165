// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_RANGE_TABLE_H_
#define STARTSCOPE_DAEMON_MODEL_RANGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/model/startup.h"

namespace startscope {

// Addresses [start, end) and what is mapped there.
struct MappedRange {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t file_offset = 0;  // of `start`
  uint32_t prot = 0;
  uint32_t object = 0;
  uint32_t segment = kNoIndex;  // of the object; kNoIndex: beyond the bound
  bool has_file = false;
  bool is_private = true;
};

// Ranges that do not overlap, in order of address. They lie in blocks: among the few dozen of a
// usual process a look-up stays in one, and a change among thousands moves no more than one. One
// thread.
class RangeTable {
 public:
  // Of a range, or the end behind the last one. Valid until the next change.
  struct Place {
    size_t block = 0;
    size_t index = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };

  RangeTable() { blocks_.emplace_back(); }

  // The range that holds `address`, if any does, or the next one.
  [[nodiscard]] Place FirstEndingAfter(uint64_t address) const {
    const size_t block = blocks_.size() == 1 ? 0 : BlockEndingAfter(address);
    if (block == blocks_.size()) return {block, 0};
    // The commonest look-up of all: without branches that depend on what is there.
    const MappedRange* const first = blocks_[block].data();
    const size_t size = blocks_[block].size();
    const MappedRange* at = first;
    for (size_t left = size; left > 1;) {
      const size_t half = left / 2;
      at += at[half - 1].end <= address ? half : 0;
      left -= half;
    }
    if (size != 0 && at->end <= address) ++at;
    return Normalized({block, static_cast<size_t>(at - first)});
  }
  [[nodiscard]] Place begin() const { return Normalized({0, 0}); }
  [[nodiscard]] bool IsEnd(const Place& place) const { return place.block == blocks_.size(); }
  [[nodiscard]] Place Next(const Place& place) const {
    return Normalized({place.block, place.index + 1});
  }
  // nullptr: none lies before.
  [[nodiscard]] const MappedRange* Before(const Place& place) const;
  MappedRange& operator[](const Place& place) { return blocks_[place.block][place.index]; }
  const MappedRange& operator[](const Place& place) const {
    return blocks_[place.block][place.index];
  }

  // Puts a range before `place`, where it must belong; returns its place.
  Place Insert(const Place& place, const MappedRange& range);
  // Removes ranges from `place` on while they end at or before `address`; returns the place of what
  // follows.
  Place RemoveUntil(const Place& place, uint64_t address);
  // Makes `address` the start of a range, if it lies inside one. Returns the place of the first
  // range that does not lie before it.
  Place SplitAt(uint64_t address);
  // Forgets all ranges, and keeps the room of a usual process.
  void Clear();

 private:
  static constexpr size_t kBlockRanges = 64;
  using Block = std::vector<MappedRange>;
  [[nodiscard]] size_t BlockEndingAfter(uint64_t address) const;
  // No block is empty, except the only one.
  [[nodiscard]] Place Normalized(Place place) const {
    if (place.block < blocks_.size() && place.index >= blocks_[place.block].size()) {
      place = {place.block + 1, 0};
    }
    return place;
  }

  std::vector<Block> blocks_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_RANGE_TABLE_H_
