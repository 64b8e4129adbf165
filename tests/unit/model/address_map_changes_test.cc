// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Mappings that come, go, move, split and merge, and what is known to be in memory of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "daemon/model/address_map.h"
#include "tests/unit/model/address_map_testing.h"

namespace startscope {
namespace {

constexpr uint64_t kLib = 0x7f0000000000;
constexpr uint64_t kMemory = 0x10000000;
constexpr uint64_t kLastPage = ~uint64_t{0} - kPage + 1;

TEST_F(AddressMapTest, UnmappingTheMiddleLeavesBothSides) {
  Map(FileMapping(kLibraryFile, kLib, 6, kReadExec, 10));
  map_.Unmap(kLib + 2 * kPage, 2 * kPage);
  EXPECT_NE(Fault(kLib + kPage), kNoIndex);
  EXPECT_EQ(Fault(kLib + 2 * kPage), kNoIndex);
  EXPECT_EQ(Fault(kLib + 3 * kPage + 4095), kNoIndex);
  EXPECT_NE(Fault(kLib + 4 * kPage), kNoIndex);
  EXPECT_EQ(map_.Find(kLib + 4 * kPage + 9).file_offset, 14 * kPage + 9);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].mapped_bytes, 4 * kPage);
  EXPECT_EQ(objects[0].segments.size(), 1u);
  EXPECT_EQ(objects[0].segments[0].minor_faults, 2u);
}

TEST_F(AddressMapTest, UnmappingAcrossSeveralMappingsTakesAllThatItCovers) {
  Map(FileMapping(kLibraryFile, kLib, 2, kReadExec));
  Map(FileMapping(kDataFile, kLib + 4 * kPage, 2, kRead, 0, "/data"));
  Map(MemoryMapping(kLib + 8 * kPage, 2));
  map_.Unmap(kLib + kPage, 8 * kPage);
  EXPECT_EQ(PathAt(kLib), "/lib/x.so");
  EXPECT_EQ(PathAt(kLib + kPage), "");
  EXPECT_EQ(PathAt(kLib + 4 * kPage), "");
  EXPECT_EQ(PathAt(kLib + 8 * kPage), "");
  EXPECT_EQ(PathAt(kLib + 9 * kPage), "[anonymous]");
}

TEST_F(AddressMapTest, UnmappingRoundsUpToWholePages) {
  Map(MemoryMapping(kMemory, 4));
  map_.Unmap(kMemory, kPage + 1);
  EXPECT_EQ(PathAt(kMemory + 2 * kPage - 1), "");
  EXPECT_EQ(PathAt(kMemory + 2 * kPage), "[anonymous]");
}

// brk() leaves the break inside a page, and that page stays.
TEST_F(AddressMapTest, ThePageThatHoldsTheNewBreakStays) {
  Map(MemoryMapping(kMemory, 4, "[heap]"));
  map_.Unmap(kMemory + 0x10, 3 * kPage);
  EXPECT_EQ(PathAt(kMemory + 0x800), "[heap]");
  EXPECT_EQ(PathAt(kMemory + kPage), "");
}

TEST_F(AddressMapTest, AnObjectThatIsNoLongerMappedIsStillTold) {
  Map(FileMapping(kDataFile, kLib, 4, kRead, 0, "/etc/ld.so.cache"));
  Fault(kLib);
  map_.Unmap(kLib, 4 * kPage);
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].minor_faults, 1u);
  EXPECT_EQ(objects[0].pages_touched, 1u);
  EXPECT_EQ(objects[0].mapped_bytes, 0u);
  EXPECT_EQ(objects[0].pages_mapped, 0u);
  EXPECT_EQ(objects[0].pages_resident, 0u);
}

