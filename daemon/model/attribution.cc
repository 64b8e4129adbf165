// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/attribution.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "daemon/model/mark_names.h"

namespace startscope {
namespace {

MappingOperation OperationOf(uint32_t call) {
  switch (call) {
    case SYS_mmap:
      return MappingOperation::kMmap;
    case SYS_mprotect:
      return MappingOperation::kMprotect;
    case SYS_munmap:
      return MappingOperation::kMunmap;
    case SYS_brk:
      return MappingOperation::kBrk;
    case SYS_mremap:
      return MappingOperation::kMremap;
    default:
      return MappingOperation::kUnspecified;
  }
}

// The error number of a result; 0: it succeeded.
uint32_t ErrorOf(int64_t result) {
  return result < 0 && result >= -4095 ? static_cast<uint32_t>(-result) : 0;
}

enum class Kind : uint8_t { kMapping, kCall, kFault, kMark, kWait };

class Walk {
 public:
  Walk(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
       const std::vector<PhaseSlice>& slices, const AttributionOptions& options, AddressMap* map)
      : evidence_(evidence),
        end_(end),
        finder_(finder),
        slices_(slices),
        options_(options),
        begin_(evidence.exec.begin_boottime_ns),
        map_(*map) {
    map_.Begin(evidence.exec, {.executable = finder.executable_file(),
                               .loader = finder.loader_file(),
                               .max_objects = options.max_objects,
                               .max_pages = options.max_pages,
                               .windows_known = options.windows_known});
    result_.mmap_calls.resize(slices.size());
    result_.mapped_bytes.resize(slices.size());
    result_.fault_objects.assign(evidence.faults.size(), kNoIndex);
    if (options.max_timeline != 0) result_.timeline.emplace();
  }

  Attribution Run() {
    // At equal times a mapping is there before its faults: the order of these is that of the kinds.
    AddList(Kind::kMapping, evidence_.mappings.size());
    if (options_.calls_known) AddList(Kind::kCall, evidence_.calls.size());
    AddList(Kind::kFault, evidence_.faults.size());
    if (result_.timeline) {
      AddList(Kind::kMark, evidence_.marks.size());
      AddList(Kind::kWait, evidence_.waits.size());
      result_.timeline->entries.reserve(std::min<size_t>(options_.max_timeline, Records()));
    }
    while (List* first = First()) {
      if (first->boottime_ns > end_.boottime_ns) break;
      Take(first->kind, first->next);
      Advance(first);
    }
    result_.objects_not_kept = map_.objects_not_kept();
    if (result_.timeline) {
      result_.timeline->objects = map_.Names();
      result_.timeline->omitted += evidence_.not_kept.total();
    }
    result_.objects = map_.Take(begin_, &result_.places);
    return std::move(result_);
  }

 private:
  // One of the evidence's lists, each of which is in order of time by itself.
  struct List {
    Kind kind = Kind::kFault;
    uint32_t next = 0;
    uint32_t size = 0;
    uint64_t boottime_ns = 0;  // of the next
  };

  [[nodiscard]] size_t Records() const {
    size_t records = 0;
    for (const List& list : lists_) records += list.size;
    return records;
  }

  void AddList(Kind kind, size_t size) {
    if (size == 0) return;
    lists_.push_back({kind, 0, static_cast<uint32_t>(size), TimeOf(kind, 0)});
  }

  [[nodiscard]] uint64_t TimeOf(Kind kind, uint32_t index) const {
    switch (kind) {
      case Kind::kMapping:
        return evidence_.mappings[index].boottime_ns;
      case Kind::kCall:
        return evidence_.calls[index].boottime_ns;
      case Kind::kFault:
        return evidence_.faults[index].boottime_ns;
      case Kind::kMark:
        return evidence_.marks[index].boottime_ns;
      case Kind::kWait:
        return evidence_.waits[index].boottime_ns;
    }
    return 0;
  }

  // The list whose next record comes first; nullptr: all have been taken.
  List* First() {
    List* first = nullptr;
    for (List& list : lists_) {
      if (first == nullptr || list.boottime_ns < first->boottime_ns) first = &list;
    }
    return first;
  }

  void Advance(List* list) {
    if (++list->next < list->size) {
      list->boottime_ns = TimeOf(list->kind, list->next);
    } else {
      lists_.erase(list);
    }
  }

  void Take(Kind kind, uint32_t index) {
    switch (kind) {
      case Kind::kMapping:
        return OnMapping(evidence_.mappings[index]);
      case Kind::kCall:
        return OnCall(evidence_.calls[index]);
      case Kind::kFault:
        return OnFault(index);
      case Kind::kMark:
        return OnMark(evidence_.marks[index]);
      case Kind::kWait:
        return OnWait(evidence_.waits[index]);
    }
  }

