// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <map>
#include <optional>
#include <vector>

#include "daemon/elf/code.h"
#include "daemon/elf/mark_finder.h"
#include "daemon/elf/rust_marks.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr int kRcx = 1;
constexpr int kRdi = 7;
constexpr int kR8 = 8;
constexpr uint64_t kStubBytes = 96;
constexpr uint64_t kSelfRelocationBytes = 1024;

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

// Looks for that stub among the places that the code at `start` calls, jumps to or takes the
// address of.
std::optional<uint64_t> MainBehindSelfRelocation(ElfFile* file, uint64_t start) {
  std::optional<uint64_t> main;
  const std::vector<uint8_t> code = file->ReadAtAddress(start, kSelfRelocationBytes);
  VisitInstructions(code, start, /*resync=*/true, [&](const Instruction& step) {
    std::optional<uint64_t> next;
    if (step.loads_register >= 0) next = step.loaded_address;
    if (step.is_call || step.is_jump) next = step.target;
    if (next && file->CodeOffset(*next)) main = MainFromMuslStub(file, *next);
    return !main;
  });
  return main;
}

std::optional<uint64_t> MainFromStartCode(ElfFile* file, const ImageFacts& facts) {
  std::optional<uint64_t> target;
  std::optional<uint64_t> main = FirstArgument(file, facts.entry_address, &target);
  // musl's _start only calls _start_c, which does the rest.
  if (facts.libc == Libc::kMusl && target) {
    std::optional<uint64_t> next;
    main = FirstArgument(file, *target, &next);
    if (!main) main = MainBehindSelfRelocation(file, *target);
  }
  if (!main || *main == 0 || !file->CodeOffset(*main)) return std::nullopt;
  return main;
}

// A static-pie program relocates itself from __libc_start_main: the instruction after that call.
void FindSelfRelocation(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  const auto start = symbols.Find("__libc_start_main");
  const auto relocate = symbols.Find("_dl_relocate_static_pie");
  if (!start || !relocate || facts->linkage != Linkage::kStaticPie) return;
  const std::vector<uint8_t> code =
      file->ReadAtAddress(start->address, std::min<uint64_t>(start->size, 1u << 16));
  VisitInstructions(code, start->address, /*resync=*/true, [&](const Instruction& step) {
    if (!step.is_call || step.target != relocate->address) return true;
    AddSite(file, MarkKind::kSelfRelocated, relocate->rung, step.address + step.length,
            relocate->name, facts);
    return false;
  });
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
}

}  // namespace

void FindExecutableMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  AddSite(file, MarkKind::kEntry, SiteRung::kElfEntry, facts->entry_address, "", facts);
  if (facts->language == Language::kGo) return FindGoMarks(file, symbols, facts);
  if (facts->libc == Libc::kNone) return;  // its entry point is all it has
  FindSelfRelocation(file, symbols, facts);
  if (facts->linkage != Linkage::kDynamic) {
    if (const auto start = symbols.Find("__libc_start_main")) {
      AddSite(file, MarkKind::kLibcStart, start->rung, start->address, start->name, facts);
    }
  }
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
  } else {
    AddSite(file, MarkKind::kMain, rung, *main, "main", facts);
  }
}

}  // namespace startscope
