// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_
#define STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/model/evidence.h"
#include "daemon/model/page_index.h"
#include "daemon/model/page_set.h"
#include "daemon/model/range_table.h"
#include "daemon/model/startup.h"

namespace startscope {

// The mappings of one process as they come and go, and the faults charged to them: which object,
// which segment, which page. Feed changes and faults in order of time. Sizes that wrap around the
// address space change nothing. One thread.
class AddressMap {
 public:
  struct Options {
    FileId executable;  // of the mapping that holds the program headers
    FileId loader;      // as found by BoundaryFinder
    size_t max_objects = 1024;
    // Over all objects; faults of further ones are charged to their object only.
    size_t max_segments = 16384;
    // Pages listed with their heat, over all objects; 0: none.
    size_t max_pages = 0;
    // The fault-around windows were asked for: pages_resident can be told.
    bool windows_known = false;
  };
  AddressMap() = default;
  AddressMap(const ExecEvent& exec, const Options& options) { Begin(exec, options); }

  // Forgets what was before, and keeps the room that a usual process takes: thousands are mapped a
  // second. `exec` must outlive what is asked of it.
  void Begin(const ExecEvent& exec, const Options& options);

  struct Applied {
    bool is_protection = false;  // otherwise a mapping
    uint64_t new_bytes = 0;      // not mapped by the same object before
    // It covers several mappings of the same object, which no part of loading it does: it must have
    // been unmapped before.
    bool mapped_again = false;
  };
  // `operation` kUnspecified: to be told from the record itself.
  Applied Apply(uint64_t boottime_ns, const MappingEvent& mapping, MappingOperation operation);
  void Unmap(uint64_t address, uint64_t size_bytes);
  void Move(uint64_t old_address, uint64_t old_bytes, uint64_t address, uint64_t size_bytes);

  struct Place {
    uint32_t object = kNoIndex;  // index into objects()
    uint64_t file_offset = 0;    // 0 in memory without a file
  };
  [[nodiscard]] Place Find(uint64_t address) const;

  // kNoIndex: no object there.
  uint32_t Charge(uint64_t boottime_ns, const FaultEvent& fault, uint64_t latency_ns,
                  bool latency_known);

  // As far as it is known by now. `index` is one that Find() or Charge() gave.
  [[nodiscard]] const MappedObject& object(uint32_t index) const { return entries_[index].object; }

  [[nodiscard]] uint32_t objects() const { return static_cast<uint32_t>(files_.size()); }

  // Paths and files, in order of first mapping; indexes stay valid.
  [[nodiscard]] std::vector<Timeline::Object> Names() const;

  // The objects, costliest first; `places`, if asked for, gives where each index that Find() or
  // Charge() gave now lies among them. Call once, at the end.
  std::vector<MappedObject> Take(uint64_t begin_boottime_ns,
                                 std::vector<uint32_t>* places = nullptr);
  [[nodiscard]] uint64_t objects_not_kept() const { return objects_not_kept_; }

 private:
  static constexpr size_t kUsualObjects = 16;
  static constexpr size_t kUsualSegments = 6;
  // Numbers of pages have 52 bits; the rest is the object's.
  static constexpr size_t kMostObjects = 1 << 12;
  // A segment, and as it was when it was first mapped.
  struct KnownSegment {
    Segment segment;
    struct Origin {
      uint64_t address = 0;
      uint64_t size_bytes = 0;
      uint64_t file_offset = 0;
      uint32_t prot = 0;

      [[nodiscard]] auto tied() const { return std::tie(address, size_bytes, file_offset, prot); }
      friend bool operator==(const Origin&, const Origin&) = default;
    } origin;
    uint64_t mapped_at_ns = 0;
  };
  struct Entry {
    MappedObject object;  // without its segments
    std::vector<KnownSegment> segments;
    uint64_t mapped_at_ns = 0;
    // Of a fault on private file memory it is not known whether it wrote.
    bool writes_unknown = false;
    PageSet resident;
    uint64_t resident_bytes = 0;
  };
  struct Page {
    uint32_t object = 0;
    uint32_t segment = kNoIndex;
    uint32_t minor_faults = 0;
    uint32_t major_faults = 0;
    bool written = false;
    bool fetched = false;
    bool dirtied = false;
    bool fault_timed = false;
    uint64_t address = 0;
    uint64_t file_offset = 0;
    uint64_t first_boottime_ns = 0;
    uint64_t fault_ns = 0;
  };

  // The object that memory of this kind at `address` belongs to; kNoIndex: beyond the bound.
  uint32_t ObjectFor(uint64_t boottime_ns, const MappingEvent& mapping, ObjectKind kind,
                     uint64_t address);
  Entry& NewEntry(const FileId& file);
  [[nodiscard]] ObjectKind KindOf(const MappingEvent& mapping) const;
  // What is mapped again as it was is the segment that it was.
  uint32_t AddSegment(uint64_t boottime_ns, uint32_t object, const KnownSegment::Origin& origin);
  // Its index in the object; kNoIndex: it is none of them.
  [[nodiscard]] uint32_t FindSegment(uint32_t object, const KnownSegment::Origin& origin) const;
  Applied Protect(const MappingEvent& mapping);
  Applied MapAnonymous(uint64_t boottime_ns, const MappingEvent& mapping);
  // Removes [begin, end) from the ranges, from the first that ends behind it on, splitting what
  // overlaps. What was in memory of it is so no longer, except of `keeper`, whose ranges may only
  // have been merged. Returns the place of what follows.
  RangeTable::Place Carve(const RangeTable::Place& first, uint64_t begin, uint64_t end,
                          uint32_t keeper = kNoIndex);
  void Carve(uint64_t begin, uint64_t end) { Carve(ranges_.FirstEndingAfter(begin), begin, end); }
  // nullptr: nothing is mapped there.
  MappedRange* RangeAt(uint64_t address);
  MappedRange* StackRangeAt(uint64_t boottime_ns, uint64_t address);
  Page& PageOf(uint32_t object, const MappedRange& range, uint64_t boottime_ns, uint64_t address);
  static void ChargeSegment(const FaultEvent& fault, uint64_t latency_ns, bool latency_known,
                            Segment* segment);
  void MarkResident(const MappedRange& range, const FaultEvent& fault);
  void CountPages(uint64_t begin_boottime_ns);

  const ExecEvent* exec_ = nullptr;
  Options options_;
  RangeTable ranges_;
  std::vector<Entry> entries_;   // the first ones are in use; the others are room
  std::vector<FileId> files_;    // of those in use
  std::vector<uint32_t> order_;  // room
  std::vector<Page> pages_;      // in the order in which they were touched
  PageIndex page_index_;         // by object and page number
  // Of objects with more than a few segments: object, address, size, file offset, protection; to
  // its index in the object.
  using SegmentKey = std::tuple<uint32_t, uint64_t, uint64_t, uint64_t, uint32_t>;
  absl::flat_hash_map<SegmentKey, uint32_t> many_segments_;
  uint32_t last_object_ = 0;  // that ObjectFor() gave
  size_t segment_count_ = 0;
  uint64_t objects_not_kept_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_ADDRESS_MAP_H_
