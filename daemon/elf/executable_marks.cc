// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <cstring>
#include <optional>

#include "daemon/elf/code.h"
#include "daemon/elf/mark_finder.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr int kRdi = 7;
constexpr uint64_t kStubBytes = 96;
constexpr uint64_t kMaxRelocationBytes = 8u << 20;

// The pointer that will be in the word at `address` once the file is loaded: the addend of its
// relative relocation, or what the file holds.
std::optional<uint64_t> PointerAt(ElfFile* file, uint64_t address) {
  for (const ElfSection& section : file->sections()) {
    if (section.type != SHT_RELA) continue;
    const std::vector<uint8_t> bytes = file->ReadSection(section, kMaxRelocationBytes);
    for (size_t at = 0; at + sizeof(Elf64_Rela) <= bytes.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, bytes.data() + at, sizeof(relocation));
      if (relocation.r_offset == address &&
          ELF64_R_TYPE(relocation.r_info) == R_X86_64_RELATIVE) {
        return static_cast<uint64_t>(relocation.r_addend);
      }
    }
  }
  const std::vector<uint8_t> word = file->ReadAtAddress(address, 8);
  if (word.size() != 8) return std::nullopt;
  uint64_t value = 0;
  std::memcpy(&value, word.data(), sizeof(value));
  return value;
}

// The last address put into %rdi before the first call or jump away, decoding from `address`; in
// start-up stubs that is main, the first argument of __libc_start_main (glibc csu/, musl crt/).
std::optional<uint64_t> FirstArgument(ElfFile* file, uint64_t address,
                                      std::optional<uint64_t>* call_target) {
  std::optional<uint64_t> argument;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kStubBytes);
  VisitInstructions(code, address, /*resync=*/false, [&](const Instruction& step) {
    if (step.loads_register == kRdi) argument = step.loaded_address;
    if (step.loads_memory_register == kRdi) argument = PointerAt(file, step.loaded_from);
    if (step.is_call || step.is_jump) *call_target = step.target;
    return !step.ends_straight_line;
  });
  return argument;
}

std::optional<uint64_t> MainFromStartCode(ElfFile* file, const ImageFacts& facts) {
  std::optional<uint64_t> target;
  std::optional<uint64_t> main = FirstArgument(file, facts.entry_address, &target);
  // musl's _start only calls _start_c, which does the rest.
  if (facts.libc == Libc::kMusl && target) {
    std::optional<uint64_t> next;
    main = FirstArgument(file, *target, &next);
  }
  if (!main || !file->CodeOffset(*main)) return std::nullopt;
  return main;
}

// In the C main that rustc generates: the first code address it takes is the program's own main, and
// what it calls then is std::rt::lang_start, or what that was inlined into.
void FindRustMarks(ElfFile* file, const SymbolLadder& symbols, uint64_t shim, SiteRung shim_rung,
                   ImageFacts* facts) {
  std::optional<uint64_t> own_main;
  std::optional<uint64_t> call;
  const std::vector<uint8_t> code = file->ReadAtAddress(shim, kStubBytes);
  VisitInstructions(code, shim, /*resync=*/false, [&](const Instruction& step) {
    if (!own_main && step.loads_register >= 0 && file->CodeOffset(step.loaded_address)) {
      own_main = step.loaded_address;
    }
    if (!own_main && step.loads_memory_register >= 0) {
      const std::optional<uint64_t> pointer = PointerAt(file, step.loaded_from);
      if (pointer && file->CodeOffset(*pointer)) own_main = pointer;
    }
    if (step.is_call || step.is_jump) call = step.address;
    return !step.ends_straight_line;
  });
  if (own_main) {
    facts->main_address = *own_main;
    AddSite(file, MarkKind::kMain, SiteRung::kCallSite, *own_main, "main", facts);
    const auto lang_start = symbols.Find("lang_start");
    if (lang_start) {
      AddSite(file, MarkKind::kRustLangStart, lang_start->rung, lang_start->address,
              "std::rt::lang_start", facts);
    } else if (call) {
      AddSite(file, MarkKind::kRustLangStart, SiteRung::kCallSite, *call, "std::rt::lang_start",
              facts);
    }
  } else {
    AddSite(file, MarkKind::kMain, shim_rung, shim, "main", facts);
  }
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
