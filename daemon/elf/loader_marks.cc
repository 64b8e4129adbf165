// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "daemon/elf/code.h"
#include "daemon/elf/mark_finder.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxCodeBytes = 8u << 20;
constexpr int kRsi = 6;
// Registers of the first four arguments: %rdi, %rsi, %rdx, %rcx.
constexpr uint32_t kArguments = 1u << 7 | 1u << 6 | 1u << 2 | 1u << 1;
constexpr uint64_t kMaxConstantBytes = 4u << 20;
// What _dl_relocate_object() says under LD_DEBUG=reloc (elf/dl-reloc.c), and nothing else does.
constexpr std::string_view kRelocationMessage("\nrelocation processing: %s%s\n\0", 30);
// _dl_debug_change_state() has 44 bytes in glibc 2.41.
constexpr uint64_t kMaxStateSetterBytes = 96;

// r_state values of struct r_debug (<link.h>); the loader stores one, then calls _dl_debug_state().
constexpr int64_t kStateOffset = 0x18;
enum RState : uint32_t { kConsistent = 0, kAdd = 1, kDelete = 2 };

struct StateCall {
  uint64_t address = 0;   // of the call instruction
  uint64_t function = 0;  // start of the function it lies in
  uint32_t state = kDelete;
};

struct Function {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;
  [[nodiscard]] bool Holds(uint64_t address) const { return address >= begin && address < end; }
};

// The function that holds `address`, by the unwinding table.
uint64_t FunctionOf(const std::vector<uint64_t>& starts, uint64_t address) {
  const auto after = std::upper_bound(starts.begin(), starts.end(), address);
  return after == starts.begin() ? 0 : *std::prev(after);
}

struct Code {
  std::vector<uint8_t> bytes;
  uint64_t address = 0;
};

Code ReadCode(ElfFile* file) {
  const ElfSection* text = file->FindSection(".text");
  if (text != nullptr && (text->flags & SHF_EXECINSTR) != 0) {
    return {file->ReadSection(*text, kMaxCodeBytes), text->address};
  }
  for (const Elf64_Phdr& segment : file->segments()) {
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
      return {file->ReadAtAddress(segment.p_vaddr, kMaxCodeBytes), segment.p_vaddr};
    }
  }
  return {};
}

// Every call of `callee`, with the state that was stored last before it, in straight line. With
// `by_argument` the state is the second argument of the call instead.
void FindStateCalls(const Code& code, uint64_t callee, bool by_argument,
                    const std::vector<uint64_t>& starts, std::vector<StateCall>* calls) {
  std::optional<uint32_t> state;
  VisitInstructions(code.bytes, code.address, /*resync=*/true, [&](const Instruction& step) {
    if (by_argument && step.loads_register == kRsi) {
      state = static_cast<uint32_t>(step.loaded_address);
    } else if (!by_argument && step.stored_bits == 32 && step.store_displacement == kStateOffset) {
      state = static_cast<uint32_t>(step.stored_immediate);
    }
    if (step.is_call && step.target == callee) {
      calls->push_back({step.address, FunctionOf(starts, step.address), state.value_or(kDelete)});
    }
    if (step.ends_straight_line) state.reset();
    return true;
  });
}

// The function that sets the state for all others, where there is one (since glibc 2.41): a small
// one that ends in a jump to _dl_debug_state().
std::optional<uint64_t> FindStateSetter(const Code& code, uint64_t debug_state,
                                        const std::vector<uint64_t>& starts) {
  std::optional<uint64_t> setter;
  VisitInstructions(code.bytes, code.address, /*resync=*/true, [&](const Instruction& step) {
    if (!step.is_jump || step.target != debug_state) return true;
    const uint64_t function = FunctionOf(starts, step.address);
    if (function == 0 || step.address - function > kMaxStateSetterBytes) return true;
    setter = function;
    return false;
  });
  return setter;
}

// dl_main is the only function that announces both the beginning and the end of loading.
std::optional<uint64_t> FindDlMain(const std::vector<StateCall>& calls) {
  std::map<uint64_t, uint32_t> states;  // function -> bits of the states it announces
  for (const StateCall& call : calls) {
    if (call.function != 0 && call.state <= kDelete) states[call.function] |= 1u << call.state;
  }
  for (const auto& [function, bits] : states) {
    if (bits == ((1u << kAdd) | (1u << kConsistent))) return function;
  }
  return std::nullopt;
}

