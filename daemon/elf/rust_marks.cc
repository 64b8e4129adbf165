// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/rust_marks.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/elf/code.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr int kRsi = 6;
constexpr int kRdi = 7;
constexpr uint64_t kShimBytes = 96;
constexpr uint64_t kClosureBytes = 32;
// Of the vtable of a `dyn Fn`: drop, size, align, call_once, call_mut, call.
constexpr uint64_t kVtableCall = 5 * 8;

// The C main that rustc generates: it widens argc to isize, takes the address of the crate's main
// and makes one call, of std::rt::lang_start or what that was inlined into.
struct Shim {
  uint64_t own_main = 0;
  std::optional<uint64_t> callee;
};

std::optional<uint64_t> CodeAddressTaken(ElfFile* file, const Instruction& step) {
  std::optional<uint64_t> address;
  if (step.loads_register >= 0) address = step.loaded_address;
  if (step.stored_bits == 64) address = step.stored_immediate;
  if (step.loads_memory_register >= 0) address = file->PointerAt(step.loaded_from);
  if (!address || *address == 0 || !file->CodeOffset(*address)) return std::nullopt;
  return address;
}

std::optional<Shim> ReadShim(ElfFile* file, uint64_t address) {
  Shim shim;
  bool widens_argc = false;
  bool called = false;
  bool complete = false;
  const std::vector<uint8_t> code = file->ReadAtAddress(address, kShimBytes);
  VisitInstructions(code, address, /*resync=*/false, [&](const Instruction& step) {
    widens_argc |= step.widens_register == kRdi;
    if (called) {
      complete = step.is_return;
      return !step.ends_straight_line;
    }
    if (step.is_call || step.is_jump) {
      shim.callee = step.target;
      called = true;
      complete = step.is_jump;
      return step.is_call;
    }
    if (shim.own_main == 0) shim.own_main = CodeAddressTaken(file, step).value_or(0);
    return !step.ends_straight_line;
  });
  if (!complete || !widens_argc || shim.own_main == 0) return std::nullopt;
  return shim;
}

// lang_start hands std a closure that does little but call the crate's main: the call in it, found
// through the closure's vtable, which goes along in %rsi.
std::optional<uint64_t> FindCallOfMain(ElfFile* file, uint64_t shim, const Shim& found) {
  std::vector<uint64_t> users = {shim};
  if (found.callee) users.push_back(*found.callee);
  std::optional<uint64_t> call;
  for (const uint64_t user : users) {
    const std::vector<uint8_t> code = file->ReadAtAddress(user, kShimBytes);
    VisitInstructions(code, user, /*resync=*/false, [&](const Instruction& step) {
      if (step.loads_register != kRsi || step.loaded_address > UINT64_MAX - kVtableCall) {
        return !step.ends_straight_line;
      }
      const auto closure = file->PointerAt(step.loaded_address + kVtableCall);
      if (!closure || !file->CodeOffset(*closure)) return !step.ends_straight_line;
      const std::vector<uint8_t> body = file->ReadAtAddress(*closure, kClosureBytes);
      VisitInstructions(body, *closure, /*resync=*/false, [&](const Instruction& inner) {
        if (inner.is_call && inner.target && file->CodeOffset(*inner.target)) call = inner.address;
        return !inner.ends_straight_line;
      });
      return false;
    });
    if (call) return call;
  }
  return std::nullopt;
}

// Whole-program optimisation inlines lang_start into the C main, but never
// __rust_begin_short_backtrace, which calls the crate's main or has it inlined.
std::optional<Instruction> FindShortBacktraceCall(ElfFile* file, const SymbolLadder& symbols,
                                                  uint64_t c_main) {
  std::optional<Instruction> call;
  const AddressRange function = file->FunctionAround(c_main);
  const std::vector<uint8_t> code = file->ReadAtAddress(c_main, function.end - c_main);
  VisitInstructions(code, c_main, /*resync=*/true, [&](const Instruction& step) {
    if (!step.is_call || !step.target || symbols.rust_short_backtraces().count(*step.target) == 0) {
      return true;
    }
    call = step;
    return false;
  });
  return call;
}

}  // namespace

void FindRustMarks(ElfFile* file, const SymbolLadder& symbols, uint64_t c_main, SiteRung rung,
                   ImageFacts* facts) {
  if (const std::optional<Shim> shim = ReadShim(file, c_main)) {
    facts->main_address = shim->own_main;
    uint64_t event = shim->own_main;
    const auto point = FindProbePoint(file, event);
    if (!point || point->cost != StepCost::kEmulated) {
      event = FindCallOfMain(file, c_main, *shim).value_or(event);
    }
    AddSite(file, MarkKind::kMain, SiteRung::kCallSite, event, "main", facts);
    // The C main does nothing but call it, and often begins with a cheaper instruction.
    const auto lang_start = symbols.Find("lang_start");
    const auto start_point = lang_start ? FindProbePoint(file, lang_start->address) : std::nullopt;
    if (start_point && start_point->cost == StepCost::kEmulated) {
      AddSite(file, MarkKind::kRustLangStart, lang_start->rung, lang_start->address,
              "std::rt::lang_start", facts);
    }
    AddSite(file, MarkKind::kRustLangStart, rung, c_main, "main", facts);
    return;
  }
  if (const auto call = FindShortBacktraceCall(file, symbols, c_main)) {
    facts->main_address = *call->target;
    AddSite(file, MarkKind::kMain, SiteRung::kCallSite, call->address,
            "__rust_begin_short_backtrace", facts);
    AddSite(file, MarkKind::kRustLangStart, rung, c_main, "main", facts);
    return;
  }
  facts->main_address = c_main;
  AddSite(file, MarkKind::kMain, rung, c_main, "main", facts);
  if (symbols.has_symtab()) {
    facts->language = Language::kCOrCpp;
    absl::StrAppend(&facts->evidence, ", but main does not start it: C or C++ with Rust linked in");
  } else {
    absl::StrAppend(&facts->evidence, ", its start-up code not told from main");
  }
}

}  // namespace startscope
