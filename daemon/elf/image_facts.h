// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What a file says about itself: the output type of the elf stage. Passive data, copied freely.
// Everything here came from an untrusted file and was bounds-checked, not believed: use a site only
// after checking that it lies in an executable segment (the inspector has done so).

#ifndef STARTSCOPE_DAEMON_ELF_IMAGE_FACTS_H_
#define STARTSCOPE_DAEMON_ELF_IMAGE_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace startscope {

// A file, by the numbers the kernel gives it. `device_*` as in stat(2)'s major() and minor().
struct FileId {
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;

  friend auto operator<=>(const FileId&, const FileId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FileId& id) {
    return H::combine(std::move(h), id.device_major, id.device_minor, id.inode);
  }
};

enum class Libc : uint8_t { kUnspecified, kGlibc, kMusl, kNone, kUnknown };
enum class Linkage : uint8_t { kUnspecified, kDynamic, kStatic, kStaticPie };
enum class Language : uint8_t { kUnspecified, kCOrCpp, kRust, kGo, kUnknown };

enum class ImageKind : uint8_t {
  kUnknown,
  kExecutable,  // has an entry point and is meant to be executed
  kLoader,      // a program interpreter: ld.so, ld-musl
  kLibrary,
  kScript,  // begins with #!: `interpreter` names the program
};

// The events a uprobe can be placed on. Values equal enum ss_mark_kind of bpf/event.h (a test
// compares them), because they travel in probe cookies.
enum class MarkKind : uint8_t {
  kNone = 0,
  kLoaderEntry = 1,
  kDependenciesBegin = 2,
  kRelocated = 3,
  kEntry = 4,
  kLibcStart = 5,
  kMain = 6,
  kGoSchedinit = 7,
  kGoRuntimeMain = 8,
  kRustLangStart = 9,
  kDependenciesMapped = 10,
  kSelfRelocated = 11,
  kDlopen = 12,
  kDlclose = 13,
  kInitFunction = 14,
  kRelocateObject = 15,
  kTlsBegin = 16,
  kTlsEnd = 17,
  kInitEnd = 18,
  kGoMainInit = 19,
  kRustStage = 20,
};

// Kinds that only a watch at level FUNCTIONS needs; bit per MarkKind.
inline constexpr uint32_t kFunctionMarks =
    1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 19 | 1u << 20;

// How a site was found, best first.
enum class SiteRung : uint8_t {
  kSdt,
  kSymtab,
  kDebugFile,
  kMiniDebug,  // .gnu_debugdata
  kGoTable,    // .gopclntab
  kDynsym,
  kCallSite,  // found by analysing instructions
  kElfEntry,  // the address that the ELF header states
};

// What the kernel must do to step over the instruction under a uprobe.
enum class StepCost : uint8_t {
  kEmulated,       // nop, push, relative call, jump: hundreds of ns
  kSingleStepped,  // anything else: many times dearer
};

struct MarkSite {
  MarkKind kind = MarkKind::kNone;
  SiteRung rung = SiteRung::kSymtab;
  StepCost cost = StepCost::kSingleStepped;
  uint64_t file_offset = 0;  // of the probed instruction's first byte
  uint64_t address = 0;      // the same, as a link-time virtual address
  // The probed instruction lies this many bytes after the event's true address (an entry point's
  // first emulated instruction, for example).
  uint32_t skew_bytes = 0;
  std::string symbol;  // empty when the rung has none
};

// What made a function run before main.
enum class InitKind : uint8_t {
  kUnspecified,
  kPreinitArray,  // DT_PREINIT_ARRAY
  kInit,          // DT_INIT
  kInitArray,     // DT_INIT_ARRAY
  kGoPackage,     // a Go package's initialisation
  kRuntimeStage,  // a stage of a language runtime's own start
};

// A function that runs before main because the file says so.
struct InitFunction {
  InitKind kind = InitKind::kUnspecified;
  uint64_t address = 0;  // link-time virtual
  std::string symbol;    // as the file has it; empty: no table names it
  SiteRung rung = SiteRung::kSymtab;  // of the symbol, or of how the function was found
  // Source file of a C++ static initialiser, or import path of a Go package; empty: not told.
  std::string unit;
  // Where to probe its begin: of kind kInitFunction or kRustStage; kNone: nowhere.
  MarkSite site;
};

