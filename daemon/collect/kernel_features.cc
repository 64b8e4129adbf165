// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/kernel_features.h"

#include <bpf/btf.h>
#include <linux/bpf.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace startscope {
namespace {

struct BtfDeleter {
  void operator()(btf* value) const { btf__free(value); }
};

bool HasTracepoint(const btf* kernel, const char* name) {
  return btf__find_by_name_kind(kernel, (std::string("btf_trace_") + name).c_str(),
                                BTF_KIND_TYPEDEF) > 0;
}

bool HasEnumerator(const btf* kernel, const char* type, const char* enumerator) {
  const int id = btf__find_by_name_kind(kernel, type, BTF_KIND_ENUM);
  if (id < 0) return false;
  const btf_type* found = btf__type_by_id(kernel, id);
  const struct btf_enum* values = btf_enum(found);
  for (int i = 0; i < btf_vlen(found); ++i) {
    if (std::strcmp(btf__name_by_offset(kernel, values[i].name_off), enumerator) == 0) return true;
  }
  return false;
}

}  // namespace

KernelFeatures ReadKernelFeatures() {
  KernelFeatures features;
  utsname name{};
  if (uname(&name) == 0) {
    features.release = name.release;
    features.machine = name.machine;
  }
  const std::unique_ptr<btf, BtfDeleter> kernel(btf__load_vmlinux_btf());
  if (!kernel) {
    features.btf_error = std::strerror(errno);
    return features;
  }
  features.btf = true;
  features.prepare_exec_tracepoint = HasTracepoint(kernel.get(), "sched_prepare_exec");
  features.fault_tracepoints = HasTracepoint(kernel.get(), "page_fault_user");
  features.task_storage = HasEnumerator(kernel.get(), "bpf_map_type", "BPF_MAP_TYPE_TASK_STORAGE");
  features.uprobe_multi =
      HasEnumerator(kernel.get(), "bpf_attach_type", "BPF_TRACE_UPROBE_MULTI");
  features.page_cache_tracepoint = HasTracepoint(kernel.get(), "mm_filemap_add_to_page_cache");
  features.fault_around_tracepoint = HasTracepoint(kernel.get(), "mm_filemap_map_pages");
  return features;
}

std::vector<KernelFeatures::Line> KernelFeatures::Describe() const {
  return {
      {"btf", btf,
       btf ? "/sys/kernel/btf/vmlinux"
           : "/sys/kernel/btf/vmlinux: " + btf_error +
                 "; nothing can be traced. Use a kernel built with CONFIG_DEBUG_INFO_BTF=y"},
      {"task_storage", task_storage,
       task_storage ? "per-process state in the kernel"
                    : "needs Linux 6.1 or later; nothing can be traced"},
      {"sched_prepare_exec", prepare_exec_tracepoint,
       prepare_exec_tracepoint
           ? "startups begin at the point of no return"
           : "needs Linux 6.9; the entry of begin_new_exec is used where functions can be traced, "
             "otherwise startups begin late and say so"},
      {"page_fault_tracepoints", fault_tracepoints,
       fault_tracepoints ? "fault entries, access kind and latency"
                         : "x86 only; fault latency and unperturbed boundaries are missing"},
      {"uprobe_multi", uprobe_multi,
       uprobe_multi ? "one link per file, quick to detach"
                    : "needs Linux 6.6; one perf event per mark, slower to detach"},
      {"page_cache_tracepoint", page_cache_tracepoint,
       page_cache_tracepoint ? "pages read from storage, by file"
                             : "pages read are known in sum only, not by file"},
      {"fault_around_tracepoint", fault_around_tracepoint,
       fault_around_tracepoint
           ? "the pages that are mapped around a faulting one"
           : "needs Linux 6.12; pages_resident and the fault-around window are missing"},
  };
}

}  // namespace startscope