TEST_F(AddressMapTest, MovedMemoryTakesItsNameAndOffsetAlong) {
  Map(FileMapping(kDataFile, kLib, 8, kRead, 100, "/data"));
  Map(FileMapping(kLibraryFile, kLib + 64 * kPage, 8, kReadExec));
  map_.Move(kLib + 2 * kPage, 4 * kPage, kLib + 66 * kPage, 4 * kPage);
  EXPECT_EQ(PathAt(kLib + kPage), "/data");
  EXPECT_EQ(PathAt(kLib + 2 * kPage), "");
  EXPECT_EQ(PathAt(kLib + 6 * kPage), "/data");
  EXPECT_EQ(PathAt(kLib + 65 * kPage), "/lib/x.so");
  EXPECT_EQ(PathAt(kLib + 66 * kPage), "/data");
  EXPECT_EQ(map_.Find(kLib + 67 * kPage).file_offset, 103 * kPage);
  EXPECT_EQ(PathAt(kLib + 70 * kPage), "/lib/x.so");
}

TEST_F(AddressMapTest, MovedMemoryMayGrowOrShrink) {
  Map(MemoryMapping(kMemory, 4));
  map_.Move(kMemory, 4 * kPage, kMemory, 16 * kPage);  // grown in place
  EXPECT_NE(Fault(kMemory + 15 * kPage), kNoIndex);
  EXPECT_EQ(Fault(kMemory + 16 * kPage), kNoIndex);
  map_.Move(kMemory, 16 * kPage, kMemory + 100 * kPage, 2 * kPage);
  EXPECT_EQ(Fault(kMemory), kNoIndex);
  EXPECT_NE(Fault(kMemory + 101 * kPage), kNoIndex);
  EXPECT_EQ(Fault(kMemory + 102 * kPage), kNoIndex);
}

TEST_F(AddressMapTest, MovingFromNothingUnmapsTheOldPlaceOnly) {
  Map(MemoryMapping(kMemory + 8 * kPage, 1));
  map_.Move(kMemory, 4 * kPage, kMemory + 8 * kPage, 4 * kPage);
  EXPECT_EQ(PathAt(kMemory), "");
  EXPECT_EQ(PathAt(kMemory + 8 * kPage), "[anonymous]");
}

TEST_F(AddressMapTest, MovingNoneDuplicatesSharedMemory) {
  Map(FileMapping(kDataFile, kLib, 4, kReadWrite, 0, "/shared", MAP_SHARED));
  map_.Move(kLib, 0, kLib + 64 * kPage, 4 * kPage);
  EXPECT_EQ(PathAt(kLib), "/shared");
  EXPECT_EQ(PathAt(kLib + 64 * kPage), "/shared");
}

TEST_F(AddressMapTest, ALaterMappingHidesTheOneBelow) {
  Map(FileMapping(kLibraryFile, kLib, 8, kReadExec));
  const uint32_t below = Fault(kLib + 3 * kPage);
  Map(FileMapping(kDataFile, kLib + 2 * kPage, 3, kRead, 7, "/data"));
  const uint32_t above = Fault(kLib + 3 * kPage);
  EXPECT_NE(above, below);
  EXPECT_EQ(Fault(kLib + kPage), below);
  EXPECT_EQ(Fault(kLib + 5 * kPage), below);
  EXPECT_EQ(map_.Find(kLib + 5 * kPage).file_offset, 5 * kPage);
  EXPECT_EQ(map_.Find(kLib + 3 * kPage).file_offset, 8 * kPage);
}

TEST_F(AddressMapTest, AnonymousMemoryOverAFileHidesIt) {
  Map(FileMapping(kDataFile, kLib, 8, kReadWrite, 0, "/data"));
  Map(MemoryMapping(kLib + 2 * kPage, 2));
  EXPECT_EQ(PathAt(kLib + 2 * kPage), "[anonymous]");
  EXPECT_EQ(PathAt(kLib + 4 * kPage), "/data");
  Fault(kLib + 2 * kPage, Access::kWrite);
  const auto objects = map_.Take(0);
  EXPECT_EQ(Only(objects, ObjectKind::kFile).pages_dirtied, 0u);
}

