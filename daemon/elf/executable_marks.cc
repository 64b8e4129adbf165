// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "daemon/elf/code.h"
#include "daemon/elf/go_init.h"
#include "daemon/elf/mark_finder.h"
#include "daemon/elf/rust_marks.h"
#include "daemon/elf/rust_stages.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr int kRcx = 1;
constexpr int kRdi = 7;
constexpr int kR8 = 8;
constexpr uint64_t kStubBytes = 96;
constexpr uint64_t kSelfRelocationBytes = 1024;
constexpr uint64_t kRelocatorBytes = 1024;

// The last address put into %rdi before the first call or jump away, decoding from `address`; in
// start-up stubs that is main, the first argument of __libc_start_main (glibc csu/, musl crt/).
std::optional<uint64_t> FirstArgument(ElfFile* file, uint64_t address,
                                      std::optional<uint64_t>* call_target) {
  std::optional<uint64_t> argument;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kStubBytes);
  VisitInstructions(code, address, /*resync=*/false, [&](const Instruction& step) {
    if (step.loads_register == kRdi) argument = step.loaded_address;
    if (step.loads_memory_register == kRdi) argument = file->PointerAt(step.loaded_from);
    if (step.is_call || step.is_jump) *call_target = step.target;
    return !step.ends_straight_line;
  });
  return argument;
}

// In a static-pie link, musl's start code relocates the program first and then goes on to a stub
// that passes main, _init and _fini to __libc_start_main (crt/rcrt1.c): main, if this is that stub.
std::optional<uint64_t> MainFromMuslStub(ElfFile* file, uint64_t address) {
  std::map<int, uint64_t> loaded;
  bool calls = false;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kStubBytes);
  VisitInstructions(code, address, /*resync=*/false, [&](const Instruction& step) {
    if (step.loads_register >= 0) loaded[step.loads_register] = step.loaded_address;
    calls = step.is_call || step.is_jump;
    return !step.ends_straight_line;
  });
  for (const int argument : {kRdi, kRcx, kR8}) {
    if (loaded[argument] == 0 || !file->CodeOffset(loaded[argument])) return std::nullopt;
  }
  if (!calls) return std::nullopt;
  return loaded[kRdi];
}

struct MuslStub {
  uint64_t address = 0;
  uint64_t main = 0;
};

// Looks for that stub among the places that the code at `start` calls, jumps to or takes the
// address of.
std::optional<MuslStub> FindMuslStub(ElfFile* file, uint64_t start) {
  std::optional<MuslStub> stub;
  const std::vector<uint8_t> code = file->ReadAtAddress(start, kSelfRelocationBytes);
  VisitInstructions(code, start, /*resync=*/true, [&](const Instruction& step) {
    std::optional<uint64_t> next;
    if (step.loads_register >= 0) next = step.loaded_address;
    if (step.is_call || step.is_jump) next = step.target;
    if (!next || !file->CodeOffset(*next)) return true;
    const std::optional<uint64_t> main = MainFromMuslStub(file, *next);
    if (main) stub = MuslStub{*next, *main};
    return !stub;
  });
  return stub;
}

std::optional<uint64_t> MainFromStartCode(ElfFile* file, const ImageFacts& facts) {
  std::optional<uint64_t> target;
  std::optional<uint64_t> main = FirstArgument(file, facts.entry_address, &target);
  // musl's _start only calls _start_c, which does the rest.
  if (facts.libc == Libc::kMusl && target) {
    std::optional<uint64_t> next;
    main = FirstArgument(file, *target, &next);
    const auto stub = main ? std::nullopt : FindMuslStub(file, *target);
    if (stub) main = stub->main;
  }
  if (!main || *main == 0 || !file->CodeOffset(*main)) return std::nullopt;
  return main;
}

// The functions that the code at an entry point calls first: musl's _start_c, glibc's
// __libc_start_main in a static program.
std::optional<uint64_t> CalleeOfEntry(ElfFile* file, const ImageFacts& facts) {
  std::optional<uint64_t> target;
  FirstArgument(file, facts.entry_address, &target);
  if (!target || !file->CodeOffset(*target)) return std::nullopt;
  return target;
}

