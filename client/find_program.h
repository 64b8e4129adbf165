// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_FIND_PROGRAM_H_
#define STARTSCOPE_CLIENT_FIND_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"

namespace startscope {

// Another of our programs: what the environment variable `variable` names (an error when that is no
// program), else `name` beside this one, else in PATH's absolute directories. Empty: there is none.
[[nodiscard]] absl::StatusOr<std::string> FindProgram(const std::string& name,
                                                      const char* variable);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_FIND_PROGRAM_H_
