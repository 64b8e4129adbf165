// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/address_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "daemon/model/boundary_finder.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
// The stack grows down from where the kernel put the arguments; its mapping is recorded only once,
// before the kernel moves it to its place.
constexpr uint64_t kStackBytes = 8u << 20;
constexpr uint64_t kStackTopBytes = 256u << 10;
constexpr char kDeleted[] = " (deleted)";
constexpr size_t kUsualObjects = 16;
// Up to here, looking through them all is cheaper than a table.
constexpr size_t kFewSegments = 16;

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

bool IsImage(ObjectKind kind) {
  return kind == ObjectKind::kExecutable || kind == ObjectKind::kLoader ||
         kind == ObjectKind::kLibrary;
}

// Where the pages end that a range reaches into; `address` if it wraps around.
uint64_t EndOfPages(uint64_t address, uint64_t size_bytes) {
  constexpr uint64_t kMax = UINT64_MAX - kPageBytes;
  if (address > kMax || size_bytes > kMax - address) return address;
  return (address + size_bytes + kPageBytes - 1) & ~(kPageBytes - 1);
}

const char* NameOf(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kStack:
      return "[stack]";
    case ObjectKind::kHeap:
      return "[heap]";
    case ObjectKind::kVdso:
      return "[vdso]";
    default:
      return "[anonymous]";
  }
}

}  // namespace

AddressMap::AddressMap(const ExecEvent& exec, const Options& options)
    : exec_(exec), options_(options) {
  entries_.reserve(std::min(kUsualObjects, options.max_objects));
  pages_.reserve(options.faults_expected);
}

AddressMap::Ranges::iterator AddressMap::RangeAt(uint64_t address) {
  auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return ranges_.end();
  const auto at = std::prev(after);
  return address < at->second.end ? at : ranges_.end();
}

AddressMap::Place AddressMap::Find(uint64_t address) const {
  const auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return {};
  const auto at = std::prev(after);
  if (address >= at->second.end) return {};
  return {at->second.object,
          at->second.has_file ? at->second.file_offset + (address - at->first) : 0};
}

ObjectKind AddressMap::KindOf(const MappingEvent& mapping) const {
  if (mapping.file.inode != 0) {
    if (mapping.file == options_.executable) return ObjectKind::kExecutable;
    if (mapping.file == options_.loader) return ObjectKind::kLoader;
    return (mapping.prot & PROT_EXEC) != 0 ? ObjectKind::kLibrary : ObjectKind::kFile;
  }
  if (StartsWith(mapping.path, "[vdso") || StartsWith(mapping.path, "[vvar")) {
    return ObjectKind::kVdso;
  }
  if (StartsWith(mapping.path, "[stack")) return ObjectKind::kStack;
  if (StartsWith(mapping.path, "[heap")) return ObjectKind::kHeap;
  return ObjectKind::kAnonymous;
}

uint32_t AddressMap::ObjectFor(uint64_t boottime_ns, const MappingEvent& mapping) {
  const ObjectKind kind = KindOf(mapping);
  const bool is_file = mapping.file.inode != 0;
  // Anonymous memory right behind an object's writable segment is that object's BSS.
  if (kind == ObjectKind::kAnonymous) {
    auto after = ranges_.lower_bound(mapping.address);
    if (after != ranges_.begin()) {
      const Range& before = std::prev(after)->second;
      if (before.end == mapping.address && before.has_file &&
          IsImage(entries_[before.object].object.kind) && (before.prot & PROT_WRITE) != 0) {
        return before.object;
      }
    }
  }
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    MappedObject& known = entries_[i].object;
    if (is_file ? known.file == mapping.file : (known.file.inode == 0 && known.kind == kind)) {
      if (known.kind == ObjectKind::kFile && kind == ObjectKind::kLibrary) known.kind = kind;
      return i;
    }
  }
  if (entries_.size() >= options_.max_objects) {
    ++objects_not_kept_;
    return kNoIndex;
  }
  Entry& entry = entries_.emplace_back();
  entry.object.segments.reserve(kUsualSegments);
  entry.mapped_at_ns = boottime_ns;
  entry.object.kind = kind;
  entry.object.file = mapping.file;
  entry.object.load_address = mapping.address;
  if (is_file) {
    entry.object.path = mapping.path;
    const size_t length = sizeof(kDeleted) - 1;
    if (mapping.path.size() > length &&
        mapping.path.compare(mapping.path.size() - length, length, kDeleted) == 0) {
      entry.object.path.resize(mapping.path.size() - length);
      entry.object.deleted = true;
    }
    constexpr uint32_t kMapHugetlb = 0x40000;
    entry.object.huge_pages = (mapping.flags & kMapHugetlb) != 0;
  } else {
    entry.object.path = NameOf(kind);
  }
  return static_cast<uint32_t>(entries_.size() - 1);
}

