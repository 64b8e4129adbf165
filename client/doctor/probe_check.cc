// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"
#include "client/render/units.h"

namespace startscope {

std::vector<Finding> CheckProbes(const Examined& examined) {
  if (!examined.status.has_value() || examined.status->probes().empty()) return {};
  std::vector<Finding> findings;
  int refused = 0;
  for (const auto& probe : examined.status->probes()) {
    if (probe.state() != startscope::v1::PROBE_STATE_UNAVAILABLE) continue;
    // What another probe does in its place is no loss.
    if (absl::StartsWith(probe.detail(), "not needed")) continue;
    ++refused;
    findings.push_back({Severity::kWarning, absl::StrCat("probe ", probe.name()),
                        "the kernel refused it, or lacks it",
                        probe.detail().empty() ? "what it observes is missing" : probe.detail(),
                        "if the daemon is confined, give it CAP_BPF, CAP_PERFMON and "
                        "CAP_SYS_PTRACE; otherwise see the kernel's features"});
  }
  const int all = examined.status->probes_size();
  if (refused == all) {
    return {{Severity::kEssential, "probes", "the kernel refused all of them",
             "nothing can be traced",
             "run the daemon as root or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE; "
             "kernel lockdown must not be in force"}};
  }
  findings.insert(findings.begin(),
                  {Severity::kFine, "probes",
                   absl::StrCat(FormatCount(static_cast<uint64_t>(all - refused), "program"),
                                " loaded of ", all)});
  return findings;
}

}  // namespace startscope
