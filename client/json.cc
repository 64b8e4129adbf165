// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/json.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace startscope {

absl::StatusOr<std::string> ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("cannot be written as JSON: ", status.ToString()));
  }
  return json + "\n";
}

std::string WrapJson(const std::string& key, const std::string& line) {
  return absl::StrCat("{\"", key, "\":", line.substr(0, line.find_last_not_of('\n') + 1), "}\n");
}

}  // namespace startscope
