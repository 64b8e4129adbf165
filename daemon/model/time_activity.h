// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What goes on in the main thread of a startup, and which of it each moment belongs to.

#ifndef STARTSCOPE_DAEMON_MODEL_TIME_ACTIVITY_H_
#define STARTSCOPE_DAEMON_MODEL_TIME_ACTIVITY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "daemon/model/startup.h"
#include "daemon/model/time_readings.h"

namespace startscope {

// A later one goes on inside an earlier one.
enum class TimeLayer : uint8_t { kBase, kCall, kFault, kSpell };

struct TimeActivity {
  TimeActivity(const TimeSpan& when, TimeLayer where, TimeReason why)
      : span(when), layer(where), reason(why) {}

  TimeSpan span;
  TimeLayer layer;
  TimeReason reason;
  TimeReason blocked_reason = TimeReason::kBlockedOther;
  std::string_view object = {};
  // Without recorded waits: how much of it was off the CPU.
  uint64_t queued_ns = 0;
  uint64_t blocked_ns = 0;
};

// Walks activities through one span after the other: each piece between two of their ends belongs
// to the innermost. Among those of one layer that is the one that began last.
class ActivitySweep {
 public:
  // Puts them in order.
  explicit ActivitySweep(std::vector<TimeActivity>* activities) : activities_(*activities) {
    const auto earlier = [](const TimeActivity& a, const TimeActivity& b) {
      return a.span.begin < b.span.begin;
    };
    // What comes one after the other is in order as it is.
    if (std::is_sorted(activities_.begin(), activities_.end(), earlier)) return;
    std::stable_sort(activities_.begin(), activities_.end(), earlier);
  }

  // Spans must come in order. Returns the time that lies in no activity.
  template <typename InActivity>
  uint64_t Run(const TimeSpan& span, InActivity in_activity) {
    uint64_t base_ns = 0;
    uint64_t at = span.begin;
    const auto piece = [&](uint64_t until) {
      until = std::min(until, span.end);
      if (until <= at) return;
      if (open_.empty()) {
        base_ns += until - at;
      } else {
        in_activity(*Innermost(), until - at);
      }
      at = until;
    };
    for (;;) {
      if (open_.empty() && next_ < activities_.size() && IsAlone(next_, span.end)) {
        const TimeActivity& alone = activities_[next_++];
        piece(alone.span.begin);
        if (alone.span.end > at) in_activity(alone, alone.span.end - at);
        at = std::max(at, alone.span.end);
        continue;
      }
      const size_t ending = FirstToEnd();
      const bool begins = next_ < activities_.size();
      const bool ends = ending < open_.size();
      if (!begins && !ends) break;
      const bool end_first =
          ends && (!begins || open_[ending]->span.end <= activities_[next_].span.begin);
      const uint64_t edge = end_first ? open_[ending]->span.end : activities_[next_].span.begin;
      if (edge >= span.end) break;
      piece(edge);
      if (end_first) {
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(ending));
      } else {
        open_.push_back(&activities_[next_++]);
      }
    }
    piece(span.end);
    return base_ns;
  }

 private:
  // It ends before another begins, and before `end`.
  [[nodiscard]] bool IsAlone(size_t index, uint64_t end) const {
    const TimeSpan& span = activities_[index].span;
    if (span.begin >= end || span.end > end) return false;
    return index + 1 == activities_.size() || span.end <= activities_[index + 1].span.begin;
  }
  // Index in open_.
  [[nodiscard]] size_t FirstToEnd() const {
    size_t first = 0;
    for (size_t i = 1; i < open_.size(); ++i) {
      if (open_[i]->span.end < open_[first]->span.end) first = i;
    }
    return first;
  }
  [[nodiscard]] const TimeActivity* Innermost() const {
    const TimeActivity* innermost = open_.front();
    for (const TimeActivity* one : open_) {
      if (one->layer >= innermost->layer) innermost = one;
    }
    return innermost;
  }

  std::vector<TimeActivity>& activities_;
  absl::InlinedVector<const TimeActivity*, 8> open_;  // in order of their begin
  size_t next_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_TIME_ACTIVITY_H_
