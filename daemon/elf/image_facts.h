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
};

// How a site was found, best first.
enum class SiteRung : uint8_t {
  kSdt,
  kSymtab,
  kDebugFile,
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

struct LoadSegment {
  uint64_t address = 0;  // link-time virtual
  uint64_t memory_bytes = 0;
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
};

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