// Relocations that the file asks for, by what the loader has to do for each.
struct RelocationCounts {
  uint64_t relative = 0;   // R_X86_64_RELATIVE in REL or RELA
  uint64_t relr = 0;       // words that DT_RELR names
  uint64_t symbol = 0;     // R_X86_64_64, GLOB_DAT, PC32 and other references to a symbol
  uint64_t jump_slot = 0;  // R_X86_64_JUMP_SLOT
  uint64_t ifunc = 0;      // R_X86_64_IRELATIVE
  uint64_t copy = 0;       // R_X86_64_COPY
  uint64_t tls = 0;        // DTPMOD64, DTPOFF64, TPOFF64, TLSDESC
  uint64_t other = 0;
  friend bool operator==(const RelocationCounts&, const RelocationCounts&) = default;
  [[nodiscard]] uint64_t total() const {
    return relative + relr + symbol + jump_slot + ifunc + copy + tls + other;
  }
};

enum class RelroKind : uint8_t { kUnspecified, kNone, kPartial, kFull };

// Bytes of a file as one of its tables has them. What the loader maps, and what it does not.
struct SizeView {
  uint64_t code = 0;
  uint64_t read_only = 0;
  uint64_t data = 0;        // writable, from the file; relocated read-only data included
  uint64_t zero = 0;        // writable, not in the file
  uint64_t not_loaded = 0;  // of the file: debugging information, symbol table, padding
};

struct NamedSize {
  std::string name;
  uint64_t bytes = 0;
};

// How a file was linked.
struct LinkFacts {
  bool known = false;
  uint64_t file_bytes = 0;
  bool position_independent_executable = false;
  bool relr = false;
  bool bind_now = false;
  bool text_relocations = false;
  bool prelinked = false;
  bool sysv_hash = false;
  bool gnu_hash = false;
  bool executable_stack = false;
  bool has_sdt_notes = false;
  RelroKind relro = RelroKind::kUnspecified;
  std::string rpath;
  std::string runpath;
  RelocationCounts relocations;
  uint64_t imported_symbols = 0;  // .dynsym, undefined
  uint64_t exported_symbols = 0;  // .dynsym, defined
  uint64_t table_symbols = 0;     // .symtab of the file itself
  uint64_t tls_bytes = 0;         // PT_TLS
  uint64_t constructors = 0;      // DT_INIT, DT_INIT_ARRAY and DT_PREINIT_ARRAY entries that are set
  uint64_t destructors = 0;
  SizeView by_segments;
  SizeView by_sections;
  SizeView by_symbols;  // sizes that symbols state; code and data only
  std::vector<NamedSize> sections;  // the largest, at most kMaxListedSections
  // Where the views do not agree, in words with both figures.
  std::vector<std::string> disagreements;
};
inline constexpr size_t kMaxListedSections = 48;

struct LoadSegment {
  uint64_t address = 0;  // link-time virtual
  uint64_t memory_bytes = 0;
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
};

inline constexpr size_t kMaxInitFunctions = 2048;

struct ImageFacts {
  FileId file;
  uint64_t size_bytes = 0;
  std::string path;  // as given by whoever asked; a label, never reopened
  ImageKind kind = ImageKind::kUnknown;
  bool is_64_bit = false;
  uint16_t machine = 0;  // ELF e_machine
  bool position_independent = false;
  uint64_t entry_address = 0;  // link-time virtual
  uint64_t phdr_address = 0;   // link-time virtual address of the program headers; 0 if not loaded
  // Link-time virtual address of the program's main; 0 when it could not be found.
  uint64_t main_address = 0;
  std::string interpreter;  // PT_INTERP, or the program of a #! line
  std::string build_id;     // lower-case hexadecimal
  std::string soname;
  std::vector<std::string> needed;
  std::vector<LoadSegment> segments;
  uint64_t relro_address = 0;  // PT_GNU_RELRO; bytes 0 when there is none
  uint64_t relro_bytes = 0;
  bool has_symtab = false;
  bool debug_file_used = false;

  Libc libc = Libc::kUnspecified;
  Linkage linkage = Linkage::kUnspecified;
  Language language = Language::kUnspecified;
  std::string libc_version;
  std::string evidence;

  // At most one per kind, the best that was found.
  std::vector<MarkSite> sites;
  // In the order in which they are called, as far as the file tells; at most kMaxInitFunctions.
  std::vector<InitFunction> init_functions;
  uint64_t init_functions_omitted = 0;
  LinkFacts link;

  // Empty when the file was read; otherwise why not, naming file and cause. Facts are then partial.
  std::string error;
};

// A program without a libc and without a main of its own begins where its ELF entry point is.
inline bool EntryIsMain(const ImageFacts& facts) {
  return facts.kind == ImageKind::kExecutable && facts.libc == Libc::kNone &&
         facts.main_address == 0 && facts.language != Language::kGo;
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_IMAGE_FACTS_H_
