// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Test helper: evidence of a dynamic start of /bin/hello with libraries, and what is built from it.

#ifndef STARTSCOPE_TESTS_UNIT_MODEL_LOADER_SCRIPT_H_
#define STARTSCOPE_TESTS_UNIT_MODEL_LOADER_SCRIPT_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/model/startup_builder.h"

namespace startscope {

// Files are named by number: 1 is the executable, 2 the loader, others are libraries. File N is
// mapped at N << 32 and linked at 0; its text lies at 0x1000, its RELRO at 0x3000. Times are
// offsets from the begin.
class LoaderScript {
 public:
  static constexpr uint64_t kBegin = 1'000'000;
  static constexpr uint32_t kPid = 42;
  static constexpr uint64_t kInitAddress = 0x1100;

  explicit LoaderScript(Libc libc = Libc::kGlibc) {
    evidence.pid = kPid;
    evidence.exec.begin_boottime_ns = kBegin;
    evidence.exec.executable = FileOf(1);
    evidence.exec.filename = "/bin/hello";
    evidence.exec.at_base = BaseOf(2);
    evidence.exec.at_entry = BaseOf(1) + 0x1000;
    evidence.exec.at_phdr = BaseOf(1) + 0x40;
    evidence.exec_boottime_ns = kBegin + 100;
    for (const uint64_t number : {1, 2}) {
      ImageFacts& facts = File(number);
      facts.kind = number == 1 ? ImageKind::kExecutable : ImageKind::kLoader;
      facts.libc = libc;
      facts.linkage = Linkage::kDynamic;
      facts.language = Language::kCOrCpp;
      facts.entry_address = 0x1000;
    }
    File(1).interpreter = "/lib/file2";
    Map(50, 1).Map(50, 2);
    Mark(200, MarkKind::kLoaderEntry, 2);
  }

  static FileId FileOf(uint64_t number) { return {8, 1, number}; }
  static uint64_t BaseOf(uint64_t number) { return number << 32; }
  static std::string PathOf(uint64_t number) {
    return number == 1 ? "/bin/hello" : "/lib/file" + std::to_string(number);
  }

  // Facts of a file; known from the first time this is called for it. Its marks are in place.
  ImageFacts& File(uint64_t number) {
    auto& facts = facts_[number];
    if (facts == nullptr) {
      facts = std::make_shared<ImageFacts>();
      facts->file = FileOf(number);
      facts->kind = ImageKind::kLibrary;
      facts->segments = {{.address = 0, .file_offset = 0},
                         {.address = 0x3000, .file_offset = 0x3000}};
      facts->relro_address = 0x3000;
      facts->relro_bytes = 0x1000;
      facts->link.known = true;
      KnownImage& image = images[FileOf(number)];
      image.image = static_cast<uint32_t>(number);
      image.facts = facts;
      image.attached_boottime_ns = 1;
      image.attached_marks = UINT32_MAX;
    }
    return *facts;
  }
  LoaderScript& Needs(uint64_t number, const std::vector<uint64_t>& others) {
    for (const uint64_t other : others)
      File(number).needed.push_back("file" + std::to_string(other));
    return *this;
  }
  // A constructor at an address of the file.
  LoaderScript& Constructor(uint64_t number, uint64_t address = kInitAddress,
                            const std::string& symbol = "") {
    InitFunction function;
    function.kind = InitKind::kInitArray;
    function.address = address;
    function.symbol = symbol;
    function.site.kind = MarkKind::kInitFunction;
    function.site.rung = SiteRung::kElfEntry;
    function.site.address = address;
    File(number).init_functions.push_back(function);
    return *this;
  }
  LoaderScript& Unmarked(uint64_t number) {
    File(number);
    images[FileOf(number)].attached_boottime_ns = 0;
    images[FileOf(number)].attached_marks = 0;
    return *this;
  }

