// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/orderer.h"

#include <algorithm>
#include <utility>

namespace startscope {

void Orderer::ReleaseUpTo(uint64_t boottime_ns, const std::function<void(const Event&)>& sink) {
  const auto older = [](const Event& a, const Event& b) { return a.boottime_ns < b.boottime_ns; };
  std::stable_sort(waiting_.begin(), waiting_.end(), older);
  size_t released = 0;
  for (; released < waiting_.size(); ++released) {
    const Event& event = waiting_[released];
    if (event.boottime_ns > boottime_ns) break;
    if (event.boottime_ns != 0 && event.boottime_ns < released_up_to_ns_) ++late_;
    sink(event);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(released));
  released_up_to_ns_ = std::max(released_up_to_ns_, boottime_ns);
}

}  // namespace startscope