// Self-relocation needs the address of the dynamic section, and in glibc's start code only
// _dl_relocate_static_pie takes it.
bool TakesDynamicSection(ElfFile* file, uint64_t function) {
  const Elf64_Phdr* dynamic = file->FindSegment(PT_DYNAMIC);
  if (dynamic == nullptr || !file->CodeOffset(function)) return false;
  bool takes = false;
  const uint64_t size = std::min(file->FunctionAround(function).end - function, kRelocatorBytes);
  const std::vector<uint8_t> code = file->ReadAtAddress(function, size);
  VisitInstructions(code, function, /*resync=*/true, [&](const Instruction& step) {
    takes |= step.loads_register >= 0 && step.loaded_address == dynamic->p_vaddr;
    return !takes;
  });
  return takes;
}

// A glibc static-pie program relocates itself from __libc_start_main: the instruction after that
// call. musl's goes on to a stub when it has done so.
void FindSelfRelocation(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  if (facts->linkage != Linkage::kStaticPie) return;
  const std::optional<uint64_t> callee = CalleeOfEntry(file, *facts);
  if (facts->libc == Libc::kMusl) {
    const auto stub = callee ? FindMuslStub(file, *callee) : std::nullopt;
    if (stub) {
      AddSite(file, MarkKind::kSelfRelocated, SiteRung::kCallSite, stub->address, "", facts);
    }
    return;
  }
  const auto start = symbols.Find("__libc_start_main");
  const auto relocate = symbols.Find("_dl_relocate_static_pie");
  if (facts->libc != Libc::kGlibc || (!start && !callee)) return;
  const uint64_t begin = start ? start->address : *callee;
  const std::vector<uint8_t> code =
      file->ReadAtAddress(begin, file->FunctionAround(begin).end - begin);
  VisitInstructions(code, begin, /*resync=*/true, [&](const Instruction& step) {
    if (!step.is_call || !step.target) return true;
    if (relocate ? *step.target != relocate->address : !TakesDynamicSection(file, *step.target)) {
      return true;
    }
    AddSite(file, MarkKind::kSelfRelocated, relocate ? relocate->rung : SiteRung::kCallSite,
            step.address + step.length, "_dl_relocate_static_pie", facts);
    return false;
  });
}

// In a static program the start-up function is the program's own.
void FindLibcStart(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  if (facts->linkage == Linkage::kDynamic) return;
  if (const auto start = symbols.Find("__libc_start_main")) {
    AddSite(file, MarkKind::kLibcStart, start->rung, start->address, start->name, facts);
  } else if (facts->libc == Libc::kGlibc) {
    const std::optional<uint64_t> callee = CalleeOfEntry(file, *facts);
    if (callee) {
      AddSite(file, MarkKind::kLibcStart, SiteRung::kCallSite, *callee, "__libc_start_main", facts);
    }
  }
}

void FindGoMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  const auto add = [&](MarkKind kind, const char* name) {
    const auto symbol = symbols.Find(name);
    if (!symbol) return;
    if (kind == MarkKind::kMain) facts->main_address = symbol->address;
    AddSite(file, kind, symbol->rung, symbol->address, name, facts);
  };
  add(MarkKind::kGoSchedinit, "runtime.schedinit");
  add(MarkKind::kGoRuntimeMain, "runtime.main");
  add(MarkKind::kMain, "main.main");
  FindGoInits(file, symbols.has_symtab(), facts);
}

}  // namespace

void FindExecutableMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  AddSite(file, MarkKind::kEntry, SiteRung::kElfEntry, facts->entry_address, "", facts);
  if (facts->language == Language::kGo) return FindGoMarks(file, symbols, facts);
  if (facts->libc == Libc::kNone) return;  // its entry point is all it has
  FindSelfRelocation(file, symbols, facts);
  FindLibcStart(file, symbols, facts);
  std::optional<uint64_t> main;
  SiteRung rung = SiteRung::kCallSite;
  if (const auto symbol = symbols.Find("main")) {
    main = symbol->address;
    rung = symbol->rung;
  } else {
    main = MainFromStartCode(file, *facts);
  }
  if (!main) return;
  facts->main_address = *main;
  if (facts->language == Language::kRust) {
    FindRustMarks(file, symbols, *main, rung, facts);
    if (facts->language == Language::kRust) FindRustStages(file, facts);
  } else {
    AddSite(file, MarkKind::kMain, rung, *main, "main", facts);
  }
}

}  // namespace startscope
