// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/waiting_records.h"

#include <algorithm>
#include <utility>

namespace startscope {
size_t RecentRecords::Add(Event&& event, size_t most) {
  size_t cut = 0;
  if (events.size() >= most) {
    cut = events.size() - most / 2;
    for (size_t i = 0; i < cut; ++i)
      cut_through_ns = std::max(cut_through_ns, events[i].boottime_ns);
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(cut));
  }
  events.push_back(std::move(event));
  return cut;
}

void WaitingRecords::Keep(Event&& event) {
  if (processes_.size() >= limits_.processes && !processes_.contains(event.pid)) DropOldest();
  const auto [found, first] = processes_.try_emplace(event.pid);
  Process& process = found->second;
  if (first) {
    process.place = order_.insert(order_.end(), event.pid);
  } else {
    order_.splice(order_.end(), order_, process.place);
  }
  process.last_ns = event.boottime_ns;
  ++kept_;
  gave_way_ += process.records.Add(std::move(event), limits_.records);
}

void WaitingRecords::DropOldest() {
  const auto oldest = processes_.find(order_.front());
  gave_way_ += oldest->second.records.events.size();
  dropped_through_ns_ = std::max(dropped_through_ns_, oldest->second.last_ns);
  processes_.erase(oldest);
  order_.pop_front();
}

WaitingRecords::Taken WaitingRecords::Take(uint32_t pid, uint64_t since_ns) {
  Taken taken;
  taken.complete = dropped_through_ns_ == 0 || dropped_through_ns_ < since_ns;
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return taken;
  RecentRecords& records = found->second.records;
  if (records.cut_through_ns != 0 && records.cut_through_ns >= since_ns) taken.complete = false;
  for (Event& event : records.events) {
    if (event.boottime_ns >= since_ns) taken.events.push_back(std::move(event));
  }
  order_.erase(found->second.place);
  processes_.erase(found);
  return taken;
}

void WaitingRecords::Forget(uint32_t pid) {
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return;
  order_.erase(found->second.place);
  processes_.erase(found);
}

}  // namespace startscope
