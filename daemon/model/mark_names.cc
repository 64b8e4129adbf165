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
  }
  return "unknown";
}

}  // namespace startscope