TEST_F(AddressMapTest, NewBytesAreThoseTheObjectHadNotMapped) {
  EXPECT_EQ(Map(FileMapping(kLibraryFile, kLib + 4 * kPage, 4, kRead, 4)).new_bytes, 4 * kPage);
  EXPECT_EQ(Map(FileMapping(kLibraryFile, kLib + 5 * kPage, 2, kReadExec, 5)).new_bytes, 0u);
  // Begins before what is known.
  EXPECT_EQ(Map(FileMapping(kLibraryFile, kLib + 2 * kPage, 4, kRead, 2)).new_bytes, 2 * kPage);
  // Reaches beyond it.
  EXPECT_EQ(Map(FileMapping(kLibraryFile, kLib + 6 * kPage, 4, kRead, 6)).new_bytes, 2 * kPage);
  // Another file's bytes are all new.
  EXPECT_EQ(Map(FileMapping(kDataFile, kLib + 2 * kPage, 4, kRead)).new_bytes, 4 * kPage);
}

TEST_F(AddressMapTest, ProtectionSplitsARangeAndKeepsItsOwner) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadWrite, 8));
  const auto applied =
      Map(FileMapping(kLibraryFile, kLib + kPage, 2, kRead, 9), MappingOperation::kMprotect);
  EXPECT_TRUE(applied.is_protection);
  EXPECT_EQ(applied.new_bytes, 0u);
  Fault(kLib);
  Fault(kLib + kPage);
  Fault(kLib + 3 * kPage);
  EXPECT_EQ(map_.Find(kLib + 3 * kPage).file_offset, 11 * kPage);
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects[0].segments.size(), 1u);
  EXPECT_EQ(objects[0].segments[0].minor_faults, 3u);
  EXPECT_EQ(objects[0].mapped_bytes, 4 * kPage);
}

TEST_F(AddressMapTest, WithoutTheCallRelroIsToldFromTheRecord) {
  Map(FileMapping(kLibraryFile, kLib, 4, kReadWrite), MappingOperation::kUnspecified);
  const auto relro = Map(FileMapping(kLibraryFile, kLib, 2, kRead), MappingOperation::kUnspecified);
  EXPECT_TRUE(relro.is_protection);
  const auto other =
      Map(FileMapping(kDataFile, kLib, 2, kRead, 0, "/data"), MappingOperation::kUnspecified);
  EXPECT_FALSE(other.is_protection);  // another file: a mapping
  EXPECT_EQ(PathAt(kLib), "/data");
}

TEST_F(AddressMapTest, ProtectionOfWhatIsNotKnownIsTakenAsItsMapping) {
  const auto applied =
      Map(FileMapping(kLibraryFile, kLib, 2, kReadExec), MappingOperation::kMprotect);
  EXPECT_FALSE(applied.is_protection);
  EXPECT_EQ(PathAt(kLib + kPage), "/lib/x.so");
}

TEST_F(AddressMapTest, AnonymousNeighboursMerge) {
  EXPECT_EQ(Map(MemoryMapping(kMemory, 2)).new_bytes, 2 * kPage);
  // The kernel's record covers all of the merged area.
  EXPECT_EQ(Map(MemoryMapping(kMemory, 5)).new_bytes, 3 * kPage);
  EXPECT_EQ(Map(MemoryMapping(kMemory - 2 * kPage, 7)).new_bytes, 2 * kPage);
  Fault(kMemory - kPage);
  Fault(kMemory + 4 * kPage);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].mapped_bytes, 7 * kPage);
  EXPECT_EQ(objects[0].minor_faults, 2u);
  EXPECT_LE(objects[0].segments.size(), 2u);
  ExpectObjectsAddUp(objects);
}

TEST_F(AddressMapTest, MemoryThatGrowsIsOneSegment) {
  for (uint64_t pages = 1; pages <= 64; ++pages) Map(MemoryMapping(kMemory, pages));
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects[0].segments.size(), 1u);
  EXPECT_EQ(objects[0].segments[0].size_bytes, 64 * kPage);
  EXPECT_EQ(objects[0].mapped_bytes, 64 * kPage);
}

TEST_F(AddressMapTest, MergedMemoryFillsHolesAndKeepsTheBssOfALibrary) {
  Map(FileMapping(kLibraryFile, kMemory - kPage, 1, kReadExec));
  Map(FileMapping(kLibraryFile, kMemory, 1, kReadWrite, 1));
  Map(MemoryMapping(kMemory + kPage, 1));  // its BSS
  const auto merged = Map(MemoryMapping(kMemory + kPage, 3));
  EXPECT_EQ(merged.new_bytes, 2 * kPage);
  EXPECT_EQ(PathAt(kMemory + kPage), "/lib/x.so");
  EXPECT_EQ(PathAt(kMemory + 2 * kPage), "[anonymous]");
}