uint32_t AddressMap::FindSegment(uint32_t object, const SegmentOrigin& origin) const {
  const auto& known = entries_[object].origins;
  if (known.size() > kFewSegments) {
    const auto found = many_segments_.find(std::tuple_cat(std::tie(object), origin.place()));
    return found == many_segments_.end() ? kNoIndex : found->second;
  }
  const auto found = std::find_if(known.begin(), known.end(), [&](const SegmentOrigin& one) {
    return one.place() == origin.place();
  });
  return found == known.end() ? kNoIndex : static_cast<uint32_t>(found - known.begin());
}

uint32_t AddressMap::AddSegment(uint64_t boottime_ns, uint32_t object, const MappingEvent& mapping,
                                uint64_t begin, uint64_t end) {
  Entry& entry = entries_[object];
  const bool is_file = mapping.file.inode != 0;
  const SegmentOrigin origin{begin, end - begin,
                             is_file ? mapping.file_offset + (begin - mapping.address) : 0,
                             mapping.prot, boottime_ns};
  if (const uint32_t known = FindSegment(object, origin); known != kNoIndex) return known;
  if (segment_count_ >= options_.max_segments) return kNoIndex;
  ++segment_count_;
  Segment& segment = entry.object.segments.emplace_back();
  segment.address = origin.address;
  segment.size_bytes = origin.size_bytes;
  segment.file_offset = origin.file_offset;
  segment.prot = origin.prot;
  entry.origins.push_back(origin);
  const auto index = static_cast<uint32_t>(entry.origins.size() - 1);
  if (entry.origins.size() > kFewSegments) {
    const bool only_now = entry.origins.size() == kFewSegments + 1;
    for (uint32_t i = only_now ? 0 : index; i <= index; ++i) {
      many_segments_[std::tuple_cat(std::tie(object), entry.origins[i].place())] = i;
    }
  }
  return index;
}

void AddressMap::SplitAt(uint64_t address) {
  const auto at = RangeAt(address);
  if (at == ranges_.end() || at->first == address) return;
  Range right = at->second;
  right.file_offset += address - at->first;
  at->second.end = address;
  ranges_[address] = right;
}

void AddressMap::Carve(uint64_t begin, uint64_t end, uint32_t keeper) {
  auto first = ranges_.lower_bound(begin);
  const bool overlaps_before = first != ranges_.begin() && std::prev(first)->second.end > begin;
  if (!overlaps_before && (first == ranges_.end() || first->first >= end)) return;
  SplitAt(begin);
  SplitAt(end);
  first = ranges_.lower_bound(begin);
  const auto last = ranges_.lower_bound(end);
  for (auto it = first; it != last; ++it) {
    if (it->second.object != keeper) {
      entries_[it->second.object].resident.Take(it->first, it->second.end);
    }
  }
  ranges_.erase(first, last);
}

AddressMap::Applied AddressMap::Protect(const MappingEvent& mapping) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  SplitAt(mapping.address);
  SplitAt(end);
  const auto last = ranges_.lower_bound(end);
  for (auto it = ranges_.lower_bound(mapping.address); it != last; ++it) {
    it->second.prot = mapping.prot;
  }
  return {.is_protection = true};
}

// The record of anonymous memory covers all of the area that the kernel merged it with, so what
// anonymous memory there was keeps its owner.
AddressMap::Applied AddressMap::MapAnonymous(uint64_t boottime_ns, const MappingEvent& mapping) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  // The heap may have been merged with a BSS before it, and the kernel names its first growth nothing.
  const uint64_t heap = (exec_.brk_start + kPageBytes - 1) & ~(kPageBytes - 1);
  const bool has_heap = heap != 0 && mapping.address <= heap && heap < end;
  Applied applied;
  SplitAt(mapping.address);
  SplitAt(end);
  for (uint64_t at = mapping.address; at < end;) {
    const auto next = ranges_.lower_bound(at);
    if (next != ranges_.end() && next->first == at && !next->second.has_file) {
      next->second.prot = mapping.prot;
      at = next->second.end;
      continue;
    }
    // Up to the next anonymous range, it is new.
    uint64_t until = end;
    for (auto it = next; it != ranges_.end() && it->first < end; ++it) {
      if (it->second.has_file) continue;
      until = it->first;
      break;
    }
    MappingEvent part = mapping;
    if (has_heap) {
      if (at < heap) until = std::min(until, heap);
      part.path = at < heap ? "" : NameOf(ObjectKind::kHeap);
    }
    part.address = at;
    part.size_bytes = until - at;
    const uint32_t object = ObjectFor(boottime_ns, part);
    Carve(at, until);
    if (object != kNoIndex) {
      Range range;
      range.end = until;
      range.prot = mapping.prot;
      range.object = object;
      // Memory that grows is one segment, not one a step.
      const auto before = RangeAt(at - 1);
      if (before != ranges_.end() && !before->second.has_file && before->second.object == object &&
          before->second.prot == mapping.prot) {
        range.segment = before->second.segment;
        if (range.segment != kNoIndex) {
          entries_[object].object.segments[range.segment].size_bytes += until - at;
        }
      } else {
        range.segment = AddSegment(boottime_ns, object, part, at, until);
      }
      ranges_[at] = range;
    }
    applied.new_bytes += until - at;
    at = until;
  }
  applied.is_protection = applied.new_bytes == 0;
  return applied;
}