// SDT notes of ld.so: init_start and init_complete (elf/rtld.c).
void AddSdtMarks(ElfFile* file, ImageFacts* facts) {
  const ElfSection* notes = file->FindSection(".note.stapsdt");
  const ElfSection* base = file->FindSection(".stapsdt.base");
  if (notes == nullptr) return;
  const std::vector<uint8_t> bytes = file->ReadSection(*notes, 1u << 20);
  size_t at = 0;
  while (at + 12 <= bytes.size()) {
    uint32_t sizes[3];
    std::memcpy(sizes, bytes.data() + at, sizeof(sizes));
    const uint64_t content = at + 12 + ((uint64_t{sizes[0]} + 3) & ~uint64_t{3});
    const uint64_t end = content + ((uint64_t{sizes[1]} + 3) & ~uint64_t{3});
    if (end > bytes.size() || sizes[1] < 26) return;
    uint64_t words[3];
    std::memcpy(words, bytes.data() + content, sizeof(words));
    const char* text = reinterpret_cast<const char*>(bytes.data() + content + 24);
    const size_t room = sizes[1] - 24;
    const std::string provider(text, strnlen(text, room));
    if (provider.size() + 1 < room) {
      const char* second = text + provider.size() + 1;
      const std::string name(second, strnlen(second, room - provider.size() - 1));
      const uint64_t shift = base != nullptr ? base->address - words[1] : 0;
      if (provider == "rtld" && name == "init_start") {
        AddSite(file, MarkKind::kDependenciesBegin, SiteRung::kSdt, words[0] + shift, name, facts);
      } else if (provider == "rtld" && name == "init_complete") {
        AddSite(file, MarkKind::kRelocated, SiteRung::kSdt, words[0] + shift, name, facts);
      }
    }
    at = end;
  }
}

void VisitFunction(const Code& code, const Function& function,
                   const std::function<bool(const Instruction&)>& visit) {
  if (function.begin < code.address || function.begin - code.address >= code.bytes.size()) return;
  const uint64_t into = function.begin - code.address;
  const uint64_t size = std::min(code.bytes.size() - into, function.end - function.begin);
  VisitInstructions(std::span(code.bytes).subspan(into, size), function.begin, /*resync=*/true,
                    visit);
}

// The instruction after dl_main's call of _dl_map_object_deps(): all dependencies are mapped.
void AddDependenciesMapped(ElfFile* file, const SymbolLadder& symbols, const Code& code,
                           const Function& dl_main, ImageFacts* facts) {
  const std::optional<FoundSymbol> mapper = symbols.Find("_dl_map_object_deps");
  if (!mapper) return;
  VisitFunction(code, dl_main, [&](const Instruction& step) {
    if (!step.is_call || step.target != mapper->address) return true;
    AddSite(file, MarkKind::kDependenciesMapped, mapper->rung, step.address + step.length,
            mapper->name, facts);
    return false;
  });
}

// Where a text is in the read-only data, if it is there once.
std::optional<uint64_t> FindConstant(ElfFile* file, std::string_view text) {
  std::optional<uint64_t> found;
  for (const Elf64_Phdr& segment : file->segments()) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::vector<uint8_t> bytes = file->ReadAtAddress(segment.p_vaddr, kMaxConstantBytes);
    auto at = std::search(bytes.begin(), bytes.end(), text.begin(), text.end());
    while (at != bytes.end()) {
      if (found) return std::nullopt;
      found = segment.p_vaddr + static_cast<uint64_t>(at - bytes.begin());
      at = std::search(at + 1, bytes.end(), text.begin(), text.end());
    }
  }
  return found;
}

// Without symbols: the only function that takes the address of a message of _dl_relocate_object(),
// if dl_main calls it. A part of the function that was moved elsewhere is called by nobody.
std::optional<uint64_t> FindRelocateObject(ElfFile* file, const Code& code,
                                           const Function& dl_main) {
  const std::optional<uint64_t> message = FindConstant(file, kRelocationMessage);
  if (!message) return std::nullopt;
  const std::vector<uint64_t>& starts = file->FunctionStarts();
  std::set<uint64_t> users;
  VisitInstructions(code.bytes, code.address, /*resync=*/true, [&](const Instruction& step) {
    if (step.loads_register >= 0 && step.loaded_address == *message) {
      users.insert(FunctionOf(starts, step.address));
    }
    return users.size() < 2;
  });
  if (users.size() != 1 || *users.begin() == 0) return std::nullopt;
  bool called = false;
  VisitFunction(code, dl_main, [&](const Instruction& step) {
    called = step.is_call && step.target == *users.begin();
    return !called;
  });
  if (!called) return std::nullopt;
  return *users.begin();
}