TEST_F(AddressMapTest, TheHeapBeginsAtTheBreakEvenWhenMergedWithABss) {
  Map(FileMapping(kProgramFile, exec_.brk_start - 3 * kPage, 1, kReadWrite, 0, "/bin/p"));
  Map(MemoryMapping(exec_.brk_start - 2 * kPage, 2));
  Map(MemoryMapping(exec_.brk_start - 2 * kPage, 6));  // grown by brk, and merged
  EXPECT_EQ(PathAt(exec_.brk_start - 1), "/bin/p");
  EXPECT_EQ(PathAt(exec_.brk_start), "[heap]");
  EXPECT_EQ(PathAt(exec_.brk_start + 4 * kPage - 1), "[heap]");
  Map(MemoryMapping(exec_.brk_start - 2 * kPage, 10));
  const auto objects = map_.Take(0);
  EXPECT_EQ(Only(objects, ObjectKind::kHeap).mapped_bytes, 8 * kPage);
  EXPECT_EQ(Only(objects, ObjectKind::kHeap).segments.size(), 1u);
}

TEST_F(AddressMapTest, EmptyAndWrappingMappingsChangeNothing) {
  Map(MemoryMapping(kMemory, 2));
  Map(FileMapping(kLibraryFile, kMemory, 0, kRead));
  MappingEvent wraps = FileMapping(kLibraryFile, kLastPage, 1, kRead);
  wraps.size_bytes = UINT64_MAX;
  Map(wraps);
  wraps.file = {};
  Map(wraps);
  Map(wraps, MappingOperation::kMprotect);
  map_.Unmap(kMemory, 0);
  map_.Unmap(kMemory + kPage, UINT64_MAX - kMemory);
  map_.Unmap(kLastPage, UINT64_MAX);
  EXPECT_EQ(PathAt(kMemory), "[anonymous]");
  EXPECT_EQ(PathAt(kMemory + kPage), "[anonymous]");
  EXPECT_EQ(PathAt(kLastPage), "");
  EXPECT_EQ(map_.Take(0).size(), 1u);
}

TEST_F(AddressMapTest, MovesThatWrapAroundChangeNothingBeyondTheOldPlace) {
  Map(MemoryMapping(kMemory, 2));
  Map(MemoryMapping(kMemory + 16 * kPage, 2));
  map_.Move(kMemory, 2 * kPage, kLastPage, 4 * kPage);
  EXPECT_EQ(PathAt(kMemory), "");
  EXPECT_EQ(PathAt(kMemory + 16 * kPage), "[anonymous]");
  map_.Move(kMemory + 16 * kPage, 2 * kPage, kMemory, UINT64_MAX);
  EXPECT_EQ(PathAt(kMemory), "");
}

TEST_F(AddressMapTest, FaultsAtTheEndsOfTheAddressSpace) {
  Map(MemoryMapping(0, 1));
  Map(MemoryMapping(kLastPage - kPage, 1));
  EXPECT_NE(Fault(0), kNoIndex);
  EXPECT_NE(Fault(kLastPage - 1), kNoIndex);
  EXPECT_EQ(Fault(UINT64_MAX), kNoIndex);
  ExpectObjectsAddUp(map_.Take(0));
}

FaultEvent AroundFault(uint64_t address, uint64_t first_page, uint32_t pages) {
  FaultEvent fault = FaultAt(address);
  fault.around_first_page = first_page;
  fault.around_pages = pages;
  return fault;
}

TEST_F(AddressMapTest, TheWindowAroundAFaultIsResident) {
  Map(FileMapping(kLibraryFile, kLib, 64, kReadExec, 100));
  map_.Charge(1, AroundFault(kLib + 20 * kPage, 112, 16), 0, false);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_resident, 16u);
  EXPECT_EQ(objects[0].pages_touched, 1u);
}