  // Of times that never go back. Slices are contiguous; the last one holds its own end too.
  [[nodiscard]] size_t SliceAt(uint64_t boottime_ns) {
    const uint64_t offset = boottime_ns > begin_ ? boottime_ns - begin_ : 0;
    while (slice_ + 1 < slices_.size() && slices_[slice_ + 1].offset_ns <= offset) ++slice_;
    return slice_;
  }

  // nullptr: the timeline is not wanted, or full.
  TimelineEntry* NewEntry(uint64_t boottime_ns, uint32_t tid) {
    if (!result_.timeline || boottime_ns < begin_) return nullptr;
    if (result_.timeline->entries.size() >= options_.max_timeline) {
      ++result_.timeline->omitted;
      return nullptr;
    }
    TimelineEntry& entry = result_.timeline->entries.emplace_back();
    entry.offset_ns = boottime_ns - begin_;
    entry.tid = tid;
    if (!slices_.empty()) entry.phase = slices_[SliceAt(boottime_ns)].phase;
    return &entry;
  }

  // The call inside which the kernel recorded a mapping.
  [[nodiscard]] MappingOperation CallAround(const Timed<MappingEvent>& mapping) const {
    if (mapping.boottime_ns <= evidence_.exec_boottime_ns) return MappingOperation::kExec;
    if (!options_.calls_known) return MappingOperation::kUnspecified;
    auto call = std::lower_bound(
        evidence_.calls.begin(), evidence_.calls.end(), mapping.boottime_ns,
        [](const auto& one, uint64_t boottime_ns) { return one.boottime_ns < boottime_ns; });
    constexpr int kCallsLooked = 64;  // of other threads
    for (int looked = 0; call != evidence_.calls.end() && looked < kCallsLooked; ++call, ++looked) {
      if (call->tid != mapping.tid) continue;
      if (call->value.entry_boottime_ns > mapping.boottime_ns) break;
      return OperationOf(call->value.number);
    }
    return MappingOperation::kUnspecified;
  }

  void OnMapping(const Timed<MappingEvent>& mapping) {
    const MappingOperation operation = CallAround(mapping);
    const AddressMap::Applied applied = map_.Apply(
        mapping.boottime_ns, mapping.value,
        operation == MappingOperation::kExec ? MappingOperation::kUnspecified : operation);
    const bool by_process = operation != MappingOperation::kExec;
    if (by_process && !applied.is_protection && !slices_.empty()) {
      const size_t slice = SliceAt(mapping.boottime_ns);
      if (operation != MappingOperation::kBrk) ++result_.mmap_calls[slice];
      result_.mapped_bytes[slice] += applied.new_bytes;
    }
    // A recorded call tells of itself.
    if (by_process && operation != MappingOperation::kUnspecified) return;
    TimelineEntry* entry = NewEntry(mapping.boottime_ns, mapping.tid);
    if (entry == nullptr) return;
    MappingEntry to;
    to.operation = !by_process             ? MappingOperation::kExec
                   : applied.is_protection ? MappingOperation::kMprotect
                                           : MappingOperation::kMmap;
    to.prot = mapping.value.prot;
    to.address = mapping.value.address;
    to.size_bytes = mapping.value.size_bytes;
    SetPlace(to.address, &to);
    entry->entry = to;
  }

  void SetPlace(uint64_t address, MappingEntry* to) const {
    const AddressMap::Place place = map_.Find(address);
    to->object = place.object;
    to->file_offset = place.file_offset;
  }

  void OnCall(const Timed<SyscallEvent>& call) {
    const SyscallEvent& value = call.value;
    MappingEntry to;
    to.operation = OperationOf(value.number);
    if (to.operation == MappingOperation::kUnspecified) return;
    to.error = ErrorOf(value.result);
    to.duration_ns = call.boottime_ns - std::min(value.entry_boottime_ns, call.boottime_ns);
    to.address = value.args[0];
    to.size_bytes = value.args[1];
    const auto result = static_cast<uint64_t>(value.result);
    switch (to.operation) {
      case MappingOperation::kMmap:
        if (to.error == 0) to.address = result;
        to.prot = static_cast<uint32_t>(value.args[2]);
        break;
      case MappingOperation::kMprotect:
        to.prot = static_cast<uint32_t>(value.args[2]);
        break;
      case MappingOperation::kBrk:
        // brk answers with the break it left, which is the old one when it failed.
        to.size_bytes = break_ != 0 && result > break_ ? result - break_ : 0;
        to.address = to.size_bytes != 0 ? break_ : result;
        if (break_ != 0 && result < break_) map_.Unmap(result, break_ - result);
        break_ = result;
        break;
      case MappingOperation::kMremap:
        to.old_address = value.args[0];
        to.size_bytes = value.args[2];
        if (to.error == 0) {
          to.address = result;
          const bool stays = (value.args[3] & MREMAP_DONTUNMAP) != 0;
          map_.Move(value.args[0], stays ? 0 : value.args[1], result, value.args[2]);
        }
        break;
      default:
        break;
    }
    SetPlace(to.address, &to);
    if (to.operation == MappingOperation::kMunmap && to.error == 0) {
      map_.Unmap(to.address, to.size_bytes);
    }
    if (TimelineEntry* entry = NewEntry(call.boottime_ns, call.tid)) entry->entry = to;
  }

