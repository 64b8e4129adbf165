// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/loader_watch.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace startscope {
namespace {

// A thread that has mapped nothing for this long has loaded what it was loading.
constexpr uint64_t kQuietNs = 20'000'000;
constexpr size_t kMaxThreads = 256;
constexpr size_t kMaxObjects = 1024;
// Files that one process has loaded so far.
constexpr size_t kMaxKnown = 16384;

}  // namespace

LoaderWatch::LoaderWatch(const Evidence& evidence, const End& end, const FileId& executable,
                         const FileId& loader)
    : begin_ns_(evidence.exec.begin_boottime_ns),
      exec_(evidence.exec),
      map_(exec_, {.executable = executable, .loader = loader, .max_objects = kMaxObjects}) {
  for (const auto& mapping : evidence.mappings) {
    if (mapping.boottime_ns > end.boottime_ns) break;
    map_.Apply(mapping.boottime_ns, mapping.value, MappingOperation::kUnspecified);
    if (mapping.value.file.inode != 0) known_.insert(mapping.value.file);
  }
  for (uint32_t i = 0; i < map_.objects(); ++i) {
    const MappedObject& object = map_.object(i);
    if (object.file.inode == 0) continue;
    MappedObject brief;
    brief.kind = object.kind;
    brief.path = object.path;
    brief.file = object.file;
    brief.map_offset_ns = 0;
    loaded_.push_back(std::move(brief));
  }
}

void LoaderWatch::OnEvent(const Event& event) {
  if (const auto* mapping = std::get_if<MappingEvent>(&event.payload)) {
    OnMapping(event, *mapping);
  } else if (const auto* fault = std::get_if<FaultEvent>(&event.payload)) {
    OnFault(event, *fault);
  } else if (const auto* mark = std::get_if<MarkEvent>(&event.payload)) {
    OnMark(event, *mark);
  }
}

LoaderWatch::Activity* LoaderWatch::Begin(uint32_t tid, uint64_t boottime_ns,
                                          BoundarySource source) {
  if (const auto open = open_.find(tid); open != open_.end()) {
    Finish(std::move(open->second));
    open_.erase(open);
  }
  if (open_.size() >= kMaxThreads) {
    ++not_followed_;
    return nullptr;
  }
  Activity& activity = open_[tid];
  activity.begin_ns = boottime_ns;
  activity.last_ns = boottime_ns;
  activity.result.kind = LoaderEventKind::kOpen;
  activity.result.tid = tid;
  activity.result.source = source;
  activity.result.offset_ns = boottime_ns - std::min(begin_ns_, boottime_ns);
  return &activity;
}

void LoaderWatch::OnMark(const Event& event, const MarkEvent& mark) {
  if (mark.kind != MarkKind::kDlopen && mark.kind != MarkKind::kDlclose) return;
  Activity* activity = Begin(event.tid, event.boottime_ns, BoundarySource::kSymbolUprobe);
  if (activity == nullptr) return;
  if (mark.kind == MarkKind::kDlclose) activity->result.kind = LoaderEventKind::kClose;
  activity->result.requested = mark.text;
  const AddressMap::Place caller = map_.Find(mark.word);
  if (caller.object == kNoIndex) return;
  activity->result.caller_object = map_.object(caller.object).path;
  activity->result.caller_offset = caller.file_offset;
}

LoaderWatch::Activity* LoaderWatch::AddLibrary(const Event& event, const Candidate& first) {
  const auto open = open_.find(event.tid);
  Activity* activity = open == open_.end() ? nullptr : &open->second;
  const bool another = activity != nullptr && activity->relocated &&
                       activity->result.source == BoundarySource::kMapping;
  const bool too_large = activity != nullptr && activity->objects.size() >= kMaxObjects;
  if (too_large || known_.size() >= kMaxKnown) {
    ++not_followed_;
    return nullptr;
  }
  if (activity == nullptr || another) {
    activity = Begin(event.tid, first.boottime_ns, BoundarySource::kMapping);
  }
  if (activity == nullptr) return nullptr;
  activity->files.insert(first.mapping.file);
  MappedObject added;
  added.kind = ObjectKind::kLibrary;
  added.path = first.mapping.path;
  added.file = first.mapping.file;
  added.load_address = first.mapping.address;
  added.map_offset_ns = first.boottime_ns - std::min(begin_ns_, first.boottime_ns);
  // The first mapping reserves the whole; the others lie in it.
  added.mapped_bytes = first.mapping.size_bytes;
  added.pages_mapped = (first.mapping.size_bytes + 4095) / 4096;
  activity->objects.push_back(std::move(added));
  return activity;
}

