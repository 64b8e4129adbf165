// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"
#include "client/render/names.h"

namespace startscope {
namespace {

std::string Counted(const startscope::v1::LossCounter& loss) {
  const char* verb = loss.eviction() ? " gave way" : " lost";
  std::string text = absl::StrCat(loss.lost() == 0 ? "none" : absl::StrCat(loss.lost()), verb);
  if (loss.produced() != 0) absl::StrAppend(&text, " of ", loss.produced());
  if (!loss.name().empty()) absl::StrAppend(&text, ": ", loss.name());
  return text;
}

}  // namespace

std::vector<Finding> CheckLosses(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  std::vector<Finding> findings;
  for (const auto& loss : examined.status->losses()) {
    Finding finding{Severity::kFine, absl::StrCat("losses: ", LossStageName(loss.stage())),
                    Counted(loss)};
    if (loss.lost() == 0) {
      absl::StrAppend(&finding.what, " (",
                      loss.knob().empty() ? "no option of the daemon's changes this" : loss.knob(),
                      ")");
    } else {
      finding.severity = loss.eviction() ? Severity::kNote : Severity::kWarning;
      finding.consequence = !loss.consequence().empty() ? loss.consequence()
                            : loss.eviction()           ? ""
                                              : "startups of that time are incomplete, and say so";
      finding.remedy = loss.knob().empty() ? "no option of the daemon's changes this"
                                           : absl::StrCat("raise the daemon's ", loss.knob());
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace startscope