TEST_F(AddressMapTest, WindowsAreCutAtTheirMappingAndOverlapOnce) {
  Map(FileMapping(kLibraryFile, kLib, 8, kReadExec, 100));
  map_.Charge(1, AroundFault(kLib, 96, 16), 0, false);  // begins before, ends behind
  EXPECT_EQ(map_.Find(kLib).file_offset, 100 * kPage);
  map_.Charge(2, AroundFault(kLib + 2 * kPage, 100, 4), 0, false);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_resident, 8u);
}

TEST_F(AddressMapTest, AWindowThatDoesNotHoldItsFaultIsNotBelieved) {
  Map(FileMapping(kLibraryFile, kLib, 64, kReadExec, 100));
  map_.Charge(1, AroundFault(kLib, 500, 16), 0, false);
  map_.Charge(2, AroundFault(kLib + kPage, UINT64_MAX - 3, UINT32_MAX), 0, false);
  EXPECT_EQ(map_.Take(0)[0].pages_resident, 2u);
}

TEST_F(AddressMapTest, AHugeWindowIsCutAtItsMapping) {
  Map(FileMapping(kLibraryFile, kLib, 64, kReadExec));
  map_.Charge(1, AroundFault(kLib + kPage, 0, UINT32_MAX), 0, false);
  EXPECT_EQ(map_.Take(0)[0].pages_resident, 64u);
}

TEST_F(AddressMapTest, ResidentPagesAreThoseAtTheEnd) {
  Map(FileMapping(kLibraryFile, kLib, 64, kReadExec));
  map_.Charge(1, AroundFault(kLib + 4 * kPage, 0, 16), 0, false);
  map_.Unmap(kLib + 8 * kPage, 32 * kPage);
  EXPECT_EQ(map_.Take(0)[0].pages_resident, 8u);
}

TEST_F(AddressMapTest, WhatIsMappedAnewIsNotResident) {
  Map(FileMapping(kLibraryFile, kLib, 16, kReadExec));
  map_.Charge(1, AroundFault(kLib, 0, 16), 0, false);
  map_.Unmap(kLib, 16 * kPage);
  Map(FileMapping(kLibraryFile, kLib, 16, kReadExec));
  Fault(kLib + kPage);
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].pages_resident, 1u);
  EXPECT_EQ(objects[0].pages_touched, 2u);
}

TEST_F(AddressMapTest, MovedPagesStayResident) {
  Map(MemoryMapping(kMemory, 4));
  for (uint64_t i = 0; i < 3; ++i) Fault(kMemory + i * kPage, Access::kWrite);
  map_.Move(kMemory, 4 * kPage, kMemory + 64 * kPage, 8 * kPage);
  Fault(kMemory + 68 * kPage, Access::kWrite);
  EXPECT_EQ(map_.Take(0)[0].pages_resident, 4u);
}

TEST_F(AddressMapTest, MovedInPlacePagesStayResident) {
  Map(MemoryMapping(kMemory, 4));
  for (uint64_t i = 0; i < 4; ++i) Fault(kMemory + i * kPage, Access::kWrite);
  map_.Move(kMemory, 4 * kPage, kMemory, 8 * kPage);
  map_.Move(kMemory, 8 * kPage, kMemory, 3 * kPage);
  EXPECT_EQ(map_.Take(0)[0].pages_resident, 3u);
}

TEST_F(AddressMapTest, WithoutWindowsResidentPagesAreNotTold) {
  AddressMap::Options options = Everything();
  options.windows_known = false;
  AddressMap map(exec_, options);
  map.Apply(1, FileMapping(kLibraryFile, kLib, 4, kRead), MappingOperation::kMmap);
  map.Charge(2, FaultAt(kLib), 0, false);
  EXPECT_FALSE(map.Take(0)[0].pages_resident);
}

