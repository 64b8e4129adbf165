// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/otlp_json.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "client/export/trace_builder.h"
#include "client/export/trace_sink.h"
#include "tests/unit/export/test_startups.h"

namespace startscope {
namespace {

// The whole line, against the names and forms of the OTLP specification: lowerCamelCase,
// hexadecimal ids, enumerators as numbers, 64-bit integers as strings.
TEST(OtlpJsonTest, WritesOtlpsOwnJson) {
  otlp::Resource resource;
  AddAttribute("service.name", "startscope", resource.mutable_attributes());
  otlp::Traces traces = FrameOf(resource, "1.2.3", 7);
  otlp::Span& span = *traces.mutable_resource_spans(0)->mutable_scope_spans(0)->add_spans();
  span.set_trace_id(absl::HexStringToBytes("5b8efff798038103d269b633813fc60c"));
  span.set_span_id(absl::HexStringToBytes("eee19b7ec3c1b174"));
  span.set_parent_span_id(absl::HexStringToBytes("00000000000000ff"));
  span.set_trace_state("ot=th:c");
  span.set_name("relocation");
  span.set_kind(otlp::SPAN_KIND_INTERNAL);
  span.set_start_time_unix_nano(1544712660000000000);
  span.set_end_time_unix_nano(1544712661000000000);
  span.mutable_status()->set_code(otlp::STATUS_CODE_ERROR);
  span.mutable_status()->set_message("SIGSEGV");
  span.set_flags(3);
  AddAttribute("startscope.blocked_ns", 9007199254740993, span.mutable_attributes());
  AddAttribute("quoted", "\"\n\xC3\xA4", span.mutable_attributes());
  otlp::Event& event = *span.add_events();
  event.set_name("object");
  event.set_time_unix_nano(1544712660500000000);

  const auto json = ToOtlpJson(traces);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(
      *json,
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
      "{\"stringValue\":\"startscope\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"startscope\","
      "\"version\":\"1.2.3\",\"attributes\":[{\"key\":\"startscope.export.dropped_startups\","
      "\"value\":{\"intValue\":\"7\"}}]},\"spans\":[{\"traceId\":"
      "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"traceState\":"
      "\"ot=th:c\",\"parentSpanId\":\"00000000000000ff\",\"name\":\"relocation\",\"kind\":1,"
      "\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":"
      "\"1544712661000000000\",\"attributes\":[{\"key\":\"startscope.blocked_ns\",\"value\":"
      "{\"intValue\":\"9007199254740993\"}},{\"key\":\"quoted\",\"value\":{\"stringValue\":"
      "\"\\\"\\n\xC3\xA4\"}}],\"events\":[{\"timeUnixNano\":\"1544712660500000000\",\"name\":"
      "\"object\"}],\"status\":{\"message\":\"SIGSEGV\",\"code\":2},\"flags\":3}]}]}]}");
}

TEST(OtlpJsonTest, EveryIdBecomesItsHexadecimalDigits) {
  for (int byte = 0; byte < 256; ++byte) {
    otlp::Traces traces = FrameOf({}, "", 0);
    otlp::Span& span = *traces.mutable_resource_spans(0)->mutable_scope_spans(0)->add_spans();
    span.set_trace_id(std::string(16, static_cast<char>(byte)));
    const auto json = ToOtlpJson(traces);
    ASSERT_TRUE(json.ok());
    EXPECT_NE(json->find("\"traceId\":\"" + absl::BytesToHexString(span.trace_id()) + "\""),
              std::string::npos)
        << byte;
  }
}

}  // namespace
}  // namespace startscope
