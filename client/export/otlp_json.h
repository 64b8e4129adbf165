// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_OTLP_JSON_H_
#define STARTSCOPE_CLIENT_EXPORT_OTLP_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/export/otlp.pb.h"

namespace startscope {

// OTLP's own JSON in one line, without a newline: ids in hexadecimal, enumerators as numbers,
// 64-bit integers as strings, names in lowerCamelCase. `traces` is used up.
[[nodiscard]] absl::StatusOr<std::string> ToOtlpJson(otlp::Traces traces);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_OTLP_JSON_H_
