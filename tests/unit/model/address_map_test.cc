// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Which object, segment and page a fault is charged to, and what is told of each.

#include "daemon/model/address_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/address_map_testing.h"

namespace startscope {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kLib = 0x7f0000000000;

TEST_F(AddressMapTest, ChargesObjectAndSegment) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadExec));
  Map(FileMapping(kLibraryFile, kLib + 4 * kPage, 2, kReadWrite, 4));
  const uint32_t object = Fault(kLib + 10, Access::kFetch);
  EXPECT_EQ(Fault(kLib + 4 * kPage, Access::kWrite), object);
  EXPECT_EQ(Fault(kLib + 5 * kPage + 4095, Access::kRead, /*major=*/true), object);
  const auto objects = map_.Take(0);
  const MappedObject& library = Only(objects, ObjectKind::kLibrary);
  EXPECT_EQ(library.minor_faults, 2u);
  EXPECT_EQ(library.major_faults, 1u);
  EXPECT_EQ(library.fault_ns, 21u);
  ASSERT_EQ(library.segments.size(), 2u);
  EXPECT_EQ(library.segments[0].minor_faults, 1u);
  EXPECT_EQ(library.segments[0].major_faults, 0u);
  EXPECT_EQ(library.segments[0].fault_ns, 7u);
  EXPECT_EQ(library.segments[1].minor_faults, 1u);
  EXPECT_EQ(library.segments[1].major_faults, 1u);
  EXPECT_EQ(library.segments[1].file_offset, 4 * kPage);
  ExpectObjectsAddUp(objects);
}

TEST_F(AddressMapTest, ARangeHoldsItsFirstByteAndNotTheOneBehindItsLast) {
  Map(FileMapping(kLibraryFile, kLib, 2, kReadExec));
  EXPECT_EQ(Fault(kLib - 1), kNoIndex);
  EXPECT_EQ(Fault(kLib + 2 * kPage), kNoIndex);
  EXPECT_NE(Fault(kLib), kNoIndex);
  EXPECT_NE(Fault(kLib + 2 * kPage - 1), kNoIndex);
  EXPECT_EQ(map_.Take(0)[0].minor_faults, 2u);
}

TEST_F(AddressMapTest, SplitsFaultsByAccessAndMajorsOfEach) {
  Map(FileMapping(kProgramFile, 0x400000, 8, kReadExec, 0, "/bin/p"));
  Fault(0x400000, Access::kRead);
  Fault(0x401000, Access::kRead, true);
  Fault(0x402000, Access::kWrite);
  Fault(0x402000, Access::kWrite, true);
  Fault(0x402000, Access::kWrite, true);
  Fault(0x403000, Access::kFetch, true);
  Fault(0x404000, Access::kUnknown);
  const auto objects = map_.Take(0);
  const Segment& segment = Only(objects, ObjectKind::kExecutable).segments[0];
  EXPECT_EQ(segment.read_faults, 2u);
  EXPECT_EQ(segment.major_read_faults, 1u);
  EXPECT_EQ(segment.write_faults, 3u);
  EXPECT_EQ(segment.major_write_faults, 2u);
  EXPECT_EQ(segment.fetch_faults, 1u);
  EXPECT_EQ(segment.major_fetch_faults, 1u);
  EXPECT_EQ(segment.minor_faults, 3u);  // the one of unknown access too
  EXPECT_EQ(segment.major_faults, 4u);
  ExpectObjectsAddUp(objects);
}

TEST_F(AddressMapTest, AFaultWithoutLatencyLeavesTimeUnknown) {
  Map(FileMapping(kProgramFile, 0x400000, 8, kReadExec));
  map_.Charge(++now_, FaultAt(0x400000), 99, /*latency_known=*/false);
  const auto objects = map_.Take(0);
  EXPECT_FALSE(objects[0].fault_ns);
  EXPECT_FALSE(objects[0].segments[0].fault_ns);
  EXPECT_FALSE(objects[0].pages[0].fault_ns);
  EXPECT_EQ(objects[0].minor_faults, 1u);
}

