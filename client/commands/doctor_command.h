// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_COMMANDS_DOCTOR_COMMAND_H_
#define STARTSCOPE_CLIENT_COMMANDS_DOCTOR_COMMAND_H_

#include "client/arguments.h"

namespace startscope {

// startscope doctor: what this machine and its daemon can measure, what they cannot, and what to
// do.
int DoctorCommand(const DoctorOptions& options);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_COMMANDS_DOCTOR_COMMAND_H_
