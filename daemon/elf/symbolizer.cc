// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/symbolizer.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "daemon/elf/byte_source.h"
#include "daemon/elf/debug_file.h"
#include "daemon/elf/elf_file.h"
#include "daemon/elf/go_functions.h"
#include "daemon/elf/mini_debug.h"

namespace startscope {
namespace {

constexpr size_t kMaxNameBytes = 512;

// Collects, for each wanted address, the symbol that holds it.
class Lookup {
 public:
  explicit Lookup(std::vector<uint64_t> addresses) {
    for (size_t i = 0; i < addresses.size(); ++i) wanted_.push_back({addresses[i], i, 0, {}});
    std::sort(wanted_.begin(), wanted_.end(),
              [](const Wanted& a, const Wanted& b) { return a.address < b.address; });
  }

  void Offer(std::string_view name, uint64_t begin, uint64_t size) {
    if (name.empty() || begin == 0 || size == 0) return;
    auto it =
        std::lower_bound(wanted_.begin(), wanted_.end(), begin,
                         [](const Wanted& one, uint64_t address) { return one.address < address; });
    for (; it != wanted_.end() && it->address - begin < size; ++it) {
      // The smallest that holds it; of aliases the first.
      if (it->size != 0 && it->size <= size) continue;
      it->size = size;
      it->name.assign(name.substr(0, kMaxNameBytes));
    }
  }

  [[nodiscard]] bool complete() const {
    return std::all_of(wanted_.begin(), wanted_.end(),
                       [](const Wanted& one) { return one.size != 0; });
  }

  std::vector<std::string> Take() {
    std::vector<std::string> names(wanted_.size());
    for (Wanted& one : wanted_) names[one.index] = std::move(one.name);
    return names;
  }

 private:
  struct Wanted {
    uint64_t address = 0;
    size_t index = 0;
    uint64_t size = 0;  // of the symbol found
    std::string name;
  };
  std::vector<Wanted> wanted_;
};

bool OfferTable(ElfFile* file, uint32_t table, Lookup* lookup) {
  return file->VisitSymbols(table, [&](const ElfSymbol& symbol) {
    if (!symbol.defined) return;
    if (symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC || symbol.type == STT_NOTYPE) {
      lookup->Offer(symbol.name, symbol.address, symbol.size);
    }
  });
}

// False when there is none, or none with symbols.
bool OfferDebugFile(ElfFile* file, const SymbolizeOptions& options, Lookup* lookup) {
  const std::vector<ByteSource*> sources = MatchDebugFiles(file, options.debug_candidates);
  if (sources.empty()) return false;
  ElfFile debug(sources[0]);
  return debug.error().empty() && OfferTable(&debug, SHT_SYMTAB, lookup);
}

void OfferMiniDebug(ElfFile* file, Lookup* lookup) {
  const std::vector<uint8_t> unpacked = ReadMiniDebug(file);
  MemoryByteSource source(unpacked);
  ElfFile mini(&source);
  if (mini.error().empty()) OfferTable(&mini, SHT_SYMTAB, lookup);
}

// The table has starts only: each function ends where the next begins, the last with its segment.
void OfferGoFunctions(ElfFile* file, Lookup* lookup) {
  std::vector<std::pair<uint64_t, std::string>> functions;
  VisitGoFunctions(file, [&](std::string_view name, uint64_t address) {
    functions.emplace_back(address, std::string(name.substr(0, kMaxNameBytes)));
  });
  std::sort(functions.begin(), functions.end());
  if (functions.empty()) return;
  for (const Elf64_Phdr& segment : file->segments()) {
    const uint64_t last = functions.back().first;
    if (segment.p_type != PT_LOAD || last < segment.p_vaddr) continue;
    if (last - segment.p_vaddr >= segment.p_filesz) continue;
    functions.emplace_back(segment.p_vaddr + segment.p_filesz, "");
    break;
  }
  for (size_t i = 0; i + 1 < functions.size(); ++i) {
    lookup->Offer(functions[i].second, functions[i].first,
                  functions[i + 1].first - functions[i].first);
  }
}

}  // namespace

std::vector<std::string> FindFunctions(int fd, const std::vector<uint64_t>& file_offsets,
                                       const SymbolizeOptions& options) {
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::vector<std::string>(file_offsets.size());
  }
  FdByteSource source(fd, static_cast<uint64_t>(status.st_size));
  return FindFunctions(&source, file_offsets, options);
}

std::vector<std::string> FindFunctions(ByteSource* source,
                                       const std::vector<uint64_t>& file_offsets,
                                       const SymbolizeOptions& options) {
  ElfFile file(source);
  if (!file.error().empty() || !file.is_64_bit()) {
    return std::vector<std::string>(file_offsets.size());
  }
  std::vector<uint64_t> addresses(file_offsets.size());
  for (size_t i = 0; i < file_offsets.size(); ++i) {
    for (const Elf64_Phdr& segment : file.segments()) {
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      if (file_offsets[i] < segment.p_offset ||
          file_offsets[i] - segment.p_offset >= segment.p_filesz) {
        continue;
      }
      addresses[i] = segment.p_vaddr + (file_offsets[i] - segment.p_offset);
    }
  }
  Lookup lookup(std::move(addresses));
  if (!OfferTable(&file, SHT_SYMTAB, &lookup) && !OfferDebugFile(&file, options, &lookup)) {
    OfferMiniDebug(&file, &lookup);
  }
  if (!lookup.complete()) OfferTable(&file, SHT_DYNSYM, &lookup);
  if (!lookup.complete()) OfferGoFunctions(&file, &lookup);
  return lookup.Take();
}

}  // namespace startscope