TEST_F(AddressMapTest, EachPageIsTouchedOnce) {
  Map(FileMapping(kLibraryFile, kLib, 4, kRead));
  Fault(kLib + kPage + 8);
  Fault(kLib + kPage + 4000);
  Fault(kLib + kPage);
  Fault(kLib + 3 * kPage);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_touched, 2u);
  EXPECT_EQ(objects[0].segments[0].pages_touched, 2u);
  EXPECT_EQ(objects[0].minor_faults, 4u);
  EXPECT_EQ(objects[0].pages[0].minor_faults, 3u);
}

TEST_F(AddressMapTest, PagesAreListedInOrderOfFirstTouchWithTheirHeat) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadWrite, 16));
  Fault(kLib + 2 * kPage + 5, Access::kFetch, true, 40);
  Fault(kLib + 1, Access::kRead, false, 2);
  Fault(kLib + 2 * kPage, Access::kWrite, false, 3);
  const auto objects = map_.Take(1000);
  ASSERT_EQ(objects[0].pages.size(), 2u);
  const PageHeat& first = objects[0].pages[0];
  EXPECT_EQ(first.address, kLib + 2 * kPage);
  EXPECT_EQ(first.file_offset, 18 * kPage);
  EXPECT_EQ(first.major_faults, 1u);
  EXPECT_EQ(first.minor_faults, 1u);
  EXPECT_TRUE(first.fetched);
  EXPECT_TRUE(first.written);
  EXPECT_EQ(first.fault_ns, 43u);
  EXPECT_EQ(first.first_touch_offset_ns, 20u);
  const PageHeat& second = objects[0].pages[1];
  EXPECT_EQ(second.address, kLib);
  EXPECT_FALSE(second.written);
  EXPECT_FALSE(second.fetched);
  EXPECT_EQ(second.first_touch_offset_ns, 30u);
  EXPECT_LT(first.touch_order, second.touch_order);
  EXPECT_EQ(objects[0].first_touch_offset_ns, 20u);
}

TEST_F(AddressMapTest, PagesBeyondTheBoundAreCountedNotListed) {
  AddressMap::Options options = Everything();
  options.max_pages = 3;
  AddressMap map(exec_, options);
  map.Apply(1, FileMapping(kLibraryFile, kLib, 8, kRead), MappingOperation::kMmap);
  map.Apply(1, MemoryMapping(0x10000, 8), MappingOperation::kMmap);
  for (uint64_t i = 0; i < 4; ++i) map.Charge(2, FaultAt(kLib + i * kPage), 0, false);
  for (uint64_t i = 0; i < 4; ++i) map.Charge(2, FaultAt(0x10000 + i * kPage), 0, false);
  size_t listed = 0;
  uint64_t omitted = 0;
  uint64_t touched = 0;
  for (const MappedObject& object : map.Take(0)) {
    listed += object.pages.size();
    omitted += object.pages_omitted;
    touched += *object.pages_touched;
  }
  EXPECT_EQ(listed, 3u);
  EXPECT_EQ(omitted, 5u);
  EXPECT_EQ(touched, 8u);
}

TEST_F(AddressMapTest, WritesToPrivateFilePagesDirtyEachOnce) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadWrite));
  Fault(kLib, Access::kWrite);
  Fault(kLib, Access::kWrite);
  Fault(kLib + kPage, Access::kRead);  // read first, copied by the write
  Fault(kLib + kPage, Access::kWrite);
  Fault(kLib + 2 * kPage, Access::kRead);  // only read
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_dirtied, 2u);
  EXPECT_EQ(objects[0].segments[0].pages_dirtied, 2u);
  EXPECT_EQ(objects[0].pages_touched, 3u);
}

TEST_F(AddressMapTest, WritesToSharedFilesDirtyNothing) {
  Map(FileMapping(kDataFile, kLib, 4, kReadWrite, 0, "/dev/shm/x", MAP_SHARED));
  Fault(kLib, Access::kWrite);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_dirtied, 0u);
  EXPECT_TRUE(objects[0].pages[0].written);
}

