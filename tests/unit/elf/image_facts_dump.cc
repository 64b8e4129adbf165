// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Prints what the elf stage makes of a file: image_facts_dump PATH [--no-debug-files] [--library].
// With --time, the CPU time that one inspection took, the best of twenty.

#include <fcntl.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/image_inspector.h"
#include "tests/unit/elf/debug_candidates.h"

namespace startscope {
namespace {

const char* Name(ImageKind kind) {
  switch (kind) {
    case ImageKind::kUnknown:
      return "unknown";
    case ImageKind::kExecutable:
      return "executable";
    case ImageKind::kLoader:
      return "loader";
    case ImageKind::kLibrary:
      return "library";
    case ImageKind::kScript:
      return "script";
  }
  return "?";
}

const char* Name(Libc libc) {
  switch (libc) {
    case Libc::kUnspecified:
      return "-";
    case Libc::kGlibc:
      return "glibc";
    case Libc::kMusl:
      return "musl";
    case Libc::kNone:
      return "none";
    case Libc::kUnknown:
      return "unknown";
  }
  return "?";
}

const char* Name(Linkage linkage) {
  switch (linkage) {
    case Linkage::kUnspecified:
      return "-";
    case Linkage::kDynamic:
      return "dynamic";
    case Linkage::kStatic:
      return "static";
    case Linkage::kStaticPie:
      return "static-pie";
  }
  return "?";
}

const char* Name(Language language) {
  switch (language) {
    case Language::kUnspecified:
      return "-";
    case Language::kCOrCpp:
      return "c-or-cpp";
    case Language::kRust:
      return "rust";
    case Language::kGo:
      return "go";
    case Language::kUnknown:
      return "unknown";
  }
  return "?";
}

const char* Name(MarkKind kind) {
  switch (kind) {
    case MarkKind::kNone:
      return "none";
    case MarkKind::kLoaderEntry:
      return "loader-entry";
    case MarkKind::kDependenciesBegin:
      return "dependencies-begin";
    case MarkKind::kRelocated:
      return "relocated";
    case MarkKind::kEntry:
      return "entry";
    case MarkKind::kLibcStart:
      return "libc-start";
    case MarkKind::kMain:
      return "main";
    case MarkKind::kGoSchedinit:
      return "go-schedinit";
    case MarkKind::kGoRuntimeMain:
      return "go-runtime-main";
    case MarkKind::kRustLangStart:
      return "rust-lang-start";
    case MarkKind::kDependenciesMapped:
      return "dependencies-mapped";
    case MarkKind::kSelfRelocated:
      return "self-relocated";
    case MarkKind::kDlopen:
      return "dlopen";
    case MarkKind::kDlclose:
      return "dlclose";
    case MarkKind::kInitFunction:
      return "init-function";
    case MarkKind::kRelocateObject:
      return "relocate-object";
    case MarkKind::kTlsBegin:
      return "tls-begin";
    case MarkKind::kTlsEnd:
      return "tls-end";
    case MarkKind::kInitEnd:
      return "init-end";
    case MarkKind::kGoMainInit:
      return "go-main-init";
    case MarkKind::kRustStage:
      return "rust-stage";
  }
  return "?";
}

const char* Name(SiteRung rung) {
  switch (rung) {
    case SiteRung::kSdt:
      return "sdt";
    case SiteRung::kSymtab:
      return "symtab";
    case SiteRung::kDebugFile:
      return "debug-file";
    case SiteRung::kMiniDebug:
      return "mini-debug";
    case SiteRung::kGoTable:
      return "go-table";
    case SiteRung::kDynsym:
      return "dynsym";
    case SiteRung::kCallSite:
      return "call-site";
    case SiteRung::kElfEntry:
      return "elf-entry";
  }
  return "?";
}

const char* Name(InitKind kind) {
  switch (kind) {
    case InitKind::kUnspecified:
      return "-";
    case InitKind::kPreinitArray:
      return "preinit-array";
    case InitKind::kInit:
      return "init";
    case InitKind::kInitArray:
      return "init-array";
    case InitKind::kGoPackage:
      return "go-package";
    case InitKind::kRuntimeStage:
      return "runtime-stage";
  }
  return "?";
}

const char* Name(RelroKind kind) {
  switch (kind) {
    case RelroKind::kUnspecified:
      return "-";
    case RelroKind::kNone:
      return "none";
    case RelroKind::kPartial:
      return "partial";
    case RelroKind::kFull:
      return "full";
  }
  return "?";
}

void Print(const char* table, const SizeView& sizes) {
  std::printf("sizes by %s: code=%" PRIu64 " read_only=%" PRIu64 " data=%" PRIu64 " zero=%" PRIu64
              " not_loaded=%" PRIu64 "\n",
              table, sizes.code, sizes.read_only, sizes.data, sizes.zero, sizes.not_loaded);
}

void Print(const LinkFacts& link) {
  if (!link.known) return;
  std::printf(
      "link pie=%d relr=%d bind_now=%d textrel=%d prelinked=%d sysv_hash=%d gnu_hash=%d "
      "execstack=%d sdt=%d relro=%s rpath=%s runpath=%s\n",
      link.position_independent_executable, link.relr, link.bind_now, link.text_relocations,
      link.prelinked, link.sysv_hash, link.gnu_hash, link.executable_stack, link.has_sdt_notes,
      Name(link.relro), link.rpath.c_str(), link.runpath.c_str());
  const RelocationCounts& counts = link.relocations;
  std::printf("relocations relative=%" PRIu64 " relr=%" PRIu64 " symbol=%" PRIu64
              " jump_slot=%" PRIu64 " ifunc=%" PRIu64 " copy=%" PRIu64 " tls=%" PRIu64
              " other=%" PRIu64 "\n",
              counts.relative, counts.relr, counts.symbol, counts.jump_slot, counts.ifunc,
              counts.copy, counts.tls, counts.other);
  std::printf("symbols imported=%" PRIu64 " exported=%" PRIu64 " table=%" PRIu64 " tls=%" PRIu64
              " constructors=%" PRIu64 " destructors=%" PRIu64 " file=%" PRIu64 "\n",
              link.imported_symbols, link.exported_symbols, link.table_symbols, link.tls_bytes,
              link.constructors, link.destructors, link.file_bytes);
  Print("segments", link.by_segments);
  Print("sections", link.by_sections);
  Print("symbols", link.by_symbols);
  for (const NamedSize& section : link.sections) {
    std::printf("section %s %" PRIu64 "\n", section.name.c_str(), section.bytes);
  }
  for (const std::string& text : link.disagreements) std::printf("disagree: %s\n", text.c_str());
}

void Print(const ImageFacts& facts) {
  std::printf("kind=%s libc=%s linkage=%s language=%s libc_version=%s machine=%u bits=%d pie=%d\n",
              Name(facts.kind), Name(facts.libc), Name(facts.linkage), Name(facts.language),
              facts.libc_version.c_str(), facts.machine, facts.is_64_bit ? 64 : 32,
              facts.position_independent);
  std::printf("entry=%#" PRIx64 " main=%#" PRIx64 " phdr=%#" PRIx64 " relro=%#" PRIx64 "+%#" PRIx64
              " size=%" PRIu64 "\n",
              facts.entry_address, facts.main_address, facts.phdr_address, facts.relro_address,
              facts.relro_bytes, facts.size_bytes);
  std::printf("interpreter=%s soname=%s build_id=%s symtab=%d debug_file=%d\n",
              facts.interpreter.c_str(), facts.soname.c_str(), facts.build_id.c_str(),
              facts.has_symtab, facts.debug_file_used);
  std::printf("evidence=%s\n", facts.evidence.c_str());
  if (!facts.error.empty()) std::printf("error=%s\n", facts.error.c_str());
  for (const std::string& needed : facts.needed) std::printf("needed %s\n", needed.c_str());
  for (const LoadSegment& segment : facts.segments) {
    std::printf("segment address=%#" PRIx64 " memory=%#" PRIx64 " offset=%#" PRIx64
                " file=%#" PRIx64 " %c%c%c\n",
                segment.address, segment.memory_bytes, segment.file_offset, segment.file_bytes,
                segment.readable ? 'r' : '-', segment.writable ? 'w' : '-',
                segment.executable ? 'x' : '-');
  }
  for (const MarkSite& site : facts.sites) {
    std::printf("site %s rung=%s %s offset=%#" PRIx64 " address=%#" PRIx64 " skew=%u symbol=%s\n",
                Name(site.kind), Name(site.rung),
                site.cost == StepCost::kEmulated ? "emulated" : "single-stepped", site.file_offset,
                site.address, site.skew_bytes, site.symbol.c_str());
  }
  for (const InitFunction& function : facts.init_functions) {
    std::printf("init %s address=%#" PRIx64 " symbol=%s rung=%s unit=%s ", Name(function.kind),
                function.address, function.symbol.c_str(), Name(function.rung),
                function.unit.c_str());
    if (function.site.kind == MarkKind::kNone) {
      std::printf("no site\n");
    } else {
      std::printf("site=%#" PRIx64 " skew=%u %s\n", function.site.address, function.site.skew_bytes,
                  function.site.cost == StepCost::kEmulated ? "emulated" : "single-stepped");
    }
  }
  if (facts.init_functions_omitted != 0) {
    std::printf("init functions omitted: %" PRIu64 "\n", facts.init_functions_omitted);
  }
  Print(facts.link);
}

double BestMilliseconds(int fd, const InspectOptions& options) {
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    timespec begin{};
    timespec end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    InspectImage(fd, options);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    best = std::min(best, static_cast<double>(end.tv_sec - begin.tv_sec) * 1e3 +
                              static_cast<double>(end.tv_nsec - begin.tv_nsec) * 1e-6);
  }
  return best;
}

}  // namespace
}  // namespace startscope

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: image_facts_dump PATH [--no-debug-files]\n");
    return 2;
  }
  startscope::InspectOptions options;
  options.path_label = argv[1];
  bool time = false;
  bool debug_files = true;
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    debug_files &= option != "--no-debug-files";
    if (option == "--library") options.is_library = true;
    time |= option == "--time";
  }
  const startscope::UniqueFd fd(open(argv[1], O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    std::perror(argv[1]);
    return 1;
  }
  startscope::DebugCandidates debug(fd, argv[1]);
  if (debug_files) options.debug_candidates = debug.sources();
  const startscope::ImageFacts facts = startscope::InspectImage(fd.get(), options);
  if (time) {
    std::printf("%.3f ms %s\n", startscope::BestMilliseconds(fd.get(), options), argv[1]);
    return 0;
  }
  startscope::Print(facts);
  return facts.error.empty() ? 0 : 1;
}
