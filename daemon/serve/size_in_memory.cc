// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/size_in_memory.h"

#include <algorithm>
#include <string>
#include <vector>

namespace startscope {
namespace {

size_t Allocation(size_t bytes) {
  return bytes == 0 ? 0 : std::max<size_t>((bytes + 8 + 15) & ~size_t{15}, 32);
}

// Owned(x): what x has outside of itself.
size_t Owned(const std::string& text) {
  constexpr size_t kWithinItself = 15;
  return text.capacity() > kWithinItself ? Allocation(text.capacity() + 1) : 0;
}

template <typename T>
size_t OwnRoom(const std::vector<T>& of) {
  return Allocation(of.capacity() * sizeof(T));
}

template <typename T>
size_t Owned(const std::vector<T>& of);

size_t Owned(const ProcessInfo& process) {
  return Owned(process.comm) + Owned(process.executable) + Owned(process.filename) +
         Owned(process.interpreter) + Owned(process.argv);
}

size_t Owned(const RuntimeInfo& runtime) {
  return Owned(runtime.evidence) + Owned(runtime.libc_version);
}

size_t Owned(const TimeShare& share) { return Owned(share.object); }

size_t Owned(const SubMark& mark) { return Owned(mark.name); }

size_t Owned(const PhaseSlice& slice) { return Owned(slice.sub_marks) + Owned(slice.blame); }

size_t Owned(const InitCall& call) { return Owned(call.symbol) + Owned(call.unit); }

size_t Owned(const SearchMiss& miss) { return Owned(miss.directory); }

size_t Owned(const MappedObject& object) {
  return Owned(object.path) + Owned(object.needed_by) + OwnRoom(object.segments) +
         OwnRoom(object.pages) + Owned(object.init_calls) + Owned(object.search_misses);
}

size_t Owned(const Degradation& degradation) { return Owned(degradation.detail); }

size_t Owned(const FileReads& reads) { return Owned(reads.path); }

size_t Owned(const FailedSearch& search) { return Owned(search.name) + Owned(search.directory); }

size_t Owned(const Timeline::Object& object) { return Owned(object.path); }

size_t Owned(const TimelineEntry& entry) {
  const auto* mark = std::get_if<SubMark>(&entry.entry);
  return mark == nullptr ? 0 : Owned(*mark);
}

size_t Owned(const Timeline& timeline) {
  return Owned(timeline.entries) + Owned(timeline.objects) + Owned(timeline.symbols);
}

// Behind all those that it calls.
template <typename T>
size_t Owned(const std::vector<T>& of) {
  size_t sum = OwnRoom(of);
  for (const T& one : of) sum += Owned(one);
  return sum;
}

}  // namespace

size_t SizeInMemory(const Startup& startup) {
  size_t sum = Allocation(sizeof(startup)) + Owned(startup.startup_id) + Owned(startup.process) +
               Owned(startup.runtime) + Owned(startup.phases) + OwnRoom(startup.milestones) +
               Owned(startup.objects) + Owned(startup.degradations) + Owned(startup.blame) +
               Owned(startup.temperature_evidence) + OwnRoom(startup.threads);
  if (startup.storage) sum += Owned(startup.storage->files);
  if (startup.syscalls) {
    sum += OwnRoom(startup.syscalls->totals) + Owned(startup.syscalls->searches);
  }
  if (startup.timeline) sum += Owned(*startup.timeline);
  return sum;
}

size_t SizeInMemory(const LoaderActivity& activity) {
  return Allocation(sizeof(activity)) + Owned(activity.startup_id) + Owned(activity.process) +
         Owned(activity.objects) + Owned(activity.requested) + Owned(activity.caller_object);
}

size_t SizeInMemory(const StuckStartup& stuck) {
  return Allocation(sizeof(stuck)) + Owned(stuck.startup_id) + Owned(stuck.process) +
         Owned(stuck.runtime) + Owned(stuck.object) + Owned(stuck.function) +
         Owned(stuck.wait_channel) + Owned(stuck.system_call) + Owned(stuck.file);
}

size_t SizeInMemory(const PhaseSlice& slice) { return Allocation(sizeof(slice)) + Owned(slice); }

}  // namespace startscope
