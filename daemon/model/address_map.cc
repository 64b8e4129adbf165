// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/address_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "daemon/model/boundary_finder.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
// The stack grows down from where the kernel put the arguments; its mapping is recorded only once,
// before the kernel moves it to its place.
constexpr uint64_t kStackBytes = 8u << 20;
constexpr uint64_t kStackTopBytes = 256u << 10;
constexpr char kDeleted[] = " (deleted)";
// Room for more than this is given back.
constexpr size_t kKeptObjects = 64;
constexpr size_t kKeptSegments = 32;
constexpr size_t kKeptPages = 1024;
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

// Empties a list, and gives back room that few processes need.
template <typename T>
void ClearAndKeep(size_t most, std::vector<T>* list) {
  list->clear();
  if (list->capacity() > most) list->shrink_to_fit();
}

std::optional<uint64_t> OffsetOf(uint64_t boottime_ns, uint64_t begin_boottime_ns) {
  if (boottime_ns < begin_boottime_ns) return std::nullopt;
  return boottime_ns - begin_boottime_ns;
}

}  // namespace

void AddressMap::Begin(const ExecEvent& exec, const Options& options) {
  exec_ = &exec;
  options_ = options;
  options_.max_objects = std::min(options.max_objects, kMostObjects);
  ranges_.Clear();
  if (entries_.size() > kKeptObjects) ClearAndKeep(kKeptObjects, &entries_);
  entries_.reserve(std::min(kUsualObjects, options.max_objects));
  ClearAndKeep(kKeptObjects, &files_);
  ClearAndKeep(kKeptPages, &pages_);
  page_index_.Clear();
  many_segments_.clear();
  last_object_ = 0;
  segment_count_ = 0;
  objects_not_kept_ = 0;
}

MappedRange* AddressMap::RangeAt(uint64_t address) {
  const RangeTable::Place at = ranges_.FirstEndingAfter(address);
  return ranges_.IsEnd(at) || ranges_[at].start > address ? nullptr : &ranges_[at];
}

