// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/evidence.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace startscope {
namespace {

// What a small program gives of a kind, and what is not given back between startups.
constexpr size_t kUsualRecords = 32;
constexpr size_t kKeptRecords = 128;
constexpr size_t kKeptPathBytes = 256;

// How many were kept: 1 or 0.
template <typename T>
size_t Insert(std::vector<Timed<T>>* list, size_t limit, const Event& event, T& value, bool full,
              uint64_t* not_kept) {
  if (full || list->size() >= limit) {
    ++*not_kept;
    return 0;
  }
  if (list->empty()) list->reserve(kUsualRecords);
  // Almost always in order; a late record goes to its place.
  if (list->empty() || list->back().boottime_ns <= event.boottime_ns) {
    list->push_back(Timed<T>{event.boottime_ns, event.tid, std::move(value)});
    return 1;
  }
  auto at = list->end();
  while (at != list->begin() && std::prev(at)->boottime_ns > event.boottime_ns) --at;
  list->insert(at, Timed<T>{event.boottime_ns, event.tid, std::move(value)});
  return 1;
}

template <typename T>
void TakeRoom(std::vector<T>* from, std::vector<T>* to) {
  from->clear();
  if (from->capacity() <= kKeptRecords) to->swap(*from);
}

template <typename T>
void MoveSince(uint64_t boottime_ns, uint32_t pid, std::vector<Timed<T>>* list,
               std::vector<Event>* out) {
  const auto from = std::find_if(list->begin(), list->end(), [&](const Timed<T>& timed) {
    return timed.boottime_ns >= boottime_ns;
  });
  for (auto it = from; it != list->end(); ++it) {
    Event event;
    event.boottime_ns = it->boottime_ns;
    event.pid = pid;
    event.tid = it->tid;
    event.payload = std::move(it->value);
    out->push_back(std::move(event));
  }
  list->erase(from, list->end());
}

}  // namespace

bool Evidence::Add(Event&& event, const EvidenceLimits& limits, bool full) {
  if (auto* fault = std::get_if<FaultEvent>(&event.payload)) {
    kept += Insert(&faults, limits.faults, event, *fault, full, &not_kept.faults);
  } else if (auto* mapping = std::get_if<MappingEvent>(&event.payload)) {
    kept += Insert(&mappings, limits.mappings, event, *mapping, full, &not_kept.mappings);
    // The event's place will need memory for the next path.
    if (!spare_mappings_.empty() && mapping->path.empty()) {
      mapping->path.swap(spare_mappings_.back().value.path);
      spare_mappings_.pop_back();
    }
    return true;  // of the side-band: no record of ours
  } else if (auto* mark = std::get_if<MarkEvent>(&event.payload)) {
    kept += Insert(&marks, limits.marks, event, *mark, full, &not_kept.marks);
  } else if (auto* read = std::get_if<PagesReadEvent>(&event.payload)) {
    kept += Insert(&pages_read, limits.pages_read, event, *read, full, &not_kept.pages_read);
  } else if (auto* wait = std::get_if<WaitEvent>(&event.payload)) {
    kept += Insert(&waits, limits.waits, event, *wait, full, &not_kept.waits);
  } else if (auto* call = std::get_if<SyscallEvent>(&event.payload)) {
    kept += Insert(&calls, limits.calls, event, *call, full, &not_kept.calls);
  } else if (auto* sample = std::get_if<SampleEvent>(&event.payload)) {
    kept += Insert(&samples, limits.samples, event, *sample, full, &not_kept.samples);
  } else {
    return false;
  }
  ++records;
  return true;
}

void Evidence::Clear() {
  Evidence empty;
  TakeRoom(&faults, &empty.faults);
  TakeRoom(&marks, &empty.marks);
  spare_mappings_.swap(mappings);
  if (spare_mappings_.size() > kKeptRecords) spare_mappings_ = {};
  std::erase_if(spare_mappings_, [](const Timed<MappingEvent>& mapping) {
    return mapping.value.path.capacity() > kKeptPathBytes;
  });
  empty.spare_mappings_.swap(spare_mappings_);
  TakeRoom(&mappings, &empty.mappings);
  *this = std::move(empty);
}

std::vector<Event> Evidence::TakeSince(uint64_t boottime_ns) {
  std::vector<Event> taken;
  MoveSince(boottime_ns, pid, &faults, &taken);
  MoveSince(boottime_ns, pid, &mappings, &taken);
  MoveSince(boottime_ns, pid, &pages_read, &taken);
  MoveSince(boottime_ns, pid, &waits, &taken);
  MoveSince(boottime_ns, pid, &calls, &taken);
  MoveSince(boottime_ns, pid, &samples, &taken);
  kept -= std::min(kept, taken.size());
  return taken;
}

}  // namespace startscope
