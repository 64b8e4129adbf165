// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/json.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/render/text_sanitizer.h"
#include "google/protobuf/util/json_util.h"

namespace startscope {

std::string VisibleJson(const std::string& json) {
  const bool ascii = std::all_of(json.begin(), json.end(), [](char c) { return (c & 0x80) == 0; });
  // protobuf has escaped what ASCII has of them.
  if (ascii) return json;
  std::string visible;
  visible.reserve(json.size());
  for (size_t at = 0; at < json.size();) {
    const DecodedCodePoint point = DecodeUtf8(json, at);
    const auto length = static_cast<size_t>(std::max(point.length, 1));
    if (point.value < 0x80 || !IsUnsafe(point.value)) {
      visible.append(json, at, length);
    } else if (point.value < 0x10000) {
      absl::StrAppendFormat(&visible, "\\u%04x", point.value);
    } else {
      // Beyond the first plane JSON has two units of UTF-16.
      const uint32_t beyond = point.value - 0x10000;
      absl::StrAppendFormat(&visible, "\\u%04x\\u%04x", 0xd800 | beyond >> 10,
                            0xdc00 | (beyond & 0x3ff));
    }
    at += length;
  }
  return visible;
}

absl::StatusOr<std::string> ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("cannot be written as JSON: ", status.ToString()));
  }
  return VisibleJson(json) + "\n";
}

std::string WrapJson(const std::string& key, const std::string& line) {
  return absl::StrCat("{\"", key, "\":", line.substr(0, line.find_last_not_of('\n') + 1), "}\n");
}

}  // namespace startscope
