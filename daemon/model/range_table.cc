// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/range_table.h"

#include <algorithm>
#include <iterator>

namespace startscope {

size_t RangeTable::BlockEndingAfter(uint64_t address) const {
  const auto found =
      std::partition_point(blocks_.begin(), blocks_.end(),
                           [address](const Block& one) { return one.back().end <= address; });
  return static_cast<size_t>(found - blocks_.begin());
}

const MappedRange* RangeTable::Before(const Place& place) const {
  if (place.index != 0) return &blocks_[place.block][place.index - 1];
  if (place.block == 0 || blocks_[place.block - 1].empty()) return nullptr;
  return &blocks_[place.block - 1].back();
}

RangeTable::Place RangeTable::Insert(const Place& place, const MappedRange& range) {
  Place at = place;
  if (IsEnd(at)) at = {blocks_.size() - 1, blocks_.back().size()};
  if (blocks_[at.block].capacity() == 0) blocks_[at.block].reserve(kBlockRanges);
  if (blocks_[at.block].size() >= kBlockRanges) {
    constexpr size_t kHalf = kBlockRanges / 2;
    Block upper;
    upper.reserve(kBlockRanges);
    Block& full = blocks_[at.block];
    upper.assign(full.begin() + kHalf, full.end());
    full.resize(kHalf);
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(at.block) + 1, std::move(upper));
    if (at.index > kHalf) at = {at.block + 1, at.index - kHalf};
  }
  Block& block = blocks_[at.block];
  block.insert(block.begin() + static_cast<std::ptrdiff_t>(at.index), range);
  return at;
}

RangeTable::Place RangeTable::RemoveUntil(const Place& place, uint64_t address) {
  Place at = place;
  while (!IsEnd(at)) {
    Block& block = blocks_[at.block];
    const auto first = block.begin() + static_cast<std::ptrdiff_t>(at.index);
    const auto last = std::find_if(first, block.end(),
                                   [address](const MappedRange& one) { return one.end > address; });
    const bool to_the_end = last == block.end();
    block.erase(first, last);
    if (!to_the_end) return at;
    if (block.empty() && blocks_.size() > 1) {
      blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(at.block));
      at.index = 0;
    } else {
      at = {at.block + 1, 0};
    }
  }
  return at;
}

RangeTable::Place RangeTable::SplitAt(uint64_t address) {
  const Place at = FirstEndingAfter(address);
  if (IsEnd(at) || (*this)[at].start >= address) return at;
  MappedRange& left = (*this)[at];
  MappedRange right = left;
  right.start = address;
  right.file_offset += address - left.start;
  left.end = address;
  return Insert(Next(at), right);
}

void RangeTable::Clear() {
  blocks_.resize(1);
  blocks_.front().clear();
}

}  // namespace startscope