AddressMap::Place AddressMap::Find(uint64_t address) const {
  const RangeTable::Place at = ranges_.FirstEndingAfter(address);
  if (ranges_.IsEnd(at) || ranges_[at].start > address) return {};
  const MappedRange& range = ranges_[at];
  return {range.object, range.has_file ? range.file_offset + (address - range.start) : 0};
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

uint32_t AddressMap::ObjectFor(uint64_t boottime_ns, const MappingEvent& mapping, ObjectKind kind,
                               uint64_t address) {
  const bool is_file = mapping.file.inode != 0;
  // One file's segments are mapped one after the other.
  if (is_file && last_object_ < files_.size() && files_[last_object_] == mapping.file &&
      kind == entries_[last_object_].object.kind) {
    return last_object_;
  }
  for (uint32_t i = 0; i < files_.size(); ++i) {
    if (is_file ? files_[i] != mapping.file
                : files_[i].inode != 0 || entries_[i].object.kind != kind) {
      continue;
    }
    MappedObject& known = entries_[i].object;
    if (known.kind == ObjectKind::kFile && kind == ObjectKind::kLibrary) known.kind = kind;
    return last_object_ = i;
  }
  if (files_.size() >= options_.max_objects) {
    ++objects_not_kept_;
    return kNoIndex;
  }
  Entry& entry = NewEntry(mapping.file);
  entry.mapped_at_ns = boottime_ns;
  entry.object.kind = kind;
  entry.object.load_address = address;
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
  return last_object_ = static_cast<uint32_t>(files_.size() - 1);
}

AddressMap::Entry& AddressMap::NewEntry(const FileId& file) {
  if (entries_.size() == files_.size()) entries_.emplace_back();
  Entry& entry = entries_[files_.size()];
  files_.push_back(file);
  entry.object = {};
  entry.object.file = file;
  ClearAndKeep(kKeptSegments, &entry.segments);
  entry.segments.reserve(kUsualSegments);
  entry.writes_unknown = false;
  entry.resident = {};
  entry.resident_bytes = 0;
  return entry;
}

uint32_t AddressMap::FindSegment(uint32_t object, const KnownSegment::Origin& origin) const {
  const auto& known = entries_[object].segments;
  if (known.size() > kFewSegments) {
    const auto found = many_segments_.find(std::tuple_cat(std::tie(object), origin.tied()));
    return found == many_segments_.end() ? kNoIndex : found->second;
  }
  for (uint32_t i = 0; i < known.size(); ++i) {
    if (known[i].origin == origin) return i;
  }
  return kNoIndex;
}

uint32_t AddressMap::AddSegment(uint64_t boottime_ns, uint32_t object,
                                const KnownSegment::Origin& origin) {
  std::vector<KnownSegment>& segments = entries_[object].segments;
  if (const uint32_t known = FindSegment(object, origin); known != kNoIndex) return known;
  if (segment_count_ >= options_.max_segments) return kNoIndex;
  ++segment_count_;
  KnownSegment& added = segments.emplace_back();
  added.origin = origin;
  added.mapped_at_ns = boottime_ns;
  added.segment.address = origin.address;
  added.segment.size_bytes = origin.size_bytes;
  added.segment.file_offset = origin.file_offset;
  added.segment.prot = origin.prot;
  const auto index = static_cast<uint32_t>(segments.size() - 1);
  if (segments.size() > kFewSegments) {
    const bool only_now = segments.size() == kFewSegments + 1;
    for (uint32_t i = only_now ? 0 : index; i <= index; ++i) {
      many_segments_[std::tuple_cat(std::tie(object), segments[i].origin.tied())] = i;
    }
  }
  return index;
}

RangeTable::Place AddressMap::Carve(const RangeTable::Place& first, uint64_t begin, uint64_t end,
                                    uint32_t keeper) {
  RangeTable::Place at = first;
  if (ranges_.IsEnd(at) || ranges_[at].start >= end) return at;
  if (options_.windows_known) {
    for (RangeTable::Place it = at; !ranges_.IsEnd(it) && ranges_[it].start < end;
         it = ranges_.Next(it)) {
      const MappedRange& range = ranges_[it];
      if (range.object == keeper) continue;
      entries_[range.object].resident.Take(std::max(range.start, begin), std::min(range.end, end));
    }
  }
  if (MappedRange& before = ranges_[at]; before.start < begin) {
    MappedRange right = before;
    before.end = begin;
    at = ranges_.Next(at);
    if (right.end > end) {
      right.file_offset += end - right.start;
      right.start = end;
      return ranges_.Insert(at, right);
    }
  }
  at = ranges_.RemoveUntil(at, end);
  if (!ranges_.IsEnd(at) && ranges_[at].start < end) {
    MappedRange& after = ranges_[at];
    after.file_offset += end - after.start;
    after.start = end;
  }
  return at;
}

AddressMap::Applied AddressMap::Protect(const MappingEvent& mapping) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  ranges_.SplitAt(end);
  for (RangeTable::Place at = ranges_.SplitAt(mapping.address);
       !ranges_.IsEnd(at) && ranges_[at].start < end; at = ranges_.Next(at)) {
    ranges_[at].prot = mapping.prot;
  }
  return {.is_protection = true};
}

