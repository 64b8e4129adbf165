// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/storage_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace startscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr FileId kFiles[] = {{8, 1, 10}, {8, 1, 11}, {8, 1, 12}, {8, 1, 13}, {8, 1, 14}};

class StorageLedgerTest : public ::testing::Test {
 protected:
  StorageLedgerTest() {
    startup_.precision = Precision::kExact;
    startup_.faults.minor = 5;
    startup_.faults.major = 0;
    end_.boottime_ns = 10'000;
    end_.counters = Counters{};
  }

  // An executable, a loader, two libraries and a data file.
  void MapProgram() {
    Object(ObjectKind::kExecutable, "/bin/p", kFiles[0]);
    Object(ObjectKind::kLoader, "/lib/ld.so", kFiles[1]);
    Object(ObjectKind::kLibrary, "/lib/a.so", kFiles[2]);
    Object(ObjectKind::kLibrary, "/lib/b.so", kFiles[3]);
    Object(ObjectKind::kFile, "/etc/data", kFiles[4]);
    Object(ObjectKind::kAnonymous, "[anonymous]", {});
  }

  void Object(ObjectKind kind, const std::string& path, const FileId& file) {
    MappedObject object;
    object.kind = kind;
    object.path = path;
    object.file = file;
    object.pages_resident = 9;
    startup_.objects.push_back(object);
  }

  void Read(const FileId& file, uint64_t pages, uint64_t at = 5000) {
    PagesReadEvent read;
    read.first_boottime_ns = at;
    read.file = file;
    read.pages = pages;
    evidence_.pages_read.push_back({at + 10, 42, read});
  }

  void WaitedFor(const std::string& path, uint64_t ns) {
    startup_.blame.push_back({TimeReason::kBlockedIo, ns, path});
  }

  void Account(bool pages_known = true, bool waits_known = true, size_t max_files = 100) {
    AccountStorage(evidence_, end_, pages_known, waits_known, max_files, &startup_);
  }

  const MappedObject& Named(const std::string& path) {
    for (const MappedObject& object : startup_.objects) {
      if (object.path == path) return object;
    }
    ADD_FAILURE() << path;
    return startup_.objects[0];
  }

  Evidence evidence_;
  End end_;
  Startup startup_;
};

TEST_F(StorageLedgerTest, NothingReadIsWarm) {
  MapProgram();
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kWarm);
  ASSERT_TRUE(startup_.storage);
  EXPECT_EQ(startup_.storage->bytes, 0u);
  EXPECT_EQ(startup_.storage->pages, 0u);
  EXPECT_EQ(startup_.storage->wait_ns, 0u);
  EXPECT_TRUE(startup_.storage->files.empty());
  EXPECT_EQ(Named("/bin/p").pages_read, 0u);
  EXPECT_FALSE(Named("[anonymous]").pages_read);
}

TEST_F(StorageLedgerTest, MostProgramFilesAndTheExecutableReadIsCold) {
  MapProgram();
  Read(kFiles[0], 3);
  Read(kFiles[2], 4);
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kCold);
  EXPECT_EQ(startup_.temperature_evidence, "2 of 4 program files read from storage (p, a.so)");
}

TEST_F(StorageLedgerTest, WithoutTheExecutableItIsPartlyCold) {
  MapProgram();
  for (int i : {1, 2, 3}) Read(kFiles[i], 1);
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kPartlyCold);
  EXPECT_THAT(startup_.temperature_evidence, HasSubstr("3 of 4"));
}

TEST_F(StorageLedgerTest, TheExecutableAloneIsPartlyCold) {
  MapProgram();
  Read(kFiles[0], 100);
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kPartlyCold);
}

TEST_F(StorageLedgerTest, AWarmProgramThatWritesAFileStaysWarm) {
  MapProgram();
  Read({8, 1, 99}, 10);  // the page cache was given pages, and no byte came from storage
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kWarm);
  EXPECT_THAT(startup_.temperature_evidence,
              HasSubstr("nothing was read from storage; 10 new pages"));
}

TEST_F(StorageLedgerTest, AWarmProgramThatReadsColdDataIsPartlyCold) {
  MapProgram();
  Read(kFiles[4], 10);
  end_.counters->read_bytes = 40960;
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kPartlyCold);
  EXPECT_THAT(startup_.temperature_evidence, HasSubstr("0 of 4"));
}

