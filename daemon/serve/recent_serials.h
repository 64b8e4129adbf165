// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_RECENT_SERIALS_H_
#define STARTSCOPE_DAEMON_SERVE_RECENT_SERIALS_H_

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>

namespace startscope {

// Which of the newest kSpan serials were added: a bit each, so that a watch can say long after how many
// startups were its own, also of those that nobody keeps. Not thread-safe.
class RecentSerials {
 public:
  static constexpr uint64_t kSpan = 65536;

  // `serial` is above each one before it.
  void Add(uint64_t serial) {
    if (serial - newest_ >= kSpan) {
      bits_.reset();
    } else {
      for (uint64_t skipped = newest_ + 1; skipped < serial; ++skipped) bits_.reset(Slot(skipped));
    }
    bits_.set(Slot(serial));
    newest_ = serial;
  }

  // How many of `first` to `last`, neither more than kSpan below the newest serial of all.
  [[nodiscard]] size_t CountFrom(uint64_t first, uint64_t last) const {
    size_t count = 0;
    for (uint64_t serial = first; serial <= std::min(last, newest_); ++serial) {
      count += bits_.test(Slot(serial)) ? 1 : 0;
    }
    return count;
  }

 private:
  static constexpr size_t Slot(uint64_t serial) { return serial % kSpan; }

  std::bitset<kSpan> bits_;
  uint64_t newest_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_RECENT_SERIALS_H_
