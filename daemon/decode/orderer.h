// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_DECODE_ORDERER_H_
#define STARTSCOPE_DAEMON_DECODE_ORDERER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "daemon/decode/event.h"

namespace startscope {

// Puts events of several sources, each in order by itself, into one order of time. Events wait
// until every source is known to have been emptied up to their time; equal times keep their order
// of arrival. An event older than what was already released is released at once and counted late.
// One thread.
class Orderer {
 public:
  // Where the next event is to be written. It holds whatever it held before, and counts once it is
  // added.
  Event& next() {
    if (count_ == waiting_.size()) waiting_.emplace_back();
    return waiting_[count_];
  }
  void AddNext() {
    order_.push_back({waiting_[count_].boottime_ns, count_});
    ++count_;
  }
  void Add(Event&& event) {
    next() = std::move(event);
    AddNext();
  }

  // Releases, in order, all events not newer than `boottime_ns`, to be taken by `sink`. Events
  // without a time go first.
  void ReleaseUpTo(uint64_t boottime_ns, absl::FunctionRef<void(Event&&)> sink);

  [[nodiscard]] size_t waiting() const { return count_; }
  [[nodiscard]] uint64_t late() const { return late_; }

 private:
  struct Place {
    uint64_t boottime_ns = 0;
    size_t index = 0;  // into waiting_
  };
  void Sort();
  // Memory that one burst of events needed and others do not.
  void GiveBackRoom();

  std::vector<Event> waiting_;  // in order of arrival; the first ones, the others are room
  size_t count_ = 0;
  std::vector<Event> rest_;    // room that is used by turns
  std::vector<Place> order_;   // one for each: what is sorted is small, an event is not
  std::vector<Place> sorted_;  // room
  std::vector<size_t> runs_;   // room
  uint64_t released_up_to_ns_ = 0;
  uint64_t late_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_ORDERER_H_