AddressMap::Applied AddressMap::Apply(uint64_t boottime_ns, const MappingEvent& mapping,
                                      MappingOperation operation) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  if (end <= mapping.address) return {.is_protection = true};
  const auto before = RangeAt(mapping.address);
  const bool known = before != ranges_.end();
  const bool same_file = known && before->second.has_file && mapping.file.inode != 0 &&
                         entries_[before->second.object].object.file == mapping.file;
  const bool protection =
      operation == MappingOperation::kUnspecified
          ? same_file && IsProtection(mapping, (before->second.prot & PROT_WRITE) != 0)
          : operation == MappingOperation::kMprotect && known;
  if (protection) return Protect(mapping);
  if (mapping.file.inode == 0) return MapAnonymous(boottime_ns, mapping);
  const uint32_t object = ObjectFor(boottime_ns, mapping);
  Applied applied;
  applied.new_bytes = mapping.size_bytes;
  int covered = 0;
  for (auto it = known ? before : ranges_.lower_bound(mapping.address);
       it != ranges_.end() && it->first < end; ++it) {
    if (it->second.object == object && it->second.has_file) {
      applied.new_bytes -= std::min(applied.new_bytes, std::min(end, it->second.end) -
                                                           std::max(mapping.address, it->first));
      covered += it->first >= mapping.address && it->second.end <= end ? 1 : 0;
    }
  }
  applied.mapped_again = covered > 1;
  Carve(mapping.address, end, object);
  if (object == kNoIndex) return applied;
  Range range;
  range.end = end;
  range.file_offset = mapping.file_offset;
  range.prot = mapping.prot;
  range.has_file = true;
  range.is_private = (mapping.flags & MAP_PRIVATE) != 0 || (mapping.flags & MAP_SHARED) == 0;
  range.object = object;
  range.segment = AddSegment(boottime_ns, object, mapping, mapping.address, end);
  ranges_[mapping.address] = range;
  return applied;
}

void AddressMap::Unmap(uint64_t address, uint64_t size_bytes) {
  // A break may lie inside a page, which then stays.
  const uint64_t begin = EndOfPages(address, 0);
  const uint64_t end = EndOfPages(address, size_bytes);
  if (end > begin) Carve(begin, end);
}

void AddressMap::Move(uint64_t old_address, uint64_t old_bytes, uint64_t address,
                      uint64_t size_bytes) {
  const auto at = RangeAt(old_address);
  const uint64_t end = EndOfPages(address, size_bytes);
  if (at == ranges_.end() || end <= address) {
    Unmap(old_address, old_bytes);
    return;
  }
  Range moved = at->second;
  moved.file_offset += old_address - at->first;
  moved.end = end;
  PageSet& resident = entries_[moved.object].resident;
  const auto pages = resident.Take(old_address, EndOfPages(old_address, old_bytes));
  Unmap(old_address, old_bytes);
  Carve(address, end);
  ranges_[address] = moved;
  for (const auto& [from, until] : pages) {
    const uint64_t to = address + (from - old_address);
    if (to < end) resident.Add(to, std::min(end, to + (until - from)));
  }
}

