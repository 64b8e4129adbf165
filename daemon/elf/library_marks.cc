// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <elf.h>

#include "daemon/elf/code.h"
#include "daemon/elf/mark_finder.h"

namespace startscope {
namespace {

constexpr uint64_t kLongestInstruction = 15;

}  // namespace

void FindLibraryMarks(ElfFile* file, ImageFacts* facts) {
  bool open = false;
  bool close = false;
  file->VisitSymbols(SHT_DYNSYM, [&](const ElfSymbol& symbol) {
    if (!symbol.defined || symbol.type != STT_FUNC) return;
    const bool is_open = symbol.name == "dlopen";
    if (!is_open && symbol.name != "dlclose") return;
    bool& found = is_open ? open : close;
    const auto offset = file->CodeOffset(symbol.address);
    if (found || !offset) return;
    // Exactly the first instruction, whatever it costs: its arguments and the return address are wanted,
    // and it is rare.
    MarkSite site;
    site.kind = is_open ? MarkKind::kDlopen : MarkKind::kDlclose;
    site.rung = SiteRung::kDynsym;
    VisitInstructions(file->ReadAtAddress(symbol.address, kLongestInstruction), symbol.address, false,
                      [&](const Instruction& first) {
                        found = first.probeable;
                        site.cost = first.emulated ? StepCost::kEmulated : StepCost::kSingleStepped;
                        return false;
                      });
    if (!found) return;
    site.file_offset = *offset;
    site.address = symbol.address;
    site.symbol = std::string(symbol.name);
    facts->sites.push_back(std::move(site));
  });
}

}  // namespace startscope