  // The whole of a file, in two mappings at the same time.
  LoaderScript& Map(uint64_t at, uint64_t number) {
    MapPart(at, number, 0, 0x5000, PROT_READ | PROT_EXEC);
    return MapPart(at, number, 0x3000, 0x2000, PROT_READ | PROT_WRITE);
  }
  LoaderScript& MapPart(uint64_t at, uint64_t number, uint64_t offset, uint64_t bytes,
                        uint32_t prot) {
    MappingEvent mapping;
    mapping.file = FileOf(number);
    mapping.address = BaseOf(number) + offset;
    mapping.size_bytes = bytes;
    mapping.file_offset = offset;
    mapping.prot = prot;
    mapping.path = PathOf(number);
    evidence.mappings.push_back({kBegin + at, kPid, mapping});
    return *this;
  }
  LoaderScript& Protect(uint64_t at, uint64_t number) {
    return MapPart(at, number, 0x3000, 0x1000, PROT_READ);
  }

  LoaderScript& Mark(uint64_t at, MarkKind kind, uint64_t number, uint64_t address = 0,
                     uint32_t tid = kPid) {
    MarkEvent mark;
    mark.kind = kind;
    mark.image = static_cast<uint32_t>(number);
    mark.ip = BaseOf(number) + address;
    mark.word = BaseOf(number);
    mark.now = counters;
    evidence.marks.push_back({kBegin + at, tid, mark});
    return *this;
  }
  LoaderScript& Init(uint64_t at, uint64_t number, uint64_t address = kInitAddress,
                     uint32_t tid = kPid) {
    return Mark(at, MarkKind::kInitFunction, number, address, tid);
  }
  LoaderScript& Relocate(uint64_t at, uint64_t number, bool lazy = true) {
    Mark(at, MarkKind::kRelocateObject, 2);
    evidence.marks.back().value.word = BaseOf(number);
    evidence.marks.back().value.arg2 = lazy ? 1 : 0;
    return *this;
  }
  LoaderScript& Fetch(uint64_t at, uint64_t number, uint64_t address, uint32_t tid = kPid) {
    FaultEvent fault;
    fault.address = BaseOf(number) + address;
    fault.ip = fault.address;
    fault.entry_boottime_ns = kBegin + at;
    fault.completed = true;
    fault.access_known = true;
    fault.instruction_fetch = true;
    evidence.faults.push_back({kBegin + at + 1, tid, fault});
    ++counters.minor_faults;
    return *this;
  }
  LoaderScript& Miss(uint64_t from, uint64_t until, const std::string& path) {
    SyscallEvent call;
    call.entry_boottime_ns = kBegin + from;
    call.result = -2;
    call.path = path;
    evidence.calls.push_back({kBegin + until, kPid, call});
    return *this;
  }

  Startup Build(uint64_t end_at, Outcome outcome = Outcome::kReached,
                Precision precision = Precision::kExact, Level level = Level::kFunctions) {
    End end;
    end.boottime_ns = kBegin + end_at;
    end.outcome = outcome;
    end.counters = counters;
    if (outcome == Outcome::kReached) end.milestone = MilestoneKind::kMain;
    StartupImages known;
    known.all = &images;
    known.executable = &images[FileOf(1)];
    known.loader = &images[FileOf(2)];
    return BuildStartup(evidence, known, end,
                        {.level = level, .precision = precision, .waits = true, .syscalls = true});
  }

  static const MappedObject& Object(const Startup& startup, uint64_t number) {
    for (const MappedObject& object : startup.objects) {
      if (object.file == FileOf(number)) return object;
    }
    ADD_FAILURE() << "no object " << number;
    static const MappedObject none;
    return none;
  }

  Evidence evidence;
  ImageMap images;
  Counters counters;  // as the next marks, and the end, read them

 private:
  std::map<uint64_t, std::shared_ptr<ImageFacts>> facts_;
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_MODEL_LOADER_SCRIPT_H_
