// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/mark_names.h"

namespace startscope {

const char* MarkName(MarkKind kind) {
  switch (kind) {
    case MarkKind::kNone:
      break;
    case MarkKind::kLoaderEntry:
      return "loader entry";
    case MarkKind::kDependenciesBegin:
      return "dependencies begin";
    case MarkKind::kRelocated:
      return "relocated";
    case MarkKind::kEntry:
      return "entry point";
    case MarkKind::kLibcStart:
      return "__libc_start_main";
    case MarkKind::kMain:
      return "main";
    case MarkKind::kGoSchedinit:
      return "runtime.schedinit";
    case MarkKind::kGoRuntimeMain:
      return "runtime.main";
    case MarkKind::kRustLangStart:
      return "std::rt::lang_start";
    case MarkKind::kDependenciesMapped:
      return "dependencies mapped";
    case MarkKind::kSelfRelocated:
      return "self-relocated";
    case MarkKind::kDlopen:
      return "dlopen";
    case MarkKind::kDlclose:
      return "dlclose";
    case MarkKind::kInitFunction:
      return "init function";
    case MarkKind::kRelocateObject:
      return "relocate object";
    case MarkKind::kTlsBegin:
      return "thread-local storage begin";
    case MarkKind::kTlsEnd:
      return "thread-local storage end";
    case MarkKind::kInitEnd:
      return "runtime initialised";
    case MarkKind::kGoMainInit:
      return "package initialisation";
    case MarkKind::kRustStage:
      return "std::rt stage";
  }
  return "unknown";
}

BoundarySource SourceOfRung(SiteRung rung) {
  switch (rung) {
    case SiteRung::kSdt:
      return BoundarySource::kSdt;
    case SiteRung::kSymtab:
      return BoundarySource::kSymbolUprobe;
    case SiteRung::kMiniDebug:
      return BoundarySource::kMiniDebugUprobe;
    case SiteRung::kGoTable:
      return BoundarySource::kGoTableUprobe;
    case SiteRung::kDynsym:
      return BoundarySource::kDynsymUprobe;
    case SiteRung::kDebugFile:
      return BoundarySource::kDebugFileUprobe;
    case SiteRung::kCallSite:
      return BoundarySource::kCallSiteUprobe;
    case SiteRung::kElfEntry:
      return BoundarySource::kEntryUprobe;
  }
  return BoundarySource::kUnspecified;
}

}  // namespace startscope