LoaderWatch::Candidates::iterator LoaderWatch::AddCandidate(const Event& event,
                                                            const MappingEvent& mapping) {
  // Threads that map data leave one behind each, and end.
  if (candidates_.size() >= kMaxThreads && !candidates_.contains(event.tid)) {
    candidates_.erase(std::min_element(
        candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
          return a.second.boottime_ns < b.second.boottime_ns;
        }));
  }
  return candidates_.insert_or_assign(event.tid, Candidate{event.boottime_ns, mapping}).first;
}

void LoaderWatch::OnMapping(const Event& event, const MappingEvent& mapping) {
  const AddressMap::Applied applied =
      map_.Apply(event.boottime_ns, mapping, MappingOperation::kUnspecified);
  const auto open = open_.find(event.tid);
  Activity* activity = open == open_.end() ? nullptr : &open->second;
  FileId file = mapping.file;
  if (file.inode == 0) {
    // The BSS of a library is part of it.
    const AddressMap::Place place = map_.Find(mapping.address);
    if (place.object != kNoIndex) file = map_.object(place.object).file;
  }
  if (file.inode == 0) return;
  // Closed since, and loaded again by a call that no mark shows.
  const bool again = applied.mapped_again && activity != nullptr && activity->relocated &&
                     activity->result.source == BoundarySource::kMapping;
  auto candidate = candidates_.find(event.tid);
  const MappingEvent* first =
      candidate == candidates_.end() ? nullptr : &candidate->second.mapping;
  const bool same_file = first != nullptr && first->file == file;
  const bool begun = same_file && mapping.address > first->address &&
                     mapping.address - first->address < first->size_bytes;
  if (activity == nullptr || again || begun || !activity->files.contains(file)) {
    if (!begun) {
      const bool fresh =
          !applied.is_protection && (applied.new_bytes != 0 || applied.mapped_again);
      const bool same_place = same_file && mapping.address == first->address;
      if (!fresh && (applied.is_protection || !same_place)) return;
      candidate = AddCandidate(event, mapping);
      if (known_.contains(file)) return;
    }
    if ((mapping.prot & PROT_EXEC) == 0) return;
    activity = AddLibrary(event, candidate->second);
    candidates_.erase(candidate);
    if (activity == nullptr) return;
  }
  activity->relocated |= applied.is_protection;
  LoaderActivity& result = activity->result;
  result.minor_faults = result.minor_faults.value_or(0) + std::exchange(activity->later_minor, 0);
  result.major_faults = result.major_faults.value_or(0) + std::exchange(activity->later_major, 0);
  result.fault_ns = result.fault_ns.value_or(0) + std::exchange(activity->later_fault_ns, 0);
  activity->last_ns = event.boottime_ns;
}

void LoaderWatch::OnFault(const Event& event, const FaultEvent& fault) {
  const auto open = open_.find(event.tid);
  if (open == open_.end() || !fault.completed) return;
  Activity& activity = open->second;
  ++(fault.major ? activity.later_major : activity.later_minor);
  const bool timed = fault.entry_boottime_ns != 0 && fault.entry_boottime_ns <= event.boottime_ns;
  const uint64_t latency = timed ? event.boottime_ns - fault.entry_boottime_ns : 0;
  activity.later_fault_ns += latency;
  const AddressMap::Place place = map_.Find(fault.address);
  if (place.object == kNoIndex) return;
  const FileId file = map_.object(place.object).file;
  for (MappedObject& object : activity.objects) {
    if (object.file != file) continue;
    ++(fault.major ? object.major_faults : object.minor_faults);
    if (timed) object.fault_ns = object.fault_ns.value_or(0) + latency;
  }
}

void LoaderWatch::Finish(Activity activity) {
  LoaderActivity result = std::move(activity.result);
  known_.insert(activity.files.begin(), activity.files.end());
  if (activity.last_ns > activity.begin_ns) result.duration_ns = activity.last_ns - activity.begin_ns;
  result.objects = std::move(activity.objects);
  for (const MappedObject& object : result.objects) {
    if (loaded_.size() < kMaxObjects) loaded_.push_back(object);
  }
  finished_.push_back(std::move(result));
}

std::vector<LoaderActivity> LoaderWatch::TakeFinished(uint64_t boottime_ns, bool everything) {
  for (auto it = open_.begin(); it != open_.end();) {
    if (everything || it->second.last_ns + kQuietNs <= boottime_ns) {
      Finish(std::move(it->second));
      it = open_.erase(it);
    } else {
      ++it;
    }
  }
  return std::exchange(finished_, {});
}

}  // namespace startscope
