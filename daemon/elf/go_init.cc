// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/go_init.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "daemon/elf/code.h"
#include "daemon/elf/go_functions.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr size_t kMaxSymbolName = 240;  // longer ones are cut by the tables' readers
constexpr uint64_t kMaxFunctionBytes = 4096;
// Code of functions without a stack check that is looked through, all together.
constexpr uint64_t kMaxLeafBytes = 256u << 10;
constexpr uint64_t kPrologueBytes = 48;
constexpr int kPrologueInstructions = 5;
constexpr uint64_t kStackGrowthBytes = 24;

struct Function {
  uint64_t address = 0;
  std::string symbol;
  std::string package;
};

struct Functions {
  std::vector<Function> inits;
  uint64_t omitted = 0;
  uint64_t runtime_main = 0;
  uint64_t gcenable = 0;
  uint64_t do_init = 0;
  std::vector<uint64_t> starts;  // of all functions, ascending

  // Where the function at `address` ends: where the next one begins.
  [[nodiscard]] uint64_t EndOf(uint64_t address) const {
    const auto next = std::upper_bound(starts.begin(), starts.end(), address);
    const uint64_t limit = address + std::min(kMaxFunctionBytes, UINT64_MAX - address);
    return next == starts.end() ? limit : std::min(*next, limit);
  }
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The linker writes some characters of an import path as %xx (cmd/internal/objabi, PathToPrefix).
std::string Unescape(std::string_view path) {
  std::string result;
  for (size_t i = 0; i < path.size(); ++i) {
    const int high = i + 2 < path.size() ? HexDigit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? HexDigit(path[i + 2]) : -1;
    if (path[i] == '%' && high >= 0 && low >= 0) {
      result += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      result += path[i];
    }
  }
  return result;
}

Functions Collect(ElfFile* file, bool has_symtab) {
  Functions found;
  const auto take = [&found](std::string_view name, uint64_t address) {
    if (address == 0) return;
    found.starts.push_back(address);
    if (name == "runtime.main") found.runtime_main = address;
    if (name == "runtime.gcenable") found.gcenable = address;
    if (name == "runtime.doInit") found.do_init = address;
    std::optional<std::string> package = GoInitPackage(name);
    if (!package) return;
    if (found.inits.size() >= kMaxInitFunctions) {
      ++found.omitted;
      return;
    }
    found.inits.push_back({address, std::string(name), *std::move(package)});
  };
  if (has_symtab) {
    file->VisitSymbols(SHT_SYMTAB, [&](const ElfSymbol& symbol) {
      if (symbol.defined && symbol.type == STT_FUNC) take(symbol.name, symbol.address);
    });
  } else {
    VisitGoFunctions(file, take);
  }
  std::sort(found.starts.begin(), found.starts.end());
  return found;
}

// What the compiler appends to a function that may need more stack: a call of runtime.morestack and
// a jump back to the function's begin.
bool GrowsStack(ElfFile* file, uint64_t at, uint64_t function) {
  bool called = false;
  bool returns_to_begin = false;
  VisitInstructions(file->ReadAtAddress(at, kStackGrowthBytes), at, /*resync=*/false,
                    [&](const Instruction& step) {
                      if (called) returns_to_begin = step.is_jump && step.target == function;
                      const bool first_call = step.is_call && !called;
                      called |= step.is_call;
                      return first_call || !step.ends_straight_line;
                    });
  return returns_to_begin;
}

// The conditional jump with which nearly every Go function begins, to grow its stack: emulated, and
// reached only from the function's begin. Reached once more after the stack has grown.
std::optional<ProbePoint> FindStackCheck(ElfFile* file, uint64_t function) {
  std::optional<ProbePoint> point;
  int instructions = 0;
  VisitInstructions(file->ReadAtAddress(function, kPrologueBytes), function, /*resync=*/false,
                    [&](const Instruction& step) {
                      if (step.is_conditional && step.emulated && step.target &&
                          GrowsStack(file, *step.target, function)) {
                        point =
                            ProbePoint{step.address, static_cast<uint32_t>(step.address - function),
                                       StepCost::kEmulated};
                      }
                      return !step.ends_straight_line && ++instructions < kPrologueInstructions;
                    });
  return point;
}

// A function without a stack check calls nothing: it is short, and takes next to no time. It is
// worth a probe only where that costs little.
std::optional<ProbePoint> FindCheapPoint(ElfFile* file, uint64_t function, uint64_t end) {
  const std::vector<uint8_t> code = file->ReadAtAddress(function, end - function);
  const std::vector<uint64_t> targets = BranchTargets(code, function);
  std::optional<ProbePoint> point = ChooseProbePoint(code, function, targets);
  if (point && point->cost != StepCost::kEmulated) return std::nullopt;
  return point;
}

// runtime.main initialises the runtime's own packages, calls gcenable, and initialises everything
// else; until Go 1.20 with one call of doInit (runtime/proc.go of the respective release).
void MarkStages(ElfFile* file, const Functions& functions, SiteRung rung, ImageFacts* facts) {
  if (functions.runtime_main == 0 || functions.gcenable == 0) return;
  bool enabled = false;
  const auto add = [&](MarkKind kind, const Instruction& call, const char* symbol) {
    const StepCost cost = call.emulated ? StepCost::kEmulated : StepCost::kSingleStepped;
    auto site = MakeSite(file, kind, rung, {call.address, 0, cost}, symbol);
    if (site) facts->sites.push_back(*std::move(site));
  };
  const uint64_t begin = functions.runtime_main;
  const std::vector<uint8_t> code = file->ReadAtAddress(begin, functions.EndOf(begin) - begin);
  VisitInstructions(code, begin, /*resync=*/true, [&](const Instruction& step) {
    if (!step.is_call || !step.target) return true;
    if (!enabled && *step.target == functions.gcenable) {
      enabled = true;
      add(MarkKind::kInitEnd, step, "runtime.gcenable");
      return true;
    }
    if (!enabled || functions.do_init == 0 || *step.target != functions.do_init) return true;
    add(MarkKind::kGoMainInit, step, "runtime.doInit");
    return false;
  });
}

}  // namespace

