// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/symbol_ladder.h"

#include <array>

#include "daemon/elf/function_check.h"
#include "daemon/elf/go_functions.h"

namespace startscope {
namespace {

// Searched for by exact name.
constexpr std::array<std::string_view, 18> kWanted = {
    "main",
    "main.main",
    "runtime.main",
    "runtime.schedinit",
    "_dl_debug_state",
    "dl_main",
    "_dl_map_object_deps",
    "_dlstart",
    "__dls2b",
    "__dls3",
    "__libc_start_main",
    "_start",
    "_start_c",
    "__init_libc",
    "_dl_relocate_static_pie",
    "_dl_relocate_object",
    "_dl_relocate_object_no_relro",
    "_dl_allocate_tls_init",
};

constexpr size_t kMaxShortBacktraces = 1024;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// std::rt::lang_start itself, in the legacy and the v0 mangling; not its closures, nor instances of
// generic functions for them.
bool IsLangStart(std::string_view name) {
  constexpr size_t kMaxCrateId = 16;
  constexpr std::string_view kGenericInCrateModule = "_RINvNtC";
  if (name.substr(0, 25) == "_ZN3std2rt10lang_start17h") return true;
  if (name.substr(0, kGenericInCrateModule.size()) != kGenericInCrateModule) return false;
  const size_t at = name.find("3std2rt10lang_start");
  return at != std::string_view::npos && at <= kGenericInCrateModule.size() + kMaxCrateId;
}

}  // namespace

SymbolLadder::SymbolLadder(ElfFile* file, const OtherTables& others) : image_(file) {
  has_symtab_ = Collect(file, SHT_SYMTAB, SiteRung::kSymtab);
  if (!has_symtab_) {
    for (ByteSource* const debug_file : others.debug_files) {
      debug_file_used_ |= CollectOther(debug_file, SiteRung::kDebugFile);
    }
    CollectOther(others.mini_debug, SiteRung::kMiniDebug);
    CollectGoFunctions(file);
  }
  Collect(file, SHT_DYNSYM, SiteRung::kDynsym);
}

std::optional<FoundSymbol> SymbolLadder::Find(std::string_view name) const {
  const auto found = found_.find(name);
  if (found == found_.end()) return std::nullopt;
  return found->second;
}

void SymbolLadder::Offer(std::string_view key, const ElfSymbol& symbol, SiteRung rung) {
  // Tables are read best first: what is known stays.
  if (found_.find(key) != found_.end() || !MayBeginFunction(image_, symbol.address)) return;
  found_.try_emplace(std::string(key),
                     FoundSymbol{symbol.address, symbol.size, rung, std::string(symbol.name)});
}

bool SymbolLadder::Collect(ElfFile* file, uint32_t table, SiteRung rung) {
  return file->VisitSymbols(table, [&](const ElfSymbol& symbol) {
    if (symbol.name == "rust_eh_personality" || symbol.name == "__rust_alloc") saw_rust_ = true;
    if (!symbol.defined || symbol.address == 0) return;
    if (symbol.type != STT_FUNC && symbol.type != STT_NOTYPE && symbol.type != STT_GNU_IFUNC) {
      return;
    }
    if (table == SHT_DYNSYM) {
      exports_debug_state_ |= symbol.name == "_dl_debug_state";
      exports_musl_stages_ |= symbol.name == "__dls2b" || symbol.name == "__dls3";
    }
    for (const std::string_view wanted : kWanted) {
      if (symbol.name == wanted) return Offer(wanted, symbol, rung);
    }
    if (Contains(symbol.name, "__rust_begin_short_backtrace") &&
        rust_short_backtraces_.size() < kMaxShortBacktraces) {
      rust_short_backtraces_.insert(symbol.address);
    }
    saw_rust_ |= Contains(symbol.name, "2rt10lang_start");
    if (IsLangStart(symbol.name)) Offer("lang_start", symbol, rung);
  });
}

bool SymbolLadder::CollectOther(ByteSource* source, SiteRung rung) {
  if (source == nullptr) return false;
  ElfFile other(source);
  return other.error().empty() && Collect(&other, SHT_SYMTAB, rung);
}

void SymbolLadder::CollectGoFunctions(ElfFile* file) {
  VisitGoFunctions(file, [&](std::string_view name, uint64_t address) {
    if (name != "main.main" && name != "runtime.main" && name != "runtime.schedinit") return;
    ElfSymbol symbol;
    symbol.name = name;
    symbol.address = address;
    Offer(name, symbol, SiteRung::kGoTable);
  });
}

}  // namespace startscope
