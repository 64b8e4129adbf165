// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Test helper: mappings and faults for an AddressMap, and what it made of them.

#ifndef STARTSCOPE_TESTS_UNIT_MODEL_ADDRESS_MAP_TESTING_H_
#define STARTSCOPE_TESTS_UNIT_MODEL_ADDRESS_MAP_TESTING_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/model/address_map.h"

namespace startscope {

inline constexpr uint64_t kPage = 4096;
inline constexpr FileId kProgramFile{8, 1, 100};
inline constexpr FileId kLoaderFile{8, 1, 200};
inline constexpr FileId kLibraryFile{8, 1, 300};
inline constexpr FileId kDataFile{8, 1, 400};
inline constexpr uint32_t kRead = PROT_READ;
inline constexpr uint32_t kReadWrite = PROT_READ | PROT_WRITE;
inline constexpr uint32_t kReadExec = PROT_READ | PROT_EXEC;

inline MappingEvent FileMapping(const FileId& file, uint64_t address, uint64_t pages, uint32_t prot,
                                uint64_t first_page = 0, const std::string& path = "/lib/x.so",
                                uint32_t flags = MAP_PRIVATE) {
  MappingEvent mapping;
  mapping.file = file;
  mapping.address = address;
  mapping.size_bytes = pages * kPage;
  mapping.file_offset = first_page * kPage;
  mapping.prot = prot;
  mapping.flags = flags;
  mapping.path = path;
  return mapping;
}

inline MappingEvent MemoryMapping(uint64_t address, uint64_t pages,
                                  const std::string& path = "//anon", uint32_t prot = kReadWrite) {
  MappingEvent mapping;
  mapping.address = address;
  mapping.size_bytes = pages * kPage;
  mapping.prot = prot;
  mapping.flags = MAP_PRIVATE;
  mapping.path = path;
  return mapping;
}

enum class Access { kRead, kWrite, kFetch, kUnknown };

inline FaultEvent FaultAt(uint64_t address, Access access = Access::kRead, bool major = false) {
  FaultEvent fault;
  fault.address = address;
  fault.completed = true;
  fault.major = major;
  fault.access_known = access != Access::kUnknown;
  fault.write = access == Access::kWrite;
  fault.instruction_fetch = access == Access::kFetch;
  return fault;
}

class AddressMapTest : public ::testing::Test {
 protected:
  AddressMapTest() : map_(exec_, Everything()) {
    exec_.stack_start = 0x7ffd00001000;
    exec_.brk_start = 0x600000;
  }

  static AddressMap::Options Everything() {
    return {.executable = kProgramFile,
            .loader = kLoaderFile,
            .max_objects = 16,
            .max_pages = 1024,
            .windows_known = true};
  }

  AddressMap::Applied Map(const MappingEvent& mapping,
                          MappingOperation operation = MappingOperation::kMmap) {
    return map_.Apply(now_ += 10, mapping, operation);
  }

  uint32_t Fault(uint64_t address, Access access = Access::kRead, bool major = false,
                 uint64_t latency_ns = 7) {
    return map_.Charge(now_ += 10, FaultAt(address, access, major), latency_ns, true);
  }

  // Path of what lies at an address now; empty: nothing.
  std::string PathAt(uint64_t address) {
    const AddressMap::Place place = map_.Find(address);
    return place.object == kNoIndex ? "" : map_.Names()[place.object].path;
  }

  // The only object of a kind; fails when there is none or more than one.
  static const MappedObject& Only(const std::vector<MappedObject>& objects, ObjectKind kind) {
    static const MappedObject nothing;
    const MappedObject* found = &nothing;
    int count = 0;
    for (const MappedObject& object : objects) {
      if (object.kind != kind) continue;
      found = &object;
      ++count;
    }
    EXPECT_EQ(count, 1) << "objects of kind " << static_cast<int>(kind);
    return *found;
  }

  // Within each object, segments and listed pages say no more and no less than the object.
  static void ExpectObjectsAddUp(const std::vector<MappedObject>& objects) {
    for (const MappedObject& object : objects) {
      uint64_t minor = 0, major = 0, touched = 0, ns = 0, listed = 0;
      for (const Segment& segment : object.segments) {
        minor += segment.minor_faults;
        major += segment.major_faults;
        touched += segment.pages_touched.value_or(0);
        ns += segment.fault_ns.value_or(0);
        EXPECT_LE(segment.major_read_faults, segment.read_faults);
        EXPECT_LE(segment.major_write_faults, segment.write_faults);
        EXPECT_LE(segment.major_fetch_faults, segment.fetch_faults);
        EXPECT_LE(segment.read_faults + segment.write_faults + segment.fetch_faults,
                  segment.minor_faults + segment.major_faults);
      }
      for (const PageHeat& page : object.pages) listed += page.minor_faults + page.major_faults;
      EXPECT_EQ(minor, object.minor_faults) << object.path;
      EXPECT_EQ(major, object.major_faults) << object.path;
      EXPECT_EQ(touched, object.pages_touched) << object.path;
      EXPECT_EQ(ns, object.fault_ns.value_or(0)) << object.path;
      EXPECT_LE(object.pages_dirtied.value_or(0), *object.pages_touched) << object.path;
      if (object.pages_omitted != 0) continue;
      EXPECT_EQ(listed, minor + major) << object.path;
    }
  }

  ExecEvent exec_;
  AddressMap map_;
  uint64_t now_ = 1000;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_MODEL_ADDRESS_MAP_TESTING_H_