  void OnFault(uint32_t index) {
    const Timed<FaultEvent>& fault = evidence_.faults[index];
    const FaultEvent& value = fault.value;
    if (!value.completed) return;
    const bool latency_known =
        value.entry_boottime_ns != 0 && value.entry_boottime_ns <= fault.boottime_ns;
    const uint64_t latency = latency_known ? fault.boottime_ns - value.entry_boottime_ns : 0;
    const uint32_t object = map_.Charge(fault.boottime_ns, value, latency, latency_known);
    result_.fault_objects[index] = object;
    if (object == kNoIndex) {
      Unattributed& rest = result_.unattributed;
      ++(value.major ? rest.major : rest.minor);
      if (latency_known) rest.fault_ns = rest.fault_ns.value_or(0) + latency;
    }
    TimelineEntry* entry = NewEntry(fault.boottime_ns, fault.tid);
    if (entry == nullptr) return;
    FaultEntry to;
    to.address = value.address;
    to.ip = value.ip;
    to.major = value.major;
    to.kernel_mode = value.kernel_mode;
    to.access_known = value.access_known;
    to.write = value.write;
    to.instruction_fetch = value.instruction_fetch;
    if (latency_known) {
      to.latency_ns = latency;
      const uint64_t off = std::min(value.fault_off_cpu_ns, latency);
      to.runqueue_ns = std::min(value.fault_run_delay_ns, off);
      to.blocked_ns = off - *to.runqueue_ns;
    }
    to.object = object;
    if (object != kNoIndex) to.file_offset = map_.Find(value.address).file_offset;
    if (!value.kernel_mode) {
      const AddressMap::Place place = map_.Find(value.ip);
      to.ip_object = place.object;
      if (place.object != kNoIndex) to.ip_offset = place.file_offset;
    }
    to.around_pages = value.around_pages;
    to.around_offset = value.around_first_page * 4096;
    entry->entry = to;
  }

  void OnMark(const Timed<MarkEvent>& mark) {
    if (TimelineEntry* entry = NewEntry(mark.boottime_ns, mark.tid)) {
      entry->entry = SubMark{MarkName(mark.value.kind), mark.boottime_ns - begin_,
                             finder_.SourceOfMark(mark.value)};
    }
  }

  void OnWait(const Timed<WaitEvent>& wait) {
    TimelineEntry* entry = NewEntry(wait.boottime_ns, wait.tid);
    if (entry == nullptr) return;
    const WaitEvent& value = wait.value;
    WaitEntry to;
    to.reason = static_cast<uint8_t>(value.reason);
    to.duration_ns = wait.boottime_ns - std::min(value.out_boottime_ns, wait.boottime_ns);
    if (value.reason == WaitReason::kPreempted) {
      to.runqueue_ns = to.duration_ns;
    } else if (value.wake_boottime_ns != 0 && value.wake_boottime_ns <= wait.boottime_ns) {
      to.runqueue_ns = wait.boottime_ns - value.wake_boottime_ns;
    }
    entry->entry = to;
  }

  const Evidence& evidence_;
  const End& end_;
  const BoundaryFinder& finder_;
  const std::vector<PhaseSlice>& slices_;
  const AttributionOptions& options_;
  const uint64_t begin_;
  AddressMap& map_;
  absl::InlinedVector<List, 5> lists_;  // those of which not all has been taken
  size_t slice_ = 0;                    // that SliceAt() found last
  uint64_t break_ = 0;
  Attribution result_;
};

}  // namespace

Attribution Attribute(const Evidence& evidence, const End& end, const BoundaryFinder& finder,
                      const std::vector<PhaseSlice>& slices, const AttributionOptions& options,
                      AddressMap* map) {
  return Walk(evidence, end, finder, slices, options, map).Run();
}

}  // namespace startscope
