// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_DOCTOR_CHECKS_H_
#define STARTSCOPE_CLIENT_DOCTOR_CHECKS_H_

#include <vector>

#include "client/doctor/finding.h"

namespace startscope {

// One concern each, in a file of its name. Pure functions; without a daemon's status, those that
// need it find nothing.
[[nodiscard]] std::vector<Finding> CheckSocket(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckDaemon(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckCalibration(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckPrivileges(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckKernel(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckProbes(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckImages(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckInspector(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckWatches(const Examined& examined);
[[nodiscard]] std::vector<Finding> CheckLosses(const Examined& examined);

// All of them, in that order.
[[nodiscard]] std::vector<Finding> CheckAll(const Examined& examined);

[[nodiscard]] Severity WorstOf(const std::vector<Finding>& findings);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_DOCTOR_CHECKS_H_
