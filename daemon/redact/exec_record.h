// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Records of execs as the kernel wrote them, without the secrets: what is decoded and what is recorded
// to a file are these.

#ifndef STARTSCOPE_DAEMON_REDACT_EXEC_RECORD_H_
#define STARTSCOPE_DAEMON_REDACT_EXEC_RECORD_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/redact/argument_redactor.h"

namespace startscope {

// `record` of the event ring with its arguments, argv[0] included, redacted; an argument that was cut is
// left out. nullopt: no exec, and to be used as it is. A record that makes no sense loses all text.
std::optional<std::vector<uint8_t>> RedactExecRecord(std::span<const uint8_t> record,
                                                     const ArgumentRedactor& redactor);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_REDACT_EXEC_RECORD_H_