TEST_F(AddressMapTest, AnonymousMemoryHasNoDirtyPagesToTell) {
  Map(MemoryMapping(0x10000, 4));
  Fault(0x10000, Access::kWrite);
  const auto objects = map_.Take(0);
  EXPECT_FALSE(objects[0].pages_dirtied);
  EXPECT_TRUE(objects[0].pages[0].written);
}

TEST_F(AddressMapTest, BssOfALibraryIsItsOwnAndNotDirtied) {
  Map(FileMapping(kLibraryFile, kLib, 2, kReadExec));
  Map(FileMapping(kLibraryFile, kLib + 2 * kPage, 1, kReadWrite, 2));
  Map(MemoryMapping(kLib + 3 * kPage, 2));
  const uint32_t object = Fault(kLib + 4 * kPage, Access::kWrite);
  EXPECT_EQ(object, map_.Find(kLib).object);
  Fault(kLib + 2 * kPage, Access::kWrite);
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].pages_dirtied, 1u);
  EXPECT_EQ(objects[0].mapped_bytes, 5 * kPage);
  ASSERT_EQ(objects[0].segments.size(), 3u);
  EXPECT_EQ(objects[0].segments[2].file_offset, 0u);
  EXPECT_EQ(objects[0].segments[2].write_faults, 1u);
  ExpectObjectsAddUp(objects);
}

TEST_F(AddressMapTest, MemoryBehindReadOnlyCodeIsNotItsBss) {
  Map(FileMapping(kLibraryFile, kLib, 2, kReadExec));
  Map(MemoryMapping(kLib + 2 * kPage, 1));
  EXPECT_EQ(PathAt(kLib + 2 * kPage), "[anonymous]");
}

TEST_F(AddressMapTest, MemoryBehindAPlainDataFileIsNotItsBss) {
  Map(FileMapping(kDataFile, kLib, 2, kReadWrite, 0, "/data"));
  Map(MemoryMapping(kLib + 2 * kPage, 1));
  EXPECT_EQ(PathAt(kLib + 2 * kPage), "[anonymous]");
}

TEST_F(AddressMapTest, WithoutAccessDirtyPagesOfThatObjectAreUnknown) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadWrite));
  Map(FileMapping(kDataFile, kLib + 16 * kPage, 4, kReadWrite, 0, "/data"));
  Fault(kLib, Access::kUnknown);
  Fault(kLib + kPage, Access::kWrite);
  Fault(kLib + 16 * kPage, Access::kWrite);
  const auto objects = map_.Take(0);
  for (const MappedObject& object : objects) {
    if (object.file == kLibraryFile) {
      EXPECT_FALSE(object.pages_dirtied);
      EXPECT_FALSE(object.segments[0].pages_dirtied);
    } else {
      EXPECT_EQ(object.pages_dirtied, 1u);
    }
  }
}

TEST_F(AddressMapTest, KindsOfObjects) {
  Map(FileMapping(kProgramFile, 0x400000, 2, kReadExec, 0, "/bin/p"));
  Map(FileMapping(kLoaderFile, kLib, 2, kReadExec, 0, "/lib/ld.so"));
  Map(FileMapping(kLibraryFile, kLib + 16 * kPage, 2, kReadExec));
  Map(FileMapping(kDataFile, kLib + 32 * kPage, 2, kRead, 0, "/etc/ld.so.cache"));
  Map(MemoryMapping(kLib + 48 * kPage, 2));
  Map(MemoryMapping(kLib + 64 * kPage, 2, "[heap]"));
  Map(MemoryMapping(kLib + 80 * kPage, 2, "[stack]"));
  Map(MemoryMapping(kLib + 96 * kPage, 2, "[vdso]", kReadExec));
  Map(MemoryMapping(kLib + 98 * kPage, 2, "[vvar]", kRead));
  const auto objects = map_.Take(0);
  EXPECT_EQ(Only(objects, ObjectKind::kExecutable).path, "/bin/p");
  EXPECT_EQ(Only(objects, ObjectKind::kLoader).path, "/lib/ld.so");
  EXPECT_EQ(Only(objects, ObjectKind::kLibrary).path, "/lib/x.so");
  EXPECT_EQ(Only(objects, ObjectKind::kFile).path, "/etc/ld.so.cache");
  EXPECT_EQ(Only(objects, ObjectKind::kAnonymous).path, "[anonymous]");
  EXPECT_EQ(Only(objects, ObjectKind::kHeap).path, "[heap]");
  EXPECT_EQ(Only(objects, ObjectKind::kStack).path, "[stack]");
  EXPECT_EQ(Only(objects, ObjectKind::kVdso).mapped_bytes, 4 * kPage);
  EXPECT_FALSE(Only(objects, ObjectKind::kStack).mapped_bytes);
}

