// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/orderer.h"

#include <algorithm>
#include <utility>

namespace startscope {

void Orderer::ReleaseUpTo(uint64_t boottime_ns, absl::FunctionRef<void(Event&&)> sink) {
  std::sort(order_.begin(), order_.end(), [](const Place& a, const Place& b) {
    return a.boottime_ns != b.boottime_ns ? a.boottime_ns < b.boottime_ns : a.index < b.index;
  });
  size_t released = 0;
  for (; released < order_.size(); ++released) {
    Event& event = waiting_[order_[released].index];
    if (event.boottime_ns > boottime_ns) break;
    if (event.boottime_ns != 0 && event.boottime_ns < released_up_to_ns_) ++late_;
    sink(std::move(event));
  }
  for (size_t i = released; i < order_.size(); ++i) {
    rest_.push_back(std::move(waiting_[order_[i].index]));
    order_[i - released] = {order_[i].boottime_ns, i - released};
  }
  order_.resize(order_.size() - released);
  waiting_.clear();
  std::swap(waiting_, rest_);
  released_up_to_ns_ = std::max(released_up_to_ns_, boottime_ns);
}

}  // namespace startscope
