// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"

namespace startscope {
namespace {

struct Known {
  const char* name;
  Severity severity;
  const char* consequence;
  const char* remedy;
};

// What the absence of each feature means. One that is not listed is told in the daemon's words.
constexpr Known kFeatures[] = {
    {"btf", Severity::kEssential, "nothing can be traced",
     "use a kernel that is built with CONFIG_DEBUG_INFO_BTF=y"},
    {"task_storage", Severity::kEssential, "nothing can be traced", "use Linux 6.1 or later"},
    {"page_fault_tracepoints", Severity::kWarning,
     "no latency of faults, and no boundaries without breakpoints", "use an x86-64 kernel"},
    {"sched_prepare_exec", Severity::kNote,
     "a startup's begin is taken from another place, or is late and says so",
     "use Linux 6.9 or later"},
    {"uprobe_multi", Severity::kNote, "probes take longer to place and to remove",
     "use Linux 6.6 or later"},
    {"page_cache_tracepoint", Severity::kWarning,
     "pages read from storage are known in sum, not by file", ""},
    {"fault_around_tracepoint", Severity::kNote, "pages mapped around a touched one are not known",
     "use Linux 6.12 or later"},
};

}  // namespace

std::vector<Finding> CheckKernel(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  const auto& kernel = examined.status->kernel();
  std::vector<Finding> findings = {
      {Severity::kFine, "kernel", absl::StrCat("Linux ", kernel.release(), " ", kernel.machine())}};
  for (const auto& feature : kernel.features()) {
    if (feature.available()) continue;
    Finding finding{Severity::kWarning, "kernel", absl::StrCat("has no ", feature.name()),
                    feature.detail()};
    for (const Known& known : kFeatures) {
      if (feature.name() != known.name) continue;
      finding.severity = known.severity;
      finding.consequence = known.consequence;
      finding.remedy = known.remedy;
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace startscope
