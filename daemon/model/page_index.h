// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_PAGE_INDEX_H_
#define STARTSCOPE_DAEMON_MODEL_PAGE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"

namespace startscope {

// From a page to where it lies in a list. Every fault asks, and every startup begins with none: an
// open table whose places are freed all at once. One thread.
class PageIndex {
 public:
  // The index that was given first for this page; `index`, if it is new.
  uint32_t FindOrAdd(uint64_t page, uint32_t index) {
    if (2 * (used_ + 1) > slots_.size()) Grow();
    Slot& slot = SlotFor(page);
    if (slot.turn == turn_) return slot.index;
    slot = {page, index, turn_};
    ++used_;
    return index;
  }

  void Clear() {
    used_ = 0;
    if (++turn_ == 0 || slots_.size() > kKeptSlots) {
      slots_ = {};
      turn_ = 1;
    }
  }

 private:
  static constexpr size_t kFirstSlots = 256;
  static constexpr size_t kKeptSlots = 4096;
  struct Slot {
    uint64_t page = 0;
    uint32_t index = 0;
    uint32_t turn = 0;  // in use if it is the table's
  };

  // Its own, or the one that it would take.
  Slot& SlotFor(uint64_t page) {
    const size_t mask = slots_.size() - 1;
    size_t at = absl::Hash<uint64_t>{}(page)&mask;
    while (slots_[at].turn == turn_ && slots_[at].page != page) at = (at + 1) & mask;
    return slots_[at];
  }

  void Grow() {
    const std::vector<Slot> old = std::move(slots_);
    slots_ = std::vector<Slot>(old.empty() ? kFirstSlots : 2 * old.size());
    for (const Slot& slot : old) {
      if (slot.turn == turn_) SlotFor(slot.page) = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two
  size_t used_ = 0;
  uint32_t turn_ = 1;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_PAGE_INDEX_H_
