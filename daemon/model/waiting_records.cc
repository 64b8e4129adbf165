// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/waiting_records.h"

#include <algorithm>
#include <iterator>
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

uint32_t WaitingRecords::NewNode() {
  if (free_ == kNone) {
    const auto first = static_cast<uint32_t>(blocks_.size() * kBlockNodes);
    blocks_.push_back(std::make_unique<Block>());
    for (uint32_t i = kBlockNodes; i-- > 0;) {
      NodeAt(first + i).next = free_;
      free_ = first + i;
    }
  }
  const uint32_t index = free_;
  free_ = NodeAt(index).next;
  return index;
}

void WaitingRecords::DropFirst(Process* process) {
  const uint32_t index = process->first;
  Node& node = NodeAt(index);
  process->first = node.next;
  --process->count;
  GiveBackMost(&node.event);
  node.next = free_;
  free_ = index;
}

void WaitingRecords::Keep(Event&& event) {
  auto found = processes_.find(event.pid);
  if (found == processes_.end()) {
    if (processes_.size() >= limits_.processes) DropOldest();
    found = processes_.try_emplace(event.pid).first;
    if (spare_.empty()) spare_.emplace_back();
    found->second.place = spare_.begin();
    *found->second.place = event.pid;
    order_.splice(order_.end(), spare_, found->second.place);
  } else if (std::next(found->second.place) != order_.end()) {
    order_.splice(order_.end(), order_, found->second.place);
  }
  Process& process = found->second;
  process.last_ns = event.boottime_ns;
  ++kept_;
  if (process.count >= limits_.records) {
    for (size_t left = limits_.records / 2; process.count > left; ++gave_way_) {
      process.cut_through_ns =
          std::max(process.cut_through_ns, NodeAt(process.first).event.boottime_ns);
      DropFirst(&process);
    }
  }
  const uint32_t index = NewNode();
  Node& node = NodeAt(index);
  node.event = std::move(event);
  node.next = kNone;
  if (process.count == 0) {
    process.first = index;
  } else {
    NodeAt(process.last).next = index;
  }
  process.last = index;
  ++process.count;
}

void WaitingRecords::Erase(Processes::iterator process) {
  while (process->second.count != 0) DropFirst(&process->second);
  spare_.splice(spare_.begin(), order_, process->second.place);
  processes_.erase(process);
}

void WaitingRecords::DropOldest() {
  const auto oldest = processes_.find(order_.front());
  gave_way_ += oldest->second.count;
  dropped_through_ns_ = std::max(dropped_through_ns_, oldest->second.last_ns);
  Erase(oldest);
}

bool WaitingRecords::Take(uint32_t pid, uint64_t since_ns, absl::FunctionRef<void(Event&&)> take) {
  const bool others_complete = dropped_through_ns_ == 0 || dropped_through_ns_ < since_ns;
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return others_complete;
  Process& process = found->second;
  const bool complete = process.cut_through_ns == 0 || process.cut_through_ns < since_ns;
  while (process.count != 0) {
    Event& event = NodeAt(process.first).event;
    if (event.boottime_ns >= since_ns) take(std::move(event));
    DropFirst(&process);
  }
  Erase(found);
  return complete && others_complete;
}

void WaitingRecords::Forget(uint32_t pid) {
  const auto found = processes_.find(pid);
  if (found != processes_.end()) Erase(found);
}

}  // namespace startscope
