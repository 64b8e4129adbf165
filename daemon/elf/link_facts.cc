// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/link_facts.h"

#include <bit>
#include <vector>

namespace startscope {
namespace {

// Types of the x86-64 psABI, table "Relocation Types", by what ld.so does for each
// (sysdeps/x86_64/dl-machine.h).
uint64_t& CounterOf(uint32_t type, RelocationCounts* counts) {
  switch (type) {
    case R_X86_64_RELATIVE:
    case R_X86_64_RELATIVE64:
      return counts->relative;
    case R_X86_64_JUMP_SLOT:
      return counts->jump_slot;
    case R_X86_64_IRELATIVE:
      return counts->ifunc;
    case R_X86_64_COPY:
      return counts->copy;
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
    case R_X86_64_TLSDESC:
      return counts->tls;
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_PC64:
    case R_X86_64_PC32:
    case R_X86_64_32:
    case R_X86_64_32S:
    case R_X86_64_16:
    case R_X86_64_8:
    case R_X86_64_SIZE32:
    case R_X86_64_SIZE64:
      return counts->symbol;
    default:
      return counts->other;
  }
}

// An even word is an address; an odd one has a bit for each of the 63 words that follow (generic
// ABI, "Relative Relocation Table").
uint64_t CountPacked(const std::vector<uint64_t>& words) {
  uint64_t count = 0;
  for (const uint64_t word : words) {
    count += (word & 1) == 0 ? 1 : static_cast<uint64_t>(std::popcount(word >> 1));
  }
  return count;
}

// Without BIND_NOW the PLT's part of the GOT stays writable, for lazy binding. Static programs have
// no flags: there the linker leaves .got.plt outside of what is protected.
RelroKind RelroOf(const ElfFile& file, bool bind_now, bool dynamic) {
  const Elf64_Phdr* relro = file.FindSegment(PT_GNU_RELRO);
  if (relro == nullptr || relro->p_memsz == 0) return RelroKind::kNone;
  if (dynamic) return bind_now ? RelroKind::kFull : RelroKind::kPartial;
  const ElfSection* got = file.FindSection(".got.plt");
  const bool inside =
      got == nullptr ||
      (got->address >= relro->p_vaddr && got->address - relro->p_vaddr <= relro->p_memsz &&
       got->size <= relro->p_memsz - (got->address - relro->p_vaddr));
  return inside && !file.sections().empty() ? RelroKind::kFull : RelroKind::kPartial;
}

void CountSymbols(ElfFile* file, LinkFacts* link) {
  for (const Elf64_Sym& symbol : file->ReadSymbols(SHT_DYNSYM)) {
    if (symbol.st_shndx != SHN_UNDEF) {
      if (ELF64_ST_BIND(symbol.st_info) != STB_LOCAL) ++link->exported_symbols;
    } else if (symbol.st_name != 0) {
      ++link->imported_symbols;
    }
  }
  for (const ElfSection& section : file->sections()) {
    // The first entry of each table is empty.
    if (section.type == SHT_SYMTAB && section.size >= sizeof(Elf64_Sym) &&
        section.size <= link->file_bytes) {
      link->table_symbols = section.size / sizeof(Elf64_Sym) - 1;
      break;
    }
  }
}

}  // namespace

void ReadLinkFacts(ElfFile* file, uint64_t file_bytes, LinkFacts* link) {
  const ElfDynamic& dynamic = file->Dynamic();
  link->known = true;
  link->file_bytes = file_bytes;
  // Before DF_1_PIE there was only the interpreter to tell; libraries that can be executed have one
  // too, but also a name.
  link->position_independent_executable =
      file->header().e_type == ET_DYN &&
      ((dynamic.flags_1 & DF_1_PIE) != 0 ||
       (file->FindSegment(PT_INTERP) != nullptr && dynamic.soname.empty()));
  link->relr = dynamic.relr.address != 0 && dynamic.relr.bytes != 0;
  link->bind_now =
      dynamic.bind_now || (dynamic.flags & DF_BIND_NOW) != 0 || (dynamic.flags_1 & DF_1_NOW) != 0;
  link->text_relocations = dynamic.text_relocations || (dynamic.flags & DF_TEXTREL) != 0;
  link->prelinked = dynamic.prelinked || file->FindSection(".gnu.prelink_undo") != nullptr;
  link->sysv_hash = dynamic.hash != 0;
  link->gnu_hash = dynamic.gnu_hash != 0;
  const Elf64_Phdr* stack = file->FindSegment(PT_GNU_STACK);
  link->executable_stack = stack != nullptr && (stack->p_flags & PF_X) != 0;
  link->has_sdt_notes = file->FindSection(".note.stapsdt") != nullptr;
  link->relro = RelroOf(*file, link->bind_now, dynamic.present);
  link->rpath = dynamic.rpath;
  link->runpath = dynamic.runpath;
  if (const Elf64_Phdr* tls = file->FindSegment(PT_TLS)) link->tls_bytes = tls->p_memsz;
  CountSymbols(file, link);
  for (const Elf64_Rela& relocation : file->Relocations()) {
    ++CounterOf(ELF64_R_TYPE(relocation.r_info), &link->relocations);
  }
  link->relocations.relr = CountPacked(file->PackedRelocations());
}

}  // namespace startscope
