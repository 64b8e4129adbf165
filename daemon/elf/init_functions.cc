// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/init_functions.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

// Of code that is looked through for the sake of probes on init functions, over all of a file: what
// has two thousand of them has small ones.
constexpr uint64_t kMaxScannedBytes = 1u << 20;
// Of one table; the rest are not even counted.
constexpr size_t kMaxArrayEntries = 1u << 20;

// Where the tables are: the dynamic section says, in a file without one its sections.
struct InitTables {
  DynamicTable preinit_array;
  DynamicTable init_array;
  DynamicTable fini_array;
  uint64_t init = 0;
  uint64_t fini = 0;
};

InitTables FindTables(ElfFile* file) {
  const ElfDynamic& dynamic = file->Dynamic();
  if (dynamic.present) {
    return {dynamic.preinit_array, dynamic.init_array, dynamic.fini_array, dynamic.init,
            dynamic.fini};
  }
  InitTables tables;
  for (const ElfSection& section : file->sections()) {
    if ((section.flags & SHF_ALLOC) == 0) continue;
    const DynamicTable table = {section.address, section.size};
    if (section.type == SHT_PREINIT_ARRAY) tables.preinit_array = table;
    if (section.type == SHT_INIT_ARRAY) tables.init_array = table;
    if (section.type == SHT_FINI_ARRAY) tables.fini_array = table;
    if (section.name == ".init") tables.init = section.address;
    if (section.name == ".fini") tables.fini = section.address;
  }
  return tables;
}

bool IsSet(const FilePointer& pointer) {
  return pointer.kind == PointerKind::kUnknown ||
         (pointer.value != 0 && pointer.value != UINT64_MAX);
}

uint64_t CountSet(ElfFile* file, const DynamicTable& table) {
  const std::vector<FilePointer> pointers = file->PointersIn(table, kMaxArrayEntries);
  return static_cast<uint64_t>(std::count_if(pointers.begin(), pointers.end(), IsSet));
}

class Lister {
 public:
  Lister(ElfFile* file, ImageFacts* facts) : file_(file), facts_(facts) {}

  void AddArray(InitKind kind, const DynamicTable& table) {
    for (const FilePointer& pointer : file_->PointersIn(table, kMaxArrayEntries)) {
      if (IsSet(pointer)) Add(kind, pointer.value);
    }
  }
  // `address` 0: set, but by another object.
  void Add(InitKind kind, uint64_t address) {
    ++facts_->link.constructors;
    if (facts_->init_functions.size() >= kMaxInitFunctions) {
      ++facts_->init_functions_omitted;
      return;
    }
    InitFunction function;
    function.kind = kind;
    function.address = address;
    function.rung = SiteRung::kElfEntry;
    if (const MarkSite* site = SiteFor(address)) function.site = *site;
    facts_->init_functions.push_back(std::move(function));
  }

 private:
  // nullptr: there is no place for a probe, or too much was looked through already.
  const MarkSite* SiteFor(uint64_t address) {
    const auto known = sites_.find(address);
    if (known != sites_.end()) return known->second ? &*known->second : nullptr;
    std::optional<MarkSite>& site = sites_[address];
    if (address == 0 || !file_->CodeOffset(address)) return nullptr;
    const uint64_t cost = ProbePointCost(file_, address);
    if (cost > scannable_bytes_) return nullptr;
    scannable_bytes_ -= cost;
    // The rung of an address that the file's own headers state, whoever names the function.
    const std::optional<ProbePoint> point = FindProbePoint(file_, address);
    if (point) {
      site = MakeSite(file_, MarkKind::kInitFunction, SiteRung::kElfEntry, *point, "");
    }
    return site ? &*site : nullptr;
  }

  ElfFile* const file_;
  ImageFacts* const facts_;
  std::map<uint64_t, std::optional<MarkSite>> sites_;
  uint64_t scannable_bytes_ = kMaxScannedBytes;
};

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// What the compiler made a static initialiser's name of: the source file (clang; gcc for a file
// that defines nothing else that is global) or the first global symbol of the file (gcc). Forms:
// _GLOBAL__sub_I_NAME, _GLOBAL__sub_I.00101_NAME with a priority, _GLOBAL__I_NAME of old compilers.
std::string_view UnitOfName(std::string_view symbol) {
  for (const std::string_view start : {"_GLOBAL__sub_I", "_GLOBAL__I"}) {
    if (!StartsWith(symbol, start)) continue;
    symbol.remove_prefix(start.size());
    const size_t name = symbol.find('_');
    return name == std::string_view::npos ? std::string_view{} : symbol.substr(name + 1);
  }
  return {};
}

// Link-time optimisation names its own temporary files.
bool IsSourceFile(std::string_view name) {
  return !name.empty() && name[0] != '<' && name.find(".ltrans") == std::string_view::npos;
}

}  // namespace

void FindInitFunctions(ElfFile* file, ImageFacts* facts) {
  const InitTables tables = FindTables(file);
  Lister lister(file, facts);
  // Loaders take the preinit array of the executable alone, and musl not even that.
  if (facts->kind == ImageKind::kExecutable && facts->libc != Libc::kMusl) {
    lister.AddArray(InitKind::kPreinitArray, tables.preinit_array);
  }
  if (tables.init != 0) lister.Add(InitKind::kInit, tables.init);
  lister.AddArray(InitKind::kInitArray, tables.init_array);
  facts->link.destructors = CountSet(file, tables.fini_array) + (tables.fini != 0 ? 1 : 0);
}

void NameInitFunctions(ElfFile* table_file, uint32_t table, SiteRung rung, ImageFacts* facts) {
  std::multimap<uint64_t, InitFunction*> nameless;
  for (InitFunction& function : facts->init_functions) {
    if (function.symbol.empty() && function.address != 0) {
      nameless.emplace(function.address, &function);
    }
  }
  if (nameless.empty()) return;
  std::string source_file;  // of the local symbols that follow
  table_file->VisitSymbols(table, [&](const ElfSymbol& symbol) {
    if (symbol.type == STT_FILE) {
      source_file = IsSourceFile(symbol.name) ? symbol.name : std::string_view{};
      return;
    }
    if (!symbol.defined || (symbol.type != STT_FUNC && symbol.type != STT_NOTYPE)) return;
    const auto [begin, end] = nameless.equal_range(symbol.address);
    for (auto it = begin; it != end; ++it) {
      InitFunction& function = *it->second;
      function.symbol = std::string(symbol.name);
      function.rung = rung;
      if (function.kind == InitKind::kInit) continue;  // the compiler's own, of no source file
      function.unit =
          symbol.local && !source_file.empty() ? source_file : std::string(UnitOfName(symbol.name));
    }
    nameless.erase(begin, end);
  });
}

}  // namespace startscope
