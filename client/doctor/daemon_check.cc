// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"

namespace startscope {

std::vector<Finding> CheckDaemon(const Examined& examined) {
  if (!examined.status.has_value()) {
    return {{Severity::kEssential, "daemon", std::string(examined.daemon_error.message()),
             "nothing can be measured or looked up",
             "see above; journalctl -u startscoped tells more"}};
  }
  const auto& status = *examined.status;
  Finding finding{Severity::kFine, "daemon",
                  absl::StrCat(examined.private_daemon ? "private, " : "", "version ",
                               status.version(), ", records of format ", status.abi_version())};
  if (status.version() != examined.local.client_version) {
    finding.severity = Severity::kNote;
    finding.consequence = absl::StrCat("this client is version ", examined.local.client_version,
                                       ": what one of them does not know is left out");
    finding.remedy = "install both from the same package";
  }
  return {finding};
}

}  // namespace startscope