TEST_F(StorageLedgerTest, WithoutBytesPagesOfOtherFilesMayHaveBeenRead) {
  MapProgram();
  Read({8, 1, 99}, 10);
  end_.counters.reset();
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kPartlyCold);
}

TEST_F(StorageLedgerTest, AStaticProgramIsColdWhenItsOnlyFileIs) {
  Object(ObjectKind::kExecutable, "/bin/p", kFiles[0]);
  Read(kFiles[0], 1);
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kCold);
}

TEST_F(StorageLedgerTest, AMajorFaultShowsAReadThatBeganBefore) {
  MapProgram();
  startup_.faults.major = 1;
  startup_.objects[0].major_faults = 1;  // of the executable, read by somebody else meanwhile
  startup_.objects[1].major_faults = 1;
  Account();
  EXPECT_EQ(startup_.temperature, StartTemperature::kCold);
}

TEST_F(StorageLedgerTest, NoMoreThanThreeFilesAreNamed) {
  MapProgram();
  for (int i : {0, 1, 2, 3}) Read(kFiles[i], 1);
  Account();
  EXPECT_EQ(startup_.temperature_evidence,
            "4 of 4 program files read from storage (p, ld.so, a.so, …)");
}

TEST_F(StorageLedgerTest, WithoutFilesColdnessIsNotSaid) {
  end_.counters->read_bytes = 8192;
  startup_.faults.major = 2;
  Account(/*pages_known=*/false);
  EXPECT_EQ(startup_.temperature, StartTemperature::kNotWarm);
  EXPECT_THAT(startup_.temperature_evidence, HasSubstr("2 major faults, 8192 bytes"));
  EXPECT_FALSE(startup_.storage->pages);
  EXPECT_EQ(startup_.storage->bytes, 8192u);
}

TEST_F(StorageLedgerTest, WithNothingKnownNothingIsSaid) {
  end_.counters.reset();
  Account(false, false);
  EXPECT_EQ(startup_.temperature, StartTemperature::kUnspecified);
  EXPECT_EQ(startup_.temperature_evidence, "");
  EXPECT_FALSE(startup_.storage);
}

TEST_F(StorageLedgerTest, BytesAreThoseSinceTheBegin) {
  evidence_.exec.begin.read_bytes = 1000;
  end_.counters->read_bytes = 5096;
  Account(false);
  EXPECT_EQ(startup_.storage->bytes, 4096u);
}

TEST_F(StorageLedgerTest, BytesThatWentBackAreUnknown) {
  evidence_.exec.begin.read_bytes = 1000;
  end_.counters->read_bytes = 999;
  Account(false);
  EXPECT_FALSE(startup_.storage);
}

TEST_F(StorageLedgerTest, WithoutAnEndTheLastMarkTellsOfBytesIfMarksAreOurs) {
  end_.counters.reset();
  MarkEvent mark;
  mark.now.read_bytes = 512;
  evidence_.marks.push_back({6000, 42, mark});
  MarkEvent beyond;
  beyond.now.read_bytes = 70000;
  evidence_.marks.push_back({end_.boottime_ns + 1, 42, beyond});
  Account(false);
  ASSERT_TRUE(startup_.storage);
  EXPECT_EQ(startup_.storage->bytes, 512u);
  startup_.storage.reset();
  startup_.precision = Precision::kUnperturbed;
  Account(false);
  EXPECT_FALSE(startup_.storage);
}

TEST_F(StorageLedgerTest, NothingReadUpToTheLastMarkIsNotWarmYet) {
  end_.counters.reset();
  evidence_.marks.push_back({6000, 42, MarkEvent{}});
  Account(/*pages_known=*/false);
  EXPECT_EQ(startup_.storage->bytes, 0u);
  EXPECT_EQ(startup_.temperature, StartTemperature::kUnspecified);
  MapProgram();
  Account(/*pages_known=*/true);
  EXPECT_EQ(startup_.temperature, StartTemperature::kWarm);
}

