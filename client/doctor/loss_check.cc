// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"
#include "client/render/names.h"
#include "client/render/units.h"

namespace startscope {

std::vector<Finding> CheckLosses(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  std::vector<Finding> findings;
  for (const auto& loss : examined.status->losses()) {
    if (loss.lost() == 0 || loss.eviction()) continue;
    findings.push_back({Severity::kWarning, absl::StrCat("losses: ", LossStageName(loss.stage())),
                        absl::StrCat(loss.lost(), " lost of ", loss.produced(),
                                     loss.name().empty() ? "" : ": ", loss.name()),
                        "startups of that time are incomplete, and say so",
                        loss.knob().empty() ? "watch less at once: fewer programs, a lower level"
                                            : absl::StrCat("raise the daemon's ", loss.knob())});
  }
  if (findings.empty()) {
    findings.push_back({Severity::kFine, "losses",
                        absl::StrCat("none of ", FormatCount(examined.status->records_received(),
                                                             "kernel record"))});
  }
  return findings;
}

}  // namespace startscope