AddressMap::Ranges::iterator AddressMap::StackRangeAt(uint64_t boottime_ns, uint64_t address) {
  const bool in_stack = exec_.stack_start != 0 && address + kStackBytes > exec_.stack_start &&
                        address < exec_.stack_start + kStackTopBytes;
  if (!in_stack) return ranges_.end();
  // From here to the stack already seen, or to its top.
  const uint64_t begin = address & ~(kPageBytes - 1);
  uint64_t end = begin + kPageBytes;
  const auto next = ranges_.upper_bound(begin);
  if (next != ranges_.end() && next->first > end &&
      entries_[next->second.object].object.kind == ObjectKind::kStack) {
    end = next->first;
  }
  MappingEvent mapping;
  mapping.address = begin;
  mapping.size_bytes = end - begin;
  mapping.prot = PROT_READ | PROT_WRITE;
  mapping.path = NameOf(ObjectKind::kStack);
  const uint32_t object = ObjectFor(boottime_ns, mapping);
  if (object == kNoIndex) return ranges_.end();
  auto& segments = entries_[object].object.segments;
  Range range;
  range.end = end;
  range.prot = mapping.prot;
  range.object = object;
  if (segments.empty()) {
    range.segment = AddSegment(boottime_ns, object, mapping, begin, end);
  } else {
    Segment& stack = segments.back();
    range.segment = static_cast<uint32_t>(segments.size() - 1);
    const uint64_t top = std::max(stack.address + stack.size_bytes, end);
    stack.address = std::min(stack.address, begin);
    stack.size_bytes = top - stack.address;
  }
  return ranges_.insert_or_assign(begin, range).first;
}

void AddressMap::MarkResident(const Ranges::iterator& range, const FaultEvent& fault) {
  const uint64_t page = fault.address & ~(kPageBytes - 1);
  uint64_t begin = page;
  uint64_t end = page + kPageBytes;
  if (fault.around_pages != 0 && range->second.has_file) {
    const uint64_t own = (range->second.file_offset + (page - range->first)) / kPageBytes;
    const uint64_t first = fault.around_first_page;
    const uint64_t last = first + fault.around_pages;
    // The window holds the fault; anything else belongs to another file of the same task.
    if (first <= own && own < last && (own - first) * kPageBytes <= page) {
      begin = std::max(page - (own - first) * kPageBytes, range->first);
      end = std::min(page + (last - own) * kPageBytes, range->second.end);
    }
  }
  entries_[range->second.object].resident.Add(begin, end);
}

uint64_t AddressMap::ResidentPages(uint32_t object) const {
  uint64_t bytes = 0;
  for (const auto& [start, range] : ranges_) {
    if (range.object == object) bytes += entries_[object].resident.BytesIn(start, range.end);
  }
  return bytes / kPageBytes;
}

void AddressMap::ChargeSegment(const FaultEvent& fault, uint64_t latency_ns, bool latency_known,
                               Segment* segment) {
  const uint64_t major = fault.major ? 1 : 0;
  ++(fault.major ? segment->major_faults : segment->minor_faults);
  if (latency_known) segment->fault_ns = segment->fault_ns.value_or(0) + latency_ns;
  if (!fault.access_known) return;
  if (fault.instruction_fetch) {
    ++segment->fetch_faults;
    segment->major_fetch_faults += major;
  } else if (fault.write) {
    ++segment->write_faults;
    segment->major_write_faults += major;
  } else {
    ++segment->read_faults;
    segment->major_read_faults += major;
  }
}

uint32_t AddressMap::Charge(uint64_t boottime_ns, const FaultEvent& fault, uint64_t latency_ns,
                            bool latency_known) {
  auto range = RangeAt(fault.address);
  if (range == ranges_.end()) range = StackRangeAt(boottime_ns, fault.address);
  if (range == ranges_.end()) return kNoIndex;
  const uint32_t object = range->second.object;
  Entry& entry = entries_[object];
  const bool copies = range->second.has_file && range->second.is_private;
  entry.writes_unknown |= copies && !fault.access_known;
  ++(fault.major ? entry.object.major_faults : entry.object.minor_faults);
  if (latency_known) entry.object.fault_ns = entry.object.fault_ns.value_or(0) + latency_ns;
  if (range->second.segment != kNoIndex) {
    ChargeSegment(fault, latency_ns, latency_known,
                  &entry.object.segments[range->second.segment]);
  }
  const auto [at, first] = pages_.try_emplace({object, fault.address / kPageBytes});
  Page& page = at->second;
  if (first) {
    page.segment = range->second.segment;
    page.first_boottime_ns = boottime_ns;
    page.touch_order = ++touches_;
    const uint64_t begin = fault.address & ~(kPageBytes - 1);
    page.file_offset =
        range->second.has_file ? range->second.file_offset + (begin - range->first) : 0;
  }
  ++(fault.major ? page.major_faults : page.minor_faults);
  const bool write = fault.access_known && fault.write;
  page.written |= write;
  page.fetched |= fault.access_known && fault.instruction_fetch;
  page.dirtied |= write && copies;
  if (latency_known) {
    page.fault_ns += latency_ns;
    page.fault_timed = true;
  }
  if (options_.windows_known) MarkResident(range, fault);
  return object;
}

