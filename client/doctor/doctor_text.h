// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_DOCTOR_DOCTOR_TEXT_H_
#define STARTSCOPE_CLIENT_DOCTOR_DOCTOR_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/doctor/finding.h"
#include "client/render/terminal.h"

namespace startscope {

// What was found for people: a paragraph each, with its consequence and remedy. A pure function.
[[nodiscard]] std::string RenderFindings(const std::vector<Finding>& findings,
                                         const TerminalStyle& terminal);

// The same as one line of JSON: {"findings":[{"severity":…,"subject":…,"what":…,…}]}.
[[nodiscard]] absl::StatusOr<std::string> FindingsToJson(const std::vector<Finding>& findings);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_DOCTOR_DOCTOR_TEXT_H_