// The entry, with the arguments where the caller put them: what is relocated, and how. Since 2.41
// the work is done in a function of its own, which dl_main calls for ld.so itself and which
// _dl_relocate_object() calls for all others.
void AddRelocateObject(ElfFile* file, const SymbolLadder& symbols, const Code& code,
                       const Function& dl_main, ImageFacts* facts) {
  constexpr char kName[] = "_dl_relocate_object";
  auto symbol = symbols.Find("_dl_relocate_object_no_relro");
  if (!symbol) symbol = symbols.Find(kName);
  if (symbol) {
    AddSite(file, MarkKind::kRelocateObject, symbol->rung, symbol->address, symbol->name, facts,
            kArguments);
  } else if (const auto found = FindRelocateObject(file, code, dl_main)) {
    AddSite(file, MarkKind::kRelocateObject, SiteRung::kCallSite, *found, kName, facts, kArguments);
  }
}

// dl_main's call of _dl_allocate_tls_init(), which gives thread-local variables of the first thread
// their values once all is relocated, and the instruction after it. None where there are more calls
// than one: which of them is made is not told.
void AddTlsMarks(ElfFile* file, const SymbolLadder& symbols, const Code& code,
                 const Function& dl_main, ImageFacts* facts) {
  const auto callee = symbols.Find("_dl_allocate_tls_init");
  if (!callee) return;
  std::vector<Instruction> calls;
  VisitFunction(code, dl_main, [&](const Instruction& step) {
    if (step.is_call && step.target == callee->address) calls.push_back(step);
    return calls.size() < 2;
  });
  if (calls.size() != 1) return;
  AddSite(file, MarkKind::kTlsBegin, SiteRung::kCallSite, calls[0].address, callee->name, facts);
  AddSite(file, MarkKind::kTlsEnd, SiteRung::kCallSite, calls[0].address + calls[0].length,
          callee->name, facts);
}

void FindGlibcMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  AddSdtMarks(file, facts);
  const std::optional<FoundSymbol> debug_state = symbols.Find("_dl_debug_state");
  if (!debug_state) return;
  const Code code = ReadCode(file);
  const std::vector<uint64_t>& starts = file->FunctionStarts();
  std::vector<StateCall> calls;
  FindStateCalls(code, debug_state->address, /*by_argument=*/false, starts, &calls);
  if (const auto setter = FindStateSetter(code, debug_state->address, starts)) {
    FindStateCalls(code, *setter, /*by_argument=*/true, starts, &calls);
  }
  const std::optional<FoundSymbol> named = symbols.Find("dl_main");
  Function dl_main;
  const std::optional<uint64_t> begin = named ? named->address : FindDlMain(calls);
  if (!begin) return;
  const auto next = std::upper_bound(starts.begin(), starts.end(), *begin);
  dl_main = {*begin, next == starts.end() ? UINT64_MAX : *next};
  // A size is what a symbol table says: it makes the function no longer.
  if (named) dl_main.end = std::min(dl_main.end, *begin + named->size);
  for (const StateCall& call : calls) {
    if (!dl_main.Holds(call.address)) continue;
    const MarkKind kind = call.state == kAdd ? MarkKind::kDependenciesBegin : MarkKind::kRelocated;
    if (call.state != kAdd && call.state != kConsistent) continue;
    AddSite(file, kind, SiteRung::kCallSite, call.address, "_dl_debug_state", facts);
  }
  AddDependenciesMapped(file, symbols, code, dl_main, facts);
  AddRelocateObject(file, symbols, code, dl_main, facts);
  AddTlsMarks(file, symbols, code, dl_main, facts);
}

// musl announces once, at the end of __dls3; other callers belong to dlopen and dlclose.
void FindMuslMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  const std::optional<FoundSymbol> stage3 = symbols.Find("__dls3");
  const std::optional<FoundSymbol> debug_state = symbols.Find("_dl_debug_state");
  if (stage3) {
    AddSite(file, MarkKind::kDependenciesBegin, stage3->rung, stage3->address, stage3->name, facts);
  }
  if (stage3 && debug_state && stage3->size != 0) {
    const Code code = {
        file->ReadAtAddress(stage3->address, std::min<uint64_t>(stage3->size, 1u << 16)),
        stage3->address};
    std::vector<StateCall> calls;
    FindStateCalls(code, debug_state->address, /*by_argument=*/false, {}, &calls);
    for (const StateCall& call : calls) {
      AddSite(file, MarkKind::kRelocated, SiteRung::kCallSite, call.address, debug_state->name,
              facts);
    }
  }
  if (const auto start = symbols.Find("__libc_start_main")) {
    AddSite(file, MarkKind::kLibcStart, start->rung, start->address, start->name, facts);
  }
}

}  // namespace

void FindLoaderMarks(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  AddSite(file, MarkKind::kLoaderEntry, SiteRung::kElfEntry, facts->entry_address, "", facts);
  if (facts->libc == Libc::kMusl) {
    FindMuslMarks(file, symbols, facts);
  } else {
    FindGlibcMarks(file, symbols, facts);
  }
}

}  // namespace startscope
