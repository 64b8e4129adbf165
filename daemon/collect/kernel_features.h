// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_KERNEL_FEATURES_H_
#define STARTSCOPE_DAEMON_COLLECT_KERNEL_FEATURES_H_

#include <string>
#include <vector>

namespace startscope {

// What the running kernel offers of what we use. Read once at daemon start, from the kernel's BTF.
struct KernelFeatures {
  std::string release;
  std::string machine;
  bool btf = false;
  bool prepare_exec_tracepoint = false;  // 6.9 and later
  bool fault_tracepoints = false;        // exceptions:page_fault_user, x86
  bool task_storage = false;             // in tracing programs: 5.11, in the ones we need 6.1
  bool uprobe_multi = false;             // 6.6 and later
  bool page_cache_tracepoint = false;    // filemap:mm_filemap_add_to_page_cache
  bool fault_around_tracepoint = false;  // filemap:mm_filemap_map_pages, 6.12 and later
  std::string btf_error;

  struct Line {
    std::string name;
    bool available = false;
    std::string detail;
  };
  // The same, for people: what is there, what its absence costs and what to do.
  [[nodiscard]] std::vector<Line> Describe() const;
};

KernelFeatures ReadKernelFeatures();

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_KERNEL_FEATURES_H_
