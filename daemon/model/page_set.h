// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_PAGE_SET_H_
#define STARTSCOPE_DAEMON_MODEL_PAGE_SET_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace startscope {

// Addresses as disjoint ranges [begin, end). One thread.
class PageSet {
 public:
  void Add(uint64_t begin, uint64_t end) {
    if (end <= begin) return;
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second >= begin) --it;
    while (it != ranges_.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = ranges_.erase(it);
    }
    ranges_[begin] = end;
  }

  // Removes what lies in [begin, end), and tells what that was.
  std::vector<std::pair<uint64_t, uint64_t>> Take(uint64_t begin, uint64_t end) {
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (auto it = FirstAt(begin); it != ranges_.end() && it->first < end;) {
      const auto [from, until] = *it;
      it = ranges_.erase(it);
      taken.emplace_back(std::max(from, begin), std::min(until, end));
      if (from < begin) ranges_.emplace_hint(it, from, begin);
      if (until > end) {
        ranges_.emplace_hint(it, end, until);
        break;
      }
    }
    return taken;
  }

  [[nodiscard]] uint64_t BytesIn(uint64_t begin, uint64_t end) const {
    uint64_t bytes = 0;
    for (auto it = FirstAt(begin); it != ranges_.end() && it->first < end; ++it) {
      const uint64_t from = std::max(it->first, begin);
      const uint64_t until = std::min(it->second, end);
      if (until > from) bytes += until - from;
    }
    return bytes;
  }

 private:
  // The range that holds `address`, if any does, or the next one.
  [[nodiscard]] std::map<uint64_t, uint64_t>::const_iterator FirstAt(uint64_t address) const {
    auto it = ranges_.upper_bound(address);
    if (it != ranges_.begin() && std::prev(it)->second > address) --it;
    return it;
  }

  std::map<uint64_t, uint64_t> ranges_;  // begin -> end
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_PAGE_SET_H_