TEST_F(AddressMapTest, MappingAndUnmappingForEverStaysBoundedAndRight) {
  for (uint64_t i = 0; i < 100'000; ++i) {
    const bool file = i % 2 == 0;
    const uint64_t address = kLib + (i % 8) * 64 * kPage;
    Map(file ? FileMapping(kDataFile, address, 4, kRead, i % 4, "/data")
             : MemoryMapping(address, 4));
    ASSERT_EQ(PathAt(address + kPage), file ? "/data" : "[anonymous]") << i;
    Fault(address + kPage);
    map_.Unmap(address, 4 * kPage);
    ASSERT_EQ(PathAt(address + kPage), "") << i;
  }
  const auto objects = map_.Take(0);
  ASSERT_EQ(objects.size(), 2u);
  for (const MappedObject& object : objects) {
    EXPECT_EQ(object.minor_faults, 50'000u);
    EXPECT_EQ(object.mapped_bytes, 0u);
    EXPECT_LE(object.segments.size(), 64u) << object.path;
  }
  ExpectObjectsAddUp(objects);
}

// A process whose loader is watched goes on for as long as it likes, and nothing is ever unmapped
// there.
TEST_F(AddressMapTest, EverNewMappingsStayBoundedAndNoFaultIsLost) {
  for (uint64_t i = 0; i < 100'000; ++i) {
    const uint64_t address = kLib + i * 8 * kPage;
    Map(FileMapping(kDataFile, address, 2, kRead, i, "/data"));
    ASSERT_NE(Fault(address), kNoIndex);
    map_.Unmap(address, 2 * kPage);
  }
  const auto objects = map_.Take(0);
  EXPECT_EQ(objects[0].minor_faults, 100'000u);
  EXPECT_EQ(objects[0].pages_touched, 100'000u);
  EXPECT_LE(objects[0].segments.size(), 16'384u);
}

// Whatever happens to the mappings, each fault is charged once or not at all.
TEST_F(AddressMapTest, AnyChangesKeepTheSums) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    AddressMap map(exec_, Everything());
    uint64_t charged = 0;
    for (int step = 0; step < 200; ++step) {
      const uint64_t address = kMemory + (random() % 32) * kPage;
      const uint64_t pages = random() % 9;
      const auto operation = static_cast<MappingOperation>(random() % 7);
      const uint64_t at = static_cast<uint64_t>(step);
      switch (random() % 6) {
        case 0:
          map.Apply(at,
                    FileMapping({8, 1, 100 * (1 + random() % 20)}, address, pages, random() % 8,
                                random() % 8, "/f", 1 + random() % 2),
                    operation);
          break;
        case 1:
          map.Apply(at, MemoryMapping(address, pages, random() % 3 ? "//anon" : "[heap]"),
                    operation);
          break;
        case 2:
          map.Unmap(address + random() % 2 * 8, pages * kPage);
          break;
        case 3:
          map.Move(address, pages * kPage, kMemory + (random() % 32) * kPage, random() % 9 * kPage);
          break;
        default:
          charged += map.Charge(at,
                                FaultAt(address + random() % 4096,
                                        static_cast<Access>(random() % 4), random() % 3 == 0),
                                random() % 50, random() % 4 != 0) != kNoIndex;
      }
    }
    uint64_t told = 0;
    const auto objects = map.Take(0);
    for (const MappedObject& object : objects) told += object.minor_faults + object.major_faults;
    ASSERT_EQ(told, charged);
    ExpectObjectsAddUp(objects);
    for (const MappedObject& object : objects) {
      EXPECT_LE(object.pages_resident.value_or(0),
                object.mapped_bytes ? *object.mapped_bytes / kPage : UINT64_MAX);
    }
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

TEST_F(AddressMapTest, WhatIsMappedAgainAsItWasIsTheSameSegmentHoweverManyThereAre) {
  constexpr uint64_t kPlaces = 40;
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kPlaces; ++i) {
      const uint64_t address = 0x10000000 + 2 * i * kPage;
      Map(FileMapping(kLibraryFile, address, 1, kRead));
      Fault(address);
      map_.Unmap(address, kPage);
    }
  }
  const auto objects = map_.Take(0);
  const MappedObject& library = Only(objects, ObjectKind::kFile);
  ASSERT_EQ(library.segments.size(), kPlaces);
  for (const Segment& segment : library.segments) EXPECT_EQ(segment.minor_faults, 2u);
}

}  // namespace
}  // namespace startscope
