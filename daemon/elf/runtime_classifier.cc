// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/runtime_classifier.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/elf/go_functions.h"

namespace startscope {
namespace {

constexpr uint64_t kMaxScannedBytes = 8u << 20;

bool Contains(const std::vector<uint8_t>& bytes, std::string_view text) {
  return std::search(bytes.begin(), bytes.end(), text.begin(), text.end()) != bytes.end();
}

std::vector<uint8_t> SectionBytes(ElfFile* file, const char* name) {
  const ElfSection* section = file->FindSection(name);
  if (section == nullptr || section->type == SHT_NOBITS) return {};
  return file->ReadAt(section->offset, std::min(section->size, kMaxScannedBytes));
}

// Text after `marker` up to the first character that is neither digit nor dot.
std::string VersionAfter(const std::vector<uint8_t>& bytes, std::string_view marker) {
  auto at = std::search(bytes.begin(), bytes.end(), marker.begin(), marker.end());
  if (at == bytes.end()) return {};
  at += static_cast<std::ptrdiff_t>(marker.size());
  std::string version;
  while (at != bytes.end() && version.size() < 16 && (std::isdigit(*at) != 0 || *at == '.')) {
    version += static_cast<char>(*at++);
  }
  while (!version.empty() && version.back() == '.') version.pop_back();
  return version;
}

bool BeginsWith(const std::vector<uint8_t>& code, size_t at, std::initializer_list<uint8_t> bytes) {
  return code.size() >= at + bytes.size() &&
         std::equal(bytes.begin(), bytes.end(), code.begin() + static_cast<std::ptrdiff_t>(at));
}

// musl's start stub (arch/x86_64/crt_arch.h): xor %rbp,%rbp; mov %rsp,%rdi; lea _DYNAMIC(%rip),%rsi;
// and $-16,%rsp; call. In a static non-PIE link the lea may have become a mov of an immediate.
// arch/i386: xor %ebp,%ebp; mov %esp,%eax; and $-16,%esp; push %eax; push %eax.
bool IsMuslStart(const std::vector<uint8_t>& code, bool is_64_bit) {
  if (!is_64_bit) {
    return BeginsWith(code, 0, {0x31, 0xed, 0x89, 0xe0, 0x83, 0xe4, 0xf0, 0x50, 0x50});
  }
  constexpr uint8_t kAlign[] = {0x48, 0x83, 0xe4, 0xf0, 0xe8};
  if (code.size() < 24 || !BeginsWith(code, 0, {0x48, 0x31, 0xed, 0x48, 0x89, 0xe7})) return false;
  const auto end = code.begin() + 24;
  return std::search(code.begin(), end, std::begin(kAlign), std::end(kAlign)) != end;
}

// glibc's start stub (sysdeps/x86_64/start.S), with or without endbr64: xor %ebp,%ebp;
// mov %rdx,%r9; pop %rsi. sysdeps/i386/start.S: xor %ebp,%ebp; pop %esi; mov %esp,%ecx; and $-16,%esp.
bool IsGlibcStart(const std::vector<uint8_t>& code, bool is_64_bit) {
  const size_t skip = BeginsWith(code, 0, {0xf3, 0x0f, 0x1e}) ? 4 : 0;
  if (!is_64_bit) return BeginsWith(code, skip, {0x31, 0xed, 0x5e, 0x89, 0xe1, 0x83, 0xe4, 0xf0});
  return BeginsWith(code, skip, {0x31, 0xed, 0x49, 0x89, 0xd1, 0x5e});
}

void ClassifyKindAndLinkage(const ElfDynamic& dynamic, const SymbolLadder& symbols,
                            bool is_loader_hint, ImageFacts* facts, uint16_t elf_type) {
  const std::string name = facts->path.substr(facts->path.rfind('/') + 1);
  const bool named_loader = name.rfind("ld-", 0) == 0 || name.rfind("ld.so", 0) == 0 ||
                            facts->soname.rfind("ld-", 0) == 0;
  if (!facts->interpreter.empty()) {
    facts->kind = ImageKind::kExecutable;
    facts->linkage = Linkage::kDynamic;
  } else if (elf_type == ET_EXEC) {
    facts->kind = ImageKind::kExecutable;
    facts->linkage = Linkage::kStatic;
  } else if (elf_type == ET_DYN && facts->entry_address != 0 &&
             (is_loader_hint || named_loader || symbols.exports_debug_state())) {
    facts->kind = ImageKind::kLoader;
  } else if (elf_type == ET_DYN && (dynamic.flags_1 & DF_1_PIE) != 0) {
    facts->kind = ImageKind::kExecutable;
    facts->linkage = Linkage::kStaticPie;
  } else if (elf_type == ET_DYN && facts->soname.empty() && facts->entry_address != 0) {
    facts->kind = ImageKind::kExecutable;
    facts->linkage = Linkage::kStaticPie;
  } else if (elf_type == ET_DYN) {
    facts->kind = ImageKind::kLibrary;
  }
}

std::string ClassifyLanguage(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts) {
  if (const std::string go = GoEvidence(file); !go.empty()) {
    facts->language = Language::kGo;
    return absl::StrCat("Go: ", go);
  }
  if (!facts->is_64_bit) {
    facts->language = Language::kUnknown;
    return "language: not looked for in 32-bit programs";
  }
  if (symbols.saw_rust()) {
    facts->language = Language::kRust;
    return "Rust: symbols of its runtime";
  }
  if (Contains(SectionBytes(file, ".comment"), "rustc version")) {
    facts->language = Language::kRust;
    return "Rust: section .comment names rustc";
  }
  // Messages of panics inside the standard library name its source files, wherever it was built.
  const std::vector<uint8_t> constants = SectionBytes(file, ".rodata");
  for (const char* path : {"/rustc/", "library/std/src/", "library/core/src/"}) {
    if (!Contains(constants, path)) continue;
    facts->language = Language::kRust;
    return "Rust: paths of its standard library in .rodata";
  }
  if (facts->libc == Libc::kNone) {
    facts->language = Language::kUnknown;
    return "language: no evidence";
  }
  facts->language = Language::kCOrCpp;
  return "C or C++: no other runtime found";
}

std::string ClassifyLibc(ElfFile* file, const SymbolLadder& symbols, ImageFacts* facts,
                         const std::vector<uint8_t>& entry) {
  // A loader's path says little: musl's is often called libc.so.
  if (facts->kind == ImageKind::kLoader && symbols.exports_musl_stages()) {
    facts->libc = Libc::kMusl;
    return "musl: exports its loader's stages";
  }
  const std::string& named = facts->kind == ImageKind::kLoader ? facts->path : facts->interpreter;
  if (facts->kind == ImageKind::kLoader || facts->linkage == Linkage::kDynamic) {
    if (named.find("ld-musl") != std::string::npos) {
      facts->libc = Libc::kMusl;
    } else if (named.find("ld-linux") != std::string::npos ||
               named.find("ld64.so") != std::string::npos ||
               named.find("/ld-2.") != std::string::npos ||  // until 2.33
               facts->soname.rfind("ld-linux", 0) == 0) {
      facts->libc = Libc::kGlibc;
    } else {
      facts->libc = Libc::kUnknown;
    }
    return absl::StrCat("libc: loader ", named);
  }
  for (const char* section : {"__libc_freeres_fn", "__libc_atexit", "__libc_IO_vtables"}) {
    if (file->FindSection(section) == nullptr) continue;
    facts->libc = Libc::kGlibc;
    return absl::StrCat("glibc: section ", section);
  }
  const bool is_x86 = facts->machine == (facts->is_64_bit ? EM_X86_64 : EM_386);
  if (is_x86 && IsMuslStart(entry, facts->is_64_bit)) {
    facts->libc = Libc::kMusl;
    return "musl: its start code";
  }
  if (is_x86 && IsGlibcStart(entry, facts->is_64_bit)) {
    facts->libc = Libc::kGlibc;
    return "glibc: its start code";
  }
  if (!is_x86 || !facts->is_64_bit) {
    facts->libc = Libc::kUnknown;
    return "libc: this program's start code is not known";
  }
  facts->libc = Libc::kNone;
  return "no libc: no loader, no libc's sections or start code";
}

}  // namespace

void ClassifyRuntime(ElfFile* file, const ElfDynamic& dynamic, const SymbolLadder& symbols,
                     bool is_loader_hint, ImageFacts* facts) {
  ClassifyKindAndLinkage(dynamic, symbols, is_loader_hint, facts, file->header().e_type);
  if (facts->kind == ImageKind::kUnknown) {
    facts->error = absl::StrCat(facts->path, ": neither a program nor a library");
    return;
  }
  if (facts->kind == ImageKind::kLibrary) return;
  const std::vector<uint8_t> entry = file->ReadAtAddress(facts->entry_address, 64);
  facts->evidence = ClassifyLibc(file, symbols, facts, entry);
  if (facts->kind == ImageKind::kExecutable) {
    absl::StrAppend(&facts->evidence, "; ", ClassifyLanguage(file, symbols, facts));
  }
  const bool carries_version =
      facts->kind == ImageKind::kLoader || facts->linkage != Linkage::kDynamic;
  if (facts->libc == Libc::kGlibc && carries_version) {
    // Sections of 32-bit files are not read; the text stands where it stands.
    const std::vector<uint8_t> constants =
        facts->is_64_bit ? SectionBytes(file, ".rodata") : file->ReadAt(0, kMaxScannedBytes);
    facts->libc_version = VersionAfter(constants, "release version ");
    if (facts->libc_version.empty() && facts->kind == ImageKind::kLoader) {
      // Loaders before 2.33 say it in their file's name only: ld-2.31.so.
      facts->libc_version = VersionAfter({facts->path.begin(), facts->path.end()}, "/ld-");
    }
  }
}

}  // namespace startscope
