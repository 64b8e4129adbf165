// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/address_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "daemon/model/boundary_finder.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
// The stack grows down from where the kernel put the arguments; its mapping is recorded only once.
constexpr uint64_t kStackBytes = 8u << 20;
constexpr uint64_t kStackTopBytes = 256u << 10;

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

}  // namespace

AddressMap::AddressMap(const ExecEvent& exec, const FileId& loader, size_t max_objects)
    : exec_(exec), loader_(loader), max_objects_(max_objects) {}

std::map<uint64_t, AddressMap::Range>::iterator AddressMap::RangeAt(uint64_t address) {
  auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return ranges_.end();
  const auto at = std::prev(after);
  return address < at->second.end ? at : ranges_.end();
}

ObjectKind AddressMap::KindOf(const MappingEvent& mapping) const {
  if (mapping.file.inode != 0) {
    if (mapping.file == exec_.executable) return ObjectKind::kExecutable;
    if (mapping.file == loader_) return ObjectKind::kLoader;
    return (mapping.prot & PROT_EXEC) != 0 ? ObjectKind::kLibrary : ObjectKind::kFile;
  }
  if (StartsWith(mapping.path, "[vdso") || StartsWith(mapping.path, "[vvar")) {
    return ObjectKind::kVdso;
  }
  if (StartsWith(mapping.path, "[stack")) return ObjectKind::kStack;
  if (StartsWith(mapping.path, "[heap")) return ObjectKind::kHeap;
  return ObjectKind::kAnonymous;
}

size_t AddressMap::ObjectFor(uint64_t boottime_ns, const MappingEvent& mapping) {
  const ObjectKind kind = KindOf(mapping);
  const bool is_file = mapping.file.inode != 0;
  // Anonymous memory right behind an object's writable segment is that object's BSS.
  if (kind == ObjectKind::kAnonymous || kind == ObjectKind::kHeap) {
    auto after = ranges_.lower_bound(mapping.address);
    if (after != ranges_.begin()) {
      const Range& before = std::prev(after)->second;
      const MappedObject& owner = entries_[before.object].object;
      const bool owner_is_image = owner.kind == ObjectKind::kExecutable ||
                                  owner.kind == ObjectKind::kLoader ||
                                  owner.kind == ObjectKind::kLibrary;
      if (before.end == mapping.address && owner_is_image && (before.prot & PROT_WRITE) != 0) {
        return before.object;
      }
    }
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    MappedObject& known = entries_[i].object;
    if (is_file ? known.file == mapping.file : (known.file.inode == 0 && known.kind == kind)) {
      if (known.kind == ObjectKind::kFile && kind == ObjectKind::kLibrary) known.kind = kind;
      return i;
    }
  }
  if (entries_.size() >= max_objects_) {
    ++objects_not_kept_;
    return kNone;
  }
  Entry entry;
  entry.mapped_at_ns = boottime_ns;
  entry.object.kind = kind;
  entry.object.file = mapping.file;
  entry.object.load_address = mapping.address;
  if (is_file) {
    entry.object.path = mapping.path;
  } else {
    switch (kind) {
      case ObjectKind::kStack: entry.object.path = "[stack]"; break;
      case ObjectKind::kHeap: entry.object.path = "[heap]"; break;
      case ObjectKind::kVdso: entry.object.path = "[vdso]"; break;
      default: entry.object.path = "[anonymous]"; break;
    }
  }
  entries_.push_back(std::move(entry));
  return entries_.size() - 1;
}

size_t AddressMap::AddSegment(size_t object, const MappingEvent& mapping) {
  Entry& entry = entries_[object];
  Segment segment;
  segment.address = mapping.address;
  segment.size_bytes = mapping.size_bytes;
  segment.file_offset = mapping.file.inode != 0 ? mapping.file_offset : 0;
  segment.prot = mapping.prot;
  entry.object.segments.push_back(segment);
  entry.segment_pages.emplace_back();
  return entry.object.segments.size() - 1;
}

void AddressMap::Carve(uint64_t begin, uint64_t end) {
  auto it = ranges_.lower_bound(begin);
  if (it != ranges_.begin() && std::prev(it)->second.end > begin) it = std::prev(it);
  while (it != ranges_.end() && it->first < end) {
    const uint64_t old_begin = it->first;
    const Range old = it->second;
    it = ranges_.erase(it);
    if (old_begin < begin) {
      Range left = old;
      left.end = begin;
      ranges_[old_begin] = left;
    }
    if (old.end > end) {
      Range right = old;
      right.file_offset += end - old_begin;
      ranges_[end] = right;
      break;
    }
  }
}