TEST_F(AddressMapTest, AFileBecomesALibraryWhenItsCodeIsMapped) {
  Map(FileMapping(kLibraryFile, kLib, 8, kRead));
  Map(FileMapping(kLibraryFile, kLib + kPage, 4, kReadExec, 1));
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].kind, ObjectKind::kLibrary);
  EXPECT_EQ(objects[0].mapped_bytes, 8 * kPage);
  EXPECT_EQ(objects[0].load_address, kLib);
}

TEST_F(AddressMapTest, ADeletedFileIsToldByItsName) {
  Map(FileMapping(kLibraryFile, kLib, 1, kReadExec, 0, "/tmp/gone.so (deleted)"));
  Map(FileMapping(kDataFile, kLib + 16 * kPage, 1, kRead, 0, " (deleted)"));
  const auto objects = map_.Take(0);
  const MappedObject& library = Only(objects, ObjectKind::kLibrary);
  EXPECT_EQ(library.path, "/tmp/gone.so");
  EXPECT_TRUE(library.deleted);
  EXPECT_EQ(Only(objects, ObjectKind::kFile).path, " (deleted)");  // nothing else is left of it
}

TEST_F(AddressMapTest, OfHugePagesTheNumberIsNotTold) {
  constexpr uint32_t kMapHugetlb = 0x40000;
  Map(FileMapping(kDataFile, 0x40000000, 512, kReadWrite, 0, "/anon_hugepage (deleted)",
                  MAP_PRIVATE | kMapHugetlb));
  Fault(0x40000000, Access::kWrite);
  const auto objects = map_.Take(0);
  EXPECT_TRUE(objects[0].huge_pages);
  EXPECT_FALSE(objects[0].pages_mapped);
  EXPECT_EQ(objects[0].mapped_bytes, 512 * kPage);
}

TEST_F(AddressMapTest, StackGrowsBelowItsStart) {
  const uint64_t top = exec_.stack_start + kPage;
  const uint32_t object = Fault(exec_.stack_start - 1, Access::kWrite);
  ASSERT_NE(object, kNoIndex);
  EXPECT_EQ(Fault(exec_.stack_start - 40 * kPage, Access::kWrite), object);
  EXPECT_EQ(Fault(exec_.stack_start - 20 * kPage, Access::kWrite), object);  // in between
  EXPECT_EQ(Fault(exec_.stack_start + 8, Access::kRead), object);
  const auto objects = map_.Take(0);
  const MappedObject& stack = Only(objects, ObjectKind::kStack);
  EXPECT_EQ(stack.minor_faults, 4u);
  EXPECT_EQ(stack.pages_touched, 4u);
  ASSERT_EQ(stack.segments.size(), 1u);
  EXPECT_EQ(stack.segments[0].address, exec_.stack_start - 40 * kPage);
  EXPECT_EQ(stack.segments[0].address + stack.segments[0].size_bytes, top);
  EXPECT_FALSE(stack.mapped_bytes);
  ExpectObjectsAddUp(objects);
}

TEST_F(AddressMapTest, FarFromTheStackThereIsNoStack) {
  EXPECT_EQ(Fault(exec_.stack_start - (9u << 20)), kNoIndex);
  EXPECT_EQ(Fault(exec_.stack_start + (1u << 20)), kNoIndex);
  EXPECT_EQ(Fault(UINT64_MAX), kNoIndex);
  exec_.stack_start = 0;
  EXPECT_EQ(Fault(100), kNoIndex);
  EXPECT_TRUE(map_.Take(0).empty());
}