std::vector<Timeline::Object> AddressMap::Names() const {
  std::vector<Timeline::Object> names;
  names.reserve(entries_.size());
  for (const Entry& entry : entries_) names.push_back({entry.object.path, entry.object.file});
  return names;
}

std::vector<MappedObject> AddressMap::Take(uint64_t begin_boottime_ns) {
  const auto offset = [&](uint64_t boottime_ns) -> std::optional<uint64_t> {
    if (boottime_ns < begin_boottime_ns) return std::nullopt;
    return boottime_ns - begin_boottime_ns;
  };
  for (const auto& [start, range] : ranges_) {
    MappedObject& object = entries_[range.object].object;
    // How far the stack reaches is not recorded.
    if (object.kind == ObjectKind::kStack) continue;
    object.mapped_bytes = object.mapped_bytes.value_or(0) + (range.end - start);
  }
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    MappedObject& object = entry.object;
    object.pages_touched = 0;
    // Nothing of it is mapped any longer.
    if (!object.mapped_bytes && object.kind != ObjectKind::kStack) object.mapped_bytes = 0;
    object.map_offset_ns = offset(entry.mapped_at_ns);
    if (object.mapped_bytes && !object.huge_pages) {
      object.pages_mapped = *object.mapped_bytes / kPageBytes;
    }
    if (object.file.inode != 0 && !entry.writes_unknown) object.pages_dirtied = 0;
    if (options_.windows_known) object.pages_resident = ResidentPages(i);
    for (size_t s = 0; s < object.segments.size(); ++s) {
      object.segments[s].pages_touched = 0;
      object.segments[s].map_offset_ns = offset(entry.origins[s].mapped_at_ns);
      object.segments[s].pages_dirtied = object.pages_dirtied;
    }
  }
  std::vector<const Pages::value_type*> by_touch;
  by_touch.reserve(pages_.size());
  for (const Pages::value_type& touched : pages_) {
    const auto& [key, page] = touched;
    MappedObject& object = entries_[key.first].object;
    Segment beyond_the_bound;
    Segment& segment =
        page.segment == kNoIndex ? beyond_the_bound : object.segments[page.segment];
    const bool dirtied = page.dirtied && object.pages_dirtied;
    object.pages_touched = *object.pages_touched + 1;
    segment.pages_touched = segment.pages_touched.value_or(0) + 1;
    if (dirtied) {
      object.pages_dirtied = *object.pages_dirtied + 1;
      segment.pages_dirtied = segment.pages_dirtied.value_or(0) + 1;
    }
    by_touch.push_back(&touched);
  }
  std::sort(by_touch.begin(), by_touch.end(), [](const auto* a, const auto* b) {
    return a->second.touch_order < b->second.touch_order;
  });
  size_t listed = 0;
  for (const Pages::value_type* by_order : by_touch) {
    const auto& [key, page] = *by_order;
    MappedObject& object = entries_[key.first].object;
    const std::optional<uint64_t> touched = offset(page.first_boottime_ns);
    if (!object.first_touch_offset_ns) object.first_touch_offset_ns = touched;
    if (options_.max_pages == 0) continue;
    if (listed >= options_.max_pages) {
      ++object.pages_omitted;
      continue;
    }
    ++listed;
    PageHeat heat;
    heat.address = key.second * kPageBytes;
    heat.file_offset = page.file_offset;
    heat.minor_faults = page.minor_faults;
    heat.major_faults = page.major_faults;
    heat.written = page.written;
    heat.fetched = page.fetched;
    heat.first_touch_offset_ns = touched.value_or(0);
    heat.touch_order = page.touch_order;
    if (page.fault_timed) heat.fault_ns = page.fault_ns;
    object.pages.push_back(heat);
  }
  // They are large: their order is found before they are moved.
  std::vector<MappedObject*> ordered;
  ordered.reserve(entries_.size());
  for (Entry& entry : entries_) ordered.push_back(&entry.object);
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    const uint64_t a_ns = a->fault_ns.value_or(0);
    const uint64_t b_ns = b->fault_ns.value_or(0);
    if (a_ns != b_ns) return a_ns > b_ns;
    return a->minor_faults + a->major_faults > b->minor_faults + b->major_faults;
  });
  std::vector<MappedObject> objects;
  objects.reserve(ordered.size());
  for (MappedObject* object : ordered) objects.push_back(std::move(*object));
  return objects;
}

}  // namespace startscope