std::optional<std::string> GoInitPackage(std::string_view symbol) {
  constexpr std::string_view kInit = "init";
  if (symbol.size() > kMaxSymbolName) return std::nullopt;
  const size_t slash = symbol.rfind('/');
  const size_t dot = symbol.find('.', slash == std::string_view::npos ? 0 : slash);
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view package = symbol.substr(0, dot);
  std::string_view name = symbol.substr(dot + 1);
  if (package.find('[') != std::string_view::npos) return std::nullopt;  // of a generic function
  if (name.substr(0, kInit.size()) != kInit) return std::nullopt;
  name.remove_prefix(kInit.size());
  if (!name.empty()) {
    const bool numbered = name[0] == '.' && name.size() > 1 &&
                          name.find_first_not_of("0123456789", 1) == std::string_view::npos;
    if (!numbered) return std::nullopt;
  }
  return Unescape(package);
}

void FindGoInits(ElfFile* file, bool has_symtab, ImageFacts* facts) {
  const SiteRung rung = has_symtab ? SiteRung::kSymtab : SiteRung::kGoTable;
  const Functions functions = Collect(file, has_symtab);
  uint64_t leaf_room = kMaxLeafBytes;
  facts->init_functions_omitted += functions.omitted;
  for (const Function& function : functions.inits) {
    if (facts->init_functions.size() >= kMaxInitFunctions) {
      ++facts->init_functions_omitted;
      continue;
    }
    InitFunction init;
    init.kind = InitKind::kGoPackage;
    init.address = function.address;
    init.symbol = function.symbol;
    init.rung = rung;
    init.unit = function.package;
    std::optional<ProbePoint> point = FindStackCheck(file, function.address);
    const uint64_t end = functions.EndOf(function.address);
    if (!point && end - function.address <= leaf_room) {
      leaf_room -= end - function.address;
      point = FindCheapPoint(file, function.address, end);
    }
    if (point) {
      auto site = MakeSite(file, MarkKind::kInitFunction, rung, *point, function.symbol);
      if (site) init.site = *std::move(site);
    }
    facts->init_functions.push_back(std::move(init));
  }
  MarkStages(file, functions, rung, facts);
}

}  // namespace startscope
