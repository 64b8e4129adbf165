// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/doctor/checks.h"

#include <algorithm>
#include <iterator>

namespace startscope {
namespace {

using Check = std::vector<Finding> (*)(const Examined&);

constexpr Check kChecks[] = {CheckSocket, CheckDaemon, CheckCalibration, CheckPrivileges,
                             CheckKernel, CheckProbes, CheckImages,      CheckInspector,
                             CheckWatches, CheckLosses};

}  // namespace

std::vector<Finding> CheckAll(const Examined& examined) {
  std::vector<Finding> all;
  for (const Check check : kChecks) {
    std::vector<Finding> findings = check(examined);
    std::move(findings.begin(), findings.end(), std::back_inserter(all));
  }
  return all;
}

Severity WorstOf(const std::vector<Finding>& findings) {
  Severity worst = Severity::kFine;
  for (const Finding& finding : findings) worst = std::max(worst, finding.severity);
  return worst;
}

}  // namespace startscope
