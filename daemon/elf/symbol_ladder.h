// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_SYMBOL_LADDER_H_
#define STARTSCOPE_DAEMON_ELF_SYMBOL_LADDER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/elf/elf_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

struct FoundSymbol {
  uint64_t address = 0;
  uint64_t size = 0;
  SiteRung rung = SiteRung::kSymtab;
  std::string name;
};

// Tables of symbols that a stripped file has elsewhere; null where it has none.
struct OtherTables {
  std::vector<ByteSource*> debug_files;  // the best first
  ByteSource* mini_debug = nullptr;      // .gnu_debugdata, unpacked
};

// The few symbols that marks are placed by, each from the best table that has it: .symtab, then a
// separate debug file, then .gnu_debugdata, then Go's function table, then .dynsym. A table is
// believed only where a function may begin by the image's own account (function_check.h): debug
// files may be somebody's who must not have probes placed anywhere in a file that others execute.
class SymbolLadder {
 public:
  // Reads everything it will ever need.
  SymbolLadder(ElfFile* file, const OtherTables& others);

  [[nodiscard]] std::optional<FoundSymbol> Find(std::string_view name) const;
  [[nodiscard]] bool has_symtab() const { return has_symtab_; }
  [[nodiscard]] bool debug_file_used() const { return debug_file_used_; }
  // Some symbol shows that Rust's standard library is linked in.
  [[nodiscard]] bool saw_rust() const { return saw_rust_; }
  // Instances of std's __rust_begin_short_backtrace: what calls main, and threads' functions.
  [[nodiscard]] const std::set<uint64_t>& rust_short_backtraces() const {
    return rust_short_backtraces_;
  }
  // Program interpreters export _dl_debug_state for debuggers (<link.h>), and nothing else does.
  [[nodiscard]] bool exports_debug_state() const { return exports_debug_state_; }
  [[nodiscard]] bool exports_musl_stages() const { return exports_musl_stages_; }

 private:
  // False when there is no such table.
  bool Collect(ElfFile* file, uint32_t table, SiteRung rung);
  // False when there is none, or none with symbols.
  bool CollectOther(ByteSource* source, SiteRung rung);
  void CollectGoFunctions(ElfFile* file);
  void Offer(std::string_view key, const ElfSymbol& symbol, SiteRung rung);

  ElfFile* const image_;
  std::map<std::string, FoundSymbol, std::less<>> found_;
  bool has_symtab_ = false;
  bool debug_file_used_ = false;
  bool saw_rust_ = false;
  bool exports_debug_state_ = false;
  bool exports_musl_stages_ = false;
  std::set<uint64_t> rust_short_backtraces_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_SYMBOL_LADDER_H_
