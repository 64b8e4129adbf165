// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/invoked_loader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace startscope {
namespace {

const FileId kLoader = {.device_major = 8, .device_minor = 1, .inode = 10};
const FileId kProgram = {.device_major = 8, .device_minor = 1, .inode = 11};
constexpr uint64_t kLoaderBase = 0x7f0000000000;
constexpr uint64_t kProgramBase = 0x555500000000;
constexpr uint64_t kExecNs = 1000;

ImageFacts LoaderFacts() {
  ImageFacts facts;
  facts.kind = ImageKind::kLoader;
  facts.phdr_address = 0x40;
  facts.entry_address = 0x1000;
  return facts;
}

ImageFacts ProgramFacts(uint64_t link_address) {
  ImageFacts facts;
  facts.kind = ImageKind::kExecutable;
  facts.entry_address = link_address + 0x1200;
  facts.segments.push_back({.address = link_address, .file_offset = 0, .readable = true});
  facts.segments.push_back(
      {.address = link_address + 0x1000, .file_offset = 0x1000, .executable = true});
  return facts;
}

class InvokedLoader : public testing::Test {
 protected:
  InvokedLoader() {
    evidence_.exec_boottime_ns = kExecNs;
    evidence_.exec.executable = kLoader;
    evidence_.exec.at_phdr = kLoaderBase + 0x40;
    evidence_.exec.at_entry = kLoaderBase + 0x1000;
    Map(kExecNs - 10, kLoader, kLoaderBase, 0, PROT_READ | PROT_EXEC);
  }

  void Map(uint64_t at, const FileId& file, uint64_t address, uint64_t offset, uint32_t prot) {
    MappingEvent mapping;
    mapping.file = file;
    mapping.address = address;
    mapping.file_offset = offset;
    mapping.size_bytes = 0x1000;
    mapping.prot = prot;
    evidence_.mappings.push_back({.boottime_ns = at, .value = mapping});
  }

  void MapProgram(uint64_t address) {
    Map(kExecNs + 10, kProgram, address, 0, PROT_READ);
    Map(kExecNs + 11, kProgram, address + 0x1000, 0x1000, PROT_READ | PROT_EXEC);
  }

  Evidence evidence_;
};

TEST_F(InvokedLoader, IsRecognisedByTheProgramItMaps) {
  EXPECT_FALSE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  MapProgram(kProgramBase);
  ASSERT_TRUE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  EXPECT_TRUE(evidence_.loader_invoked);
  EXPECT_EQ(evidence_.exec.executable, kProgram);
  EXPECT_EQ(evidence_.exec.at_base, kLoaderBase);
  EXPECT_EQ(evidence_.exec.at_phdr, kProgramBase);
  EXPECT_FALSE(TakeInvokedProgram(LoaderFacts(), &evidence_)) << "only once";
}

TEST_F(InvokedLoader, FilesItOnlyReadsAreNoPrograms) {
  const FileId cache = {.device_major = 8, .device_minor = 1, .inode = 12};
  Map(kExecNs + 5, cache, 0x7f1000000000, 0, PROT_READ);
  EXPECT_FALSE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  MapProgram(kProgramBase);
  ASSERT_TRUE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  EXPECT_EQ(evidence_.exec.executable, kProgram);
}

TEST_F(InvokedLoader, AProgramIsNotTakenForOne) {
  MapProgram(kProgramBase);
  EXPECT_FALSE(TakeInvokedProgram(ProgramFacts(0), &evidence_));
  evidence_.exec.at_base = kLoaderBase;
  EXPECT_FALSE(TakeInvokedProgram(LoaderFacts(), &evidence_));
}

TEST_F(InvokedLoader, TheEntryPointMovesWithTheProgram) {
  MapProgram(kProgramBase);
  ASSERT_TRUE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  EXPECT_EQ(EntryAddress(evidence_, nullptr), 0u);
  const ImageFacts movable = ProgramFacts(0);
  EXPECT_EQ(EntryAddress(evidence_, &movable), kProgramBase + 0x1200);
}

TEST_F(InvokedLoader, OfAFixedProgramTheEntryPointStaysWhereItWasLinked) {
  MapProgram(0x400000);
  ASSERT_TRUE(TakeInvokedProgram(LoaderFacts(), &evidence_));
  const ImageFacts fixed = ProgramFacts(0x400000);
  EXPECT_EQ(EntryAddress(evidence_, &fixed), 0x401200u);
}

TEST_F(InvokedLoader, WithoutALoaderTheKernelTellsTheEntryPoint) {
  const ImageFacts facts = ProgramFacts(0);
  EXPECT_EQ(EntryAddress(evidence_, &facts), kLoaderBase + 0x1000);
}

}  // namespace
}  // namespace startscope
