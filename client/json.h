// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_JSON_H_
#define STARTSCOPE_CLIENT_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace startscope {

// JSON of the same value with \uXXXX for every character that a terminal acts on or does not show:
// such are in the names of files and processes.
[[nodiscard]] std::string VisibleJson(const std::string& json);

// `message` in one line of the proto3 JSON form with original field names, a newline at its end.
// Visible, as above. Fields without presence are printed even when 0; `optional` ones only when
// set.
[[nodiscard]] absl::StatusOr<std::string> ToJsonLine(const google::protobuf::Message& message);

// {"KEY":…} around such a line: for what is not a startup among lines that are.
[[nodiscard]] std::string WrapJson(const std::string& key, const std::string& line);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_JSON_H_