TEST_F(AddressMapTest, AMappingInReachOfTheStackKeepsItsFaults) {
  const uint64_t address = exec_.stack_start - 100 * kPage;
  Map(FileMapping(kLibraryFile, address, 2, kReadExec));
  EXPECT_EQ(Fault(address), map_.Find(address).object);
  Fault(address - kPage, Access::kWrite);  // below it: stack, only up to it
  EXPECT_EQ(PathAt(address), "/lib/x.so");
  EXPECT_EQ(PathAt(address - 1), "[stack]");
}

TEST_F(AddressMapTest, ObjectsBeyondTheBoundAreCountedAndNoFaultIsLost) {
  AddressMap::Options options = Everything();
  options.max_objects = 2;
  AddressMap map(exec_, options);
  for (uint64_t i = 0; i < 5; ++i) {
    map.Apply(1, FileMapping({8, 1, 500 + i}, kLib + i * 16 * kPage, 2, kReadExec),
              MappingOperation::kMmap);
  }
  EXPECT_EQ(map.objects_not_kept(), 3u);
  EXPECT_NE(map.Charge(2, FaultAt(kLib + 16 * kPage), 0, false), kNoIndex);
  EXPECT_EQ(map.Charge(2, FaultAt(kLib + 32 * kPage), 0, false), kNoIndex);
  // A known object is known beyond the bound, and one that is not kept hides what lay below it.
  map.Apply(3, FileMapping({8, 1, 501}, kLib + 800 * kPage, 2, kReadExec), MappingOperation::kMmap);
  EXPECT_NE(map.Find(kLib + 800 * kPage).object, kNoIndex);
  map.Apply(4, FileMapping({8, 1, 509}, kLib, 2, kReadExec), MappingOperation::kMmap);
  EXPECT_EQ(map.Find(kLib).object, kNoIndex);
  EXPECT_EQ(map.Take(0).size(), 2u);
}

TEST_F(AddressMapTest, AnonymousMemoryBeyondTheBoundIsCountedToo) {
  AddressMap::Options options = Everything();
  options.max_objects = 1;
  AddressMap map(exec_, options);
  map.Apply(1, FileMapping(kLibraryFile, kLib, 2, kReadExec), MappingOperation::kMmap);
  const auto applied = map.Apply(2, MemoryMapping(0x10000, 2), MappingOperation::kMmap);
  EXPECT_EQ(applied.new_bytes, 2 * kPage);
  EXPECT_EQ(map.objects_not_kept(), 1u);
  EXPECT_EQ(map.Charge(3, FaultAt(0x10000), 0, false), kNoIndex);
  EXPECT_EQ(map.Charge(4, FaultAt(exec_.stack_start), 0, false), kNoIndex);
}

TEST_F(AddressMapTest, TheCostliestObjectComesFirst) {
  Map(FileMapping(kProgramFile, 0x400000, 2, kReadExec, 0, "/a"));
  Map(FileMapping(kLibraryFile, kLib, 2, kReadExec, 0, "/b"));
  Map(FileMapping(kDataFile, kLib + 16 * kPage, 2, kRead, 0, "/c"));
  Fault(0x400000, Access::kRead, false, 5);
  Fault(kLib, Access::kRead, false, 50);
  Fault(kLib + 16 * kPage, Access::kRead, false, 2);
  Fault(kLib + 16 * kPage, Access::kRead, false, 3);
  std::vector<std::string> paths;
  for (const MappedObject& object : map_.Take(0)) paths.push_back(object.path);
  EXPECT_THAT(paths, ElementsAre("/b", "/c", "/a"));  // as costly as /a, with more faults
}

TEST_F(AddressMapTest, WhatWasMappedBeforeTheBeginHasNoOffset) {
  Map(FileMapping(kProgramFile, 0x400000, 2, kReadExec));
  const uint64_t begin = now_ + 5;
  Map(FileMapping(kProgramFile, 0x402000, 2, kReadWrite, 2));
  const auto objects = map_.Take(begin);
  EXPECT_FALSE(objects[0].map_offset_ns);
  EXPECT_FALSE(objects[0].segments[0].map_offset_ns);
  EXPECT_EQ(objects[0].segments[1].map_offset_ns, 5u);
}

}  // namespace
}  // namespace startscope