AddressMap::Change AddressMap::Apply(uint64_t boottime_ns, const MappingEvent& mapping) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  if (end <= mapping.address) return Change::kProtection;
  const auto before = RangeAt(mapping.address);
  const bool same_file =
      before != ranges_.end() && entries_[before->second.object].object.file == mapping.file;
  const bool protection =
      same_file && IsProtection(mapping, (before->second.prot & PROT_WRITE) != 0);
  if (protection) {
    Range changed = before->second;
    changed.file_offset += mapping.address - before->first;
    changed.end = end;
    changed.prot = mapping.prot;
    Carve(mapping.address, end);
    ranges_[mapping.address] = changed;
    return Change::kProtection;
  }
  const size_t object = ObjectFor(boottime_ns, mapping);
  if (object == kNone) return Change::kNewMapping;
  Carve(mapping.address, end);
  Range range;
  range.end = end;
  range.file_offset = mapping.file_offset;
  range.prot = mapping.prot;
  range.object = object;
  range.segment = AddSegment(object, mapping);
  ranges_[mapping.address] = range;
  return Change::kNewMapping;
}

bool AddressMap::Charge(const FaultEvent& fault, uint64_t latency_ns, bool latency_known) {
  auto range = RangeAt(fault.address);
  if (range == ranges_.end()) {
    // The stack's mapping was recorded before the kernel moved it to its place.
    const bool stack = exec_.stack_start != 0 && fault.address + kStackBytes > exec_.stack_start &&
                       fault.address < exec_.stack_start + kStackTopBytes;
    if (!stack) return false;
    MappingEvent mapping;
    mapping.address = fault.address & ~(kPageBytes - 1);
    mapping.size_bytes = kPageBytes;
    mapping.prot = PROT_READ | PROT_WRITE;
    mapping.path = "[stack]";
    Apply(0, mapping);
    range = RangeAt(fault.address);
    if (range == ranges_.end()) return false;
  }
  Entry& entry = entries_[range->second.object];
  Segment& segment = entry.object.segments[range->second.segment];
  uint64_t& object_count = fault.major ? entry.object.major_faults : entry.object.minor_faults;
  uint64_t& segment_count = fault.major ? segment.major_faults : segment.minor_faults;
  ++object_count;
  ++segment_count;
  if (fault.access_known) {
    if (fault.instruction_fetch) {
      ++segment.fetch_faults;
    } else if (fault.write) {
      ++segment.write_faults;
    } else {
      ++segment.read_faults;
    }
  }
  if (latency_known) {
    entry.object.fault_ns = entry.object.fault_ns.value_or(0) + latency_ns;
    segment.fault_ns = segment.fault_ns.value_or(0) + latency_ns;
  }
  entry.pages.insert(fault.address / kPageBytes);
  entry.segment_pages[range->second.segment].insert(fault.address / kPageBytes);
  return true;
}

std::vector<MappedObject> AddressMap::Take(uint64_t begin_boottime_ns) {
  for (const auto& [start, range] : ranges_) {
    MappedObject& object = entries_[range.object].object;
    object.mapped_bytes = object.mapped_bytes.value_or(0) + (range.end - start);
  }
  std::vector<MappedObject> objects;
  for (Entry& entry : entries_) {
    MappedObject& object = entry.object;
    object.pages_touched = entry.pages.size();
    if (object.mapped_bytes) object.pages_mapped = *object.mapped_bytes / kPageBytes;
    if (entry.mapped_at_ns >= begin_boottime_ns) {
      object.map_offset_ns = entry.mapped_at_ns - begin_boottime_ns;
    }
    for (size_t i = 0; i < object.segments.size(); ++i) {
      object.segments[i].pages_touched = entry.segment_pages[i].size();
    }
    objects.push_back(std::move(object));
  }
  std::stable_sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) {
    const uint64_t a_ns = a.fault_ns.value_or(0);
    const uint64_t b_ns = b.fault_ns.value_or(0);
    if (a_ns != b_ns) return a_ns > b_ns;
    return a.minor_faults + a.major_faults > b.minor_faults + b.major_faults;
  });
  return objects;
}

}  // namespace startscope
