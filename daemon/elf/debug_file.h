// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_
#define STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_

#include <string>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/elf_file.h"

namespace startscope {

// Opens the separate debug file of `image`, by its build-id or else by the name in its
// .gnu_debuglink, below `debug_root` only; `path` is the image's own. A file whose build-id (or
// checksum, for an image without one) does not match is not it. Invalid when there is none.
UniqueFd OpenDebugFile(ElfFile* image, const std::string& build_id, const std::string& debug_root,
                       const std::string& path);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_DEBUG_FILE_H_
