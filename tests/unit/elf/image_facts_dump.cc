// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Prints what the elf stage makes of a file: image_facts_dump PATH [--no-debug-files].

#include <fcntl.h>

#include <cstdio>
#include <cstring>

#include "daemon/elf/image_inspector.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  startscope::InspectOptions options;
  options.path_label = argv[1];
  if (argc > 2 && std::strcmp(argv[2], "--no-debug-files") == 0) options.debug_root.clear();
  const int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    std::perror(argv[1]);
    return 1;
  }
  const startscope::ImageFacts facts = startscope::InspectImage(fd, options);
  std::printf("kind=%d libc=%d linkage=%d language=%d version=%s main=%lx entry=%lx interp=%s\n",
              static_cast<int>(facts.kind), static_cast<int>(facts.libc),
              static_cast<int>(facts.linkage), static_cast<int>(facts.language),
              facts.libc_version.c_str(), facts.main_address, facts.entry_address,
              facts.interpreter.c_str());
  std::printf("build_id=%s soname=%s symtab=%d debug=%d error=%s\nevidence: %s\n",
              facts.build_id.c_str(), facts.soname.c_str(), facts.has_symtab, facts.debug_file_used,
              facts.error.c_str(), facts.evidence.c_str());
  for (const startscope::MarkSite& site : facts.sites) {
    std::printf("site kind=%d rung=%d cost=%d offset=%lx address=%lx skew=%u %s\n",
                static_cast<int>(site.kind), static_cast<int>(site.rung),
                static_cast<int>(site.cost), site.file_offset, site.address, site.skew_bytes,
                site.symbol.c_str());
  }
  return facts.error.empty() ? 0 : 1;
}