TEST_F(StorageLedgerTest, FilesByWaitThenByPages) {
  MapProgram();
  Read(kFiles[0], 1);
  Read(kFiles[1], 50);
  Read(kFiles[2], 2);
  Read(kFiles[2], 3);
  Read({8, 1, 99}, 7);  // of a file that is not mapped
  WaitedFor("/bin/p", 900);
  WaitedFor("/lib/a.so", 90);
  WaitedFor("", 5);
  Account();
  std::vector<std::string> paths;
  std::vector<uint64_t> pages;
  for (const FileReads& file : startup_.storage->files) {
    paths.push_back(file.path);
    pages.push_back(file.pages);
  }
  EXPECT_THAT(paths, ElementsAre("/bin/p", "/lib/a.so", "/lib/ld.so", ""));
  EXPECT_THAT(pages, ElementsAre(1, 5, 50, 7));
  EXPECT_EQ(startup_.storage->files[3].file, (FileId{8, 1, 99}));
  EXPECT_EQ(startup_.storage->files[0].wait_ns, 900u);
  EXPECT_EQ(startup_.storage->files[2].wait_ns, 0u);
  EXPECT_FALSE(startup_.storage->files[3].wait_ns);
  EXPECT_EQ(startup_.storage->wait_ns, 995u);
  EXPECT_EQ(startup_.storage->pages, 63u);
  EXPECT_EQ(Named("/lib/a.so").pages_read, 5u);
  EXPECT_EQ(Named("/bin/p").io_wait_ns, 900u);
  EXPECT_FALSE(Named("/lib/b.so").io_wait_ns);
}

TEST_F(StorageLedgerTest, WithoutWaitsNoneAreTold) {
  MapProgram();
  Read(kFiles[0], 1);
  Account(true, /*waits_known=*/false);
  EXPECT_FALSE(startup_.storage->wait_ns);
  EXPECT_FALSE(startup_.storage->files[0].wait_ns);
}

TEST_F(StorageLedgerTest, FilesBeyondTheBoundAreCountedAndTheirPagesToo) {
  for (uint64_t i = 0; i < 10; ++i) Read({8, 1, 50 + i}, 10 - i);
  Account(true, true, /*max_files=*/3);
  ASSERT_EQ(startup_.storage->files.size(), 3u);
  EXPECT_EQ(startup_.storage->files[0].pages, 10u);
  EXPECT_EQ(startup_.storage->files[2].pages, 8u);
  EXPECT_EQ(startup_.storage->files_omitted, 7u);
  EXPECT_EQ(startup_.storage->pages, 55u);
}

TEST_F(StorageLedgerTest, WhatIsReadAfterTheEndIsNotOfTheStartup) {
  MapProgram();
  Read(kFiles[0], 1, end_.boottime_ns);
  Read(kFiles[0], 5, end_.boottime_ns + 1);
  Account();
  EXPECT_EQ(startup_.storage->pages, 1u);
}

TEST_F(StorageLedgerTest, ThroughOverlayAFileIsReadByTheNumbersBelow) {
  Object(ObjectKind::kExecutable, "/bin/p", {0, 40, 10});
  Read({8, 1, 10}, 4);
  Account();
  EXPECT_EQ(Named("/bin/p").pages_read, 4u);
  EXPECT_EQ(startup_.storage->files[0].path, "/bin/p");
  EXPECT_EQ(startup_.temperature, StartTemperature::kCold);
}

TEST_F(StorageLedgerTest, TwoOverlayFilesThatMightBeItAreNotGuessed) {
  Object(ObjectKind::kExecutable, "/bin/p", {0, 40, 10});
  Object(ObjectKind::kLibrary, "/lib/q.so", {0, 41, 10});
  Read({8, 1, 10}, 4);
  Account();
  EXPECT_EQ(Named("/bin/p").pages_read, 0u);
  EXPECT_EQ(startup_.storage->files[0].path, "");
  EXPECT_EQ(startup_.storage->pages, 4u);
}

TEST_F(StorageLedgerTest, ResidentPagesAreUnknownOfAFileThatWasReadMeanwhile) {
  MapProgram();
  Read(kFiles[0], 1);
  Account();
  EXPECT_FALSE(Named("/bin/p").pages_resident);
  EXPECT_EQ(Named("/lib/a.so").pages_resident, 9u);
}

}  // namespace
}  // namespace startscope