// The record of anonymous memory covers all of the area that the kernel merged it with, so what
// anonymous memory there was keeps its owner.
AddressMap::Applied AddressMap::MapAnonymous(uint64_t boottime_ns, const MappingEvent& mapping) {
  const uint64_t end = mapping.address + mapping.size_bytes;
  // The heap may have been merged with a BSS before it, and the kernel names its first growth
  // nothing.
  const uint64_t heap = (exec_->brk_start + kPageBytes - 1) & ~(kPageBytes - 1);
  const bool has_heap = heap != 0 && mapping.address <= heap && heap < end;
  const ObjectKind named = KindOf(mapping);
  Applied applied;
  ranges_.SplitAt(end);
  RangeTable::Place next = ranges_.SplitAt(mapping.address);
  for (uint64_t at = mapping.address; at < end;) {
    if (!ranges_.IsEnd(next) && ranges_[next].start == at && !ranges_[next].has_file) {
      ranges_[next].prot = mapping.prot;
      at = ranges_[next].end;
      next = ranges_.Next(next);
      continue;
    }
    // Up to the next anonymous range, it is new.
    uint64_t until = end;
    for (RangeTable::Place it = next; !ranges_.IsEnd(it) && ranges_[it].start < end;
         it = ranges_.Next(it)) {
      if (ranges_[it].has_file) continue;
      until = ranges_[it].start;
      break;
    }
    ObjectKind kind = named;
    if (has_heap) {
      if (at < heap) until = std::min(until, heap);
      kind = at < heap ? ObjectKind::kAnonymous : ObjectKind::kHeap;
    }
    const MappedRange* before = ranges_.Before(next);
    if (before != nullptr && before->end != at) before = nullptr;
    // Anonymous memory right behind an object's writable segment is that object's BSS.
    const bool is_bss = kind == ObjectKind::kAnonymous && before != nullptr && before->has_file &&
                        IsImage(entries_[before->object].object.kind) &&
                        (before->prot & PROT_WRITE) != 0;
    MappedRange range;
    range.start = at;
    range.end = until;
    range.prot = mapping.prot;
    range.object = is_bss ? before->object : ObjectFor(boottime_ns, mapping, kind, at);
    if (range.object != kNoIndex) {
      // Memory that grows is one segment, not one a step.
      if (before != nullptr && !before->has_file && before->object == range.object &&
          before->prot == mapping.prot) {
        range.segment = before->segment;
        if (range.segment != kNoIndex) {
          entries_[range.object].segments[range.segment].segment.size_bytes += until - at;
        }
      } else {
        range.segment = AddSegment(boottime_ns, range.object, {at, until - at, 0, mapping.prot});
      }
    }
    next = Carve(next, at, until);
    if (range.object != kNoIndex) next = ranges_.Next(ranges_.Insert(next, range));
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
  const RangeTable::Place first = ranges_.FirstEndingAfter(mapping.address);
  const MappedRange* before =
      ranges_.IsEnd(first) || ranges_[first].start > mapping.address ? nullptr : &ranges_[first];
  const bool same_file = before != nullptr && before->has_file && mapping.file.inode != 0 &&
                         files_[before->object] == mapping.file;
  const bool protection = operation == MappingOperation::kUnspecified
                              ? same_file && IsProtection(mapping, (before->prot & PROT_WRITE) != 0)
                              : operation == MappingOperation::kMprotect && before != nullptr;
  if (protection) return Protect(mapping);
  if (mapping.file.inode == 0) return MapAnonymous(boottime_ns, mapping);
  const uint32_t object = ObjectFor(boottime_ns, mapping, KindOf(mapping), mapping.address);
  Applied applied;
  applied.new_bytes = mapping.size_bytes;
  int covered = 0;
  for (RangeTable::Place it = first; !ranges_.IsEnd(it) && ranges_[it].start < end;
       it = ranges_.Next(it)) {
    const MappedRange& range = ranges_[it];
    if (range.object != object || !range.has_file) continue;
    applied.new_bytes -= std::min(
        applied.new_bytes, std::min(end, range.end) - std::max(mapping.address, range.start));
    covered += range.start >= mapping.address && range.end <= end ? 1 : 0;
  }
  applied.mapped_again = covered > 1;
  const RangeTable::Place next = Carve(first, mapping.address, end, object);
  if (object == kNoIndex) return applied;
  MappedRange range;
  range.start = mapping.address;
  range.end = end;
  range.file_offset = mapping.file_offset;
  range.prot = mapping.prot;
  range.has_file = true;
  range.is_private = (mapping.flags & MAP_PRIVATE) != 0 || (mapping.flags & MAP_SHARED) == 0;
  range.object = object;
  range.segment = AddSegment(boottime_ns, object,
                             {range.start, end - range.start, range.file_offset, range.prot});
  ranges_.Insert(next, range);
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
  const MappedRange* at = RangeAt(old_address);
  const uint64_t end = EndOfPages(address, size_bytes);
  if (at == nullptr || end <= address) {
    Unmap(old_address, old_bytes);
    return;
  }
  MappedRange moved = *at;
  moved.file_offset += old_address - at->start;
  moved.start = address;
  moved.end = end;
  PageSet& resident = entries_[moved.object].resident;
  const auto pages = resident.Take(old_address, EndOfPages(old_address, old_bytes));
  Unmap(old_address, old_bytes);
  ranges_.Insert(Carve(ranges_.FirstEndingAfter(address), address, end), moved);
  for (const auto& [from, until] : pages) {
    const uint64_t to = address + (from - old_address);
    if (to < end) resident.Add(to, std::min(end, to + (until - from)));
  }
}

MappedRange* AddressMap::StackRangeAt(uint64_t boottime_ns, uint64_t address) {
  const bool in_stack = exec_->stack_start != 0 && address + kStackBytes > exec_->stack_start &&
                        address < exec_->stack_start + kStackTopBytes;
  if (!in_stack) return nullptr;
  const RangeTable::Place next = ranges_.FirstEndingAfter(address);
  MappedRange range;
  range.start = address & ~(kPageBytes - 1);
  range.end = range.start + kPageBytes;
  if (const MappedRange* before = ranges_.Before(next)) {
    range.start = std::max(range.start, before->end);
  }
  if (!ranges_.IsEnd(next)) {
    // From here to the stack already seen, or to its top.
    const MappedRange& behind = ranges_[next];
    const bool is_stack = entries_[behind.object].object.kind == ObjectKind::kStack;
    if (is_stack || behind.start < range.end) range.end = behind.start;
  }
  range.prot = PROT_READ | PROT_WRITE;
  range.object = ObjectFor(boottime_ns, {}, ObjectKind::kStack, range.start);
  if (range.object == kNoIndex) return nullptr;
  auto& segments = entries_[range.object].segments;
  if (segments.empty()) {
    range.segment = AddSegment(boottime_ns, range.object,
                               {range.start, range.end - range.start, 0, range.prot});
  } else {
    Segment& stack = segments.back().segment;
    range.segment = static_cast<uint32_t>(segments.size() - 1);
    const uint64_t top = std::max(stack.address + stack.size_bytes, range.end);
    stack.address = std::min(stack.address, range.start);
    stack.size_bytes = top - stack.address;
  }
  return &ranges_[ranges_.Insert(next, range)];
}

void AddressMap::MarkResident(const MappedRange& range, const FaultEvent& fault) {
  const uint64_t page = fault.address & ~(kPageBytes - 1);
  uint64_t begin = page;
  uint64_t end = page + kPageBytes;
  if (fault.around_pages != 0 && range.has_file) {
    const uint64_t own = (range.file_offset + (page - range.start)) / kPageBytes;
    const uint64_t first = fault.around_first_page;
    const uint64_t last = first + fault.around_pages;
    // The window holds the fault; anything else belongs to another file of the same task.
    if (first <= own && own < last && (own - first) * kPageBytes <= page) {
      begin = std::max(page - (own - first) * kPageBytes, range.start);
      end = std::min(page + (last - own) * kPageBytes, range.end);
    }
  }
  entries_[range.object].resident.Add(begin, end);
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

AddressMap::Page& AddressMap::PageOf(uint32_t object, const MappedRange& range,
                                     uint64_t boottime_ns, uint64_t address) {
  const uint64_t begin = address & ~(kPageBytes - 1);
  const auto next = static_cast<uint32_t>(pages_.size());
  const uint32_t index = page_index_.FindOrAdd(begin | object, next);
  if (index != next) return pages_[index];
  Page& page = pages_.emplace_back();
  page.object = object;
  page.segment = range.segment;
  page.address = begin;
  page.file_offset = range.has_file ? range.file_offset + (begin - range.start) : 0;
  page.first_boottime_ns = boottime_ns;
  return page;
}

uint32_t AddressMap::Charge(uint64_t boottime_ns, const FaultEvent& fault, uint64_t latency_ns,
                            bool latency_known) {
  const MappedRange* range = RangeAt(fault.address);
  if (range == nullptr) range = StackRangeAt(boottime_ns, fault.address);
  if (range == nullptr) return kNoIndex;
  const uint32_t object = range->object;
  Entry& entry = entries_[object];
  const bool copies = range->has_file && range->is_private;
  entry.writes_unknown |= copies && !fault.access_known;
  ++(fault.major ? entry.object.major_faults : entry.object.minor_faults);
  if (latency_known) entry.object.fault_ns = entry.object.fault_ns.value_or(0) + latency_ns;
  if (range->segment != kNoIndex) {
    ChargeSegment(fault, latency_ns, latency_known, &entry.segments[range->segment].segment);
  }
  Page& page = PageOf(object, *range, boottime_ns, fault.address);
  ++(fault.major ? page.major_faults : page.minor_faults);
  const bool write = fault.access_known && fault.write;
  page.written |= write;
  page.fetched |= fault.access_known && fault.instruction_fetch;
  page.dirtied |= write && copies;
  if (latency_known) {
    page.fault_ns += latency_ns;
    page.fault_timed = true;
  }
  if (options_.windows_known) MarkResident(*range, fault);
  return object;
}

std::vector<Timeline::Object> AddressMap::Names() const {
  std::vector<Timeline::Object> names;
  names.reserve(objects());
  for (uint32_t i = 0; i < objects(); ++i) names.push_back({entries_[i].object.path, files_[i]});
  return names;
}

void AddressMap::CountPages(uint64_t begin_boottime_ns) {
  size_t listed = 0;
  for (size_t i = 0; i < pages_.size(); ++i) {
    const Page& page = pages_[i];
    Entry& entry = entries_[page.object];
    MappedObject& object = entry.object;
    const bool dirtied = page.dirtied && object.pages_dirtied;
    ++*object.pages_touched;
    if (dirtied) ++*object.pages_dirtied;
    if (page.segment != kNoIndex) {
      Segment& segment = entry.segments[page.segment].segment;
      ++*segment.pages_touched;
      if (dirtied) ++*segment.pages_dirtied;
    }
    const std::optional<uint64_t> touched = OffsetOf(page.first_boottime_ns, begin_boottime_ns);
    if (!object.first_touch_offset_ns) object.first_touch_offset_ns = touched;
    if (options_.max_pages == 0) continue;
    if (listed >= options_.max_pages) {
      ++object.pages_omitted;
      continue;
    }
    ++listed;
    if (object.pages.empty()) {
      const uint64_t faults = object.minor_faults + object.major_faults;
      object.pages.reserve(std::min<uint64_t>(faults, pages_.size() - i));
    }
    PageHeat& heat = object.pages.emplace_back();
    heat.address = page.address;
    heat.file_offset = page.file_offset;
    heat.minor_faults = page.minor_faults;
    heat.major_faults = page.major_faults;
    heat.written = page.written;
    heat.fetched = page.fetched;
    heat.first_touch_offset_ns = touched.value_or(0);
    heat.touch_order = i + 1;
    if (page.fault_timed) heat.fault_ns = page.fault_ns;
  }
}

std::vector<MappedObject> AddressMap::Take(uint64_t begin_boottime_ns,
                                           std::vector<uint32_t>* places) {
  for (RangeTable::Place at = ranges_.begin(); !ranges_.IsEnd(at); at = ranges_.Next(at)) {
    const MappedRange& range = ranges_[at];
    Entry& entry = entries_[range.object];
    MappedObject& object = entry.object;
    if (options_.windows_known) {
      entry.resident_bytes += entry.resident.BytesIn(range.start, range.end);
    }
    // How far the stack reaches is not recorded.
    if (object.kind == ObjectKind::kStack) continue;
    object.mapped_bytes = object.mapped_bytes.value_or(0) + (range.end - range.start);
  }
  order_.resize(objects());
  std::iota(order_.begin(), order_.end(), 0);
  for (const uint32_t i : order_) {
    Entry& entry = entries_[i];
    MappedObject& object = entry.object;
    object.pages_touched = 0;
    // Nothing of it is mapped any longer.
    if (!object.mapped_bytes && object.kind != ObjectKind::kStack) object.mapped_bytes = 0;
    object.map_offset_ns = OffsetOf(entry.mapped_at_ns, begin_boottime_ns);
    if (object.mapped_bytes && !object.huge_pages) {
      object.pages_mapped = *object.mapped_bytes / kPageBytes;
    }
    if (object.file.inode != 0 && !entry.writes_unknown) object.pages_dirtied = 0;
    if (options_.windows_known) object.pages_resident = entry.resident_bytes / kPageBytes;
    for (KnownSegment& known : entry.segments) {
      known.segment.pages_touched = 0;
      known.segment.map_offset_ns = OffsetOf(known.mapped_at_ns, begin_boottime_ns);
      known.segment.pages_dirtied = object.pages_dirtied;
    }
  }
  CountPages(begin_boottime_ns);
  // They are large: their order is found before they are moved.
  std::sort(order_.begin(), order_.end(), [this](uint32_t a, uint32_t b) {
    const MappedObject& one = entries_[a].object;
    const MappedObject& other = entries_[b].object;
    const uint64_t one_ns = one.fault_ns.value_or(0);
    const uint64_t other_ns = other.fault_ns.value_or(0);
    if (one_ns != other_ns) return one_ns > other_ns;
    const uint64_t one_faults = one.minor_faults + one.major_faults;
    const uint64_t other_faults = other.minor_faults + other.major_faults;
    return one_faults != other_faults ? one_faults > other_faults : a < b;
  });
  if (places != nullptr) places->resize(order_.size());
  std::vector<MappedObject> taken;
  taken.reserve(order_.size());
  for (const uint32_t index : order_) {
    if (places != nullptr) (*places)[index] = static_cast<uint32_t>(taken.size());
    Entry& entry = entries_[index];
    MappedObject& object = taken.emplace_back(std::move(entry.object));
    object.segments.reserve(entry.segments.size());
    for (const KnownSegment& known : entry.segments) object.segments.push_back(known.segment);
  }
  return taken;
}

}  // namespace startscope
