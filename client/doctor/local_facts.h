// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_DOCTOR_LOCAL_FACTS_H_
#define STARTSCOPE_CLIENT_DOCTOR_LOCAL_FACTS_H_

#include <string>

#include "client/doctor/finding.h"

namespace startscope {

// Looks at the socket and at what this process may do with it.
[[nodiscard]] LocalFacts ReadLocalFacts(const std::string& socket_path);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_DOCTOR_LOCAL_FACTS_H_
