// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"
#include "client/render/units.h"

namespace startscope {

std::vector<Finding> CheckWatches(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  const uint64_t cut = examined.status->watches_cut();
  Finding finding{Severity::kFine, "watches",
                  absl::StrCat(FormatCount(examined.status->subscribers(), "subscriber"), " now, ",
                               cut == 0 ? "none" : absl::StrCat(cut),
                               " cut because the client took nothing for too long")};
  if (cut != 0) {
    finding.severity = Severity::kWarning;
    finding.consequence = "they had an end with a reason; what came after it they did not have";
    finding.remedy = "have such clients read on, or raise the daemon's --write-timeout";
  }
  return {finding};
}

}  // namespace startscope
