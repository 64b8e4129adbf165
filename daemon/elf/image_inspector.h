// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_ELF_IMAGE_INSPECTOR_H_
#define STARTSCOPE_DAEMON_ELF_IMAGE_INSPECTOR_H_

#include <string>
#include <vector>

#include "daemon/elf/byte_source.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

struct InspectOptions {
  std::string path_label;  // for messages and for recognising a loader by name; never opened
  bool is_loader_hint = false;
  // Only what a library says of itself: no classification, no marks but those of dlopen and of its
  // own init functions.
  bool is_library = false;
  // What may be its separate debug file (debug_file.h), best first; not owned.
  std::vector<ByteSource*> debug_candidates;
};

// Says what an untrusted file is and where its marks lie. Reads a bounded number of bytes with
// pread, maps nothing, and never fails: what can't be used gives facts with `error` set. Does not
// fill `file`. Any thread.
ImageFacts InspectImage(int fd, const InspectOptions& options);

// The same over any source of bytes.
ImageFacts InspectImage(ByteSource* source, const InspectOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_ELF_IMAGE_INSPECTOR_H_
