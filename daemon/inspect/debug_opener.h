// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_INSPECT_DEBUG_OPENER_H_
#define STARTSCOPE_DAEMON_INSPECT_DEBUG_OPENER_H_

#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/debug_file.h"

namespace startscope {

inline constexpr char kDebugRoot[] = "/usr/lib/debug";

// Opens what may be the separate debug file of the image that was at `image_path`: by its build-id,
// and by the name in its link. Regular files below `debug_root` only, wherever the names and links
// there lead; whether one is really the image's is for the reader to say. At most two.
std::vector<UniqueFd> OpenDebugCandidates(const DebugReference& reference,
                                          const std::string& image_path,
                                          const std::string& debug_root = kDebugRoot);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_DEBUG_OPENER_H_
