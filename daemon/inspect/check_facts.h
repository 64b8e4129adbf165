// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_CHECK_FACTS_H_
#define STARTSCOPE_DAEMON_INSPECT_CHECK_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/elf/debug_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// What the daemon asked about, which the answer cannot change.
struct InspectedFile {
  std::string path_label;
  uint64_t size_bytes = 0;
};

// Whether facts from the sandbox may be used: everything in its bounds, and every site inside a
// file-backed part of an executable segment, inside the file, with address and offset that agree. Holds
// for whatever the reader says of any file, so facts that fail come from a reader that is no longer
// ours. The codec has checked enums and the widths of numbers already.
absl::Status CheckFacts(const ImageFacts& facts, const InspectedFile& file);

// The same for the names of functions, of which `asked` were asked for.
absl::Status CheckFunctions(const std::vector<std::string>& names, size_t asked);

// The same for what names a debug file: nothing that leads elsewhere.
absl::Status CheckDebugReference(const DebugReference& reference);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_CHECK_FACTS_H_
