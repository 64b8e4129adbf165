// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_json.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/json.h"
#include "google/protobuf/util/json_util.h"

namespace startscope {
namespace {

// proto3's JSON writes bytes in base64, OTLP's in hexadecimal. Hexadecimal digits are base64 digits
// too, and ids have a multiple of four of them: the bytes whose base64 is the hexadecimal text.
void WriteInHex(std::string* id) {
  std::string bytes;
  if (absl::Base64Unescape(absl::BytesToHexString(*id), &bytes)) *id = std::move(bytes);
}

}  // namespace

absl::StatusOr<std::string> ToOtlpJson(otlp::Traces traces) {
  for (auto& resource : *traces.mutable_resource_spans()) {
    for (auto& scope : *resource.mutable_scope_spans()) {
      for (auto& span : *scope.mutable_spans()) {
        WriteInHex(span.mutable_trace_id());
        WriteInHex(span.mutable_span_id());
        if (!span.parent_span_id().empty()) WriteInHex(span.mutable_parent_span_id());
      }
    }
  }
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_enums_as_ints = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(traces, &json, options);
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("cannot be written as JSON: ", status.ToString()));
  }
  return VisibleJson(json);
}

}  // namespace startscope
