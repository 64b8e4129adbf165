// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Traces of any startups: what a collector is sent is a message that protobuf reads again, with ids
// of the right length, each span's parent in its trace and no end before its begin; the same as
// JSON reads again too; and one startup makes no more than so much of it. The first byte is the
// options, the rest startups with texts for them.

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>

#include "client/export/otlp_json.h"
#include "client/export/trace_exporter.h"
#include "startscope/v1/startup_service.pb.h"
#include "tests/fuzz/hostile_texts.h"
#include "tests/fuzz/quiet_protobuf.h"
#include "tests/fuzz/text_rules.h"

namespace {

using namespace startscope;      // NOLINT: what is exported
using namespace startscope::v1;  // NOLINT: the messages

// Of one startup: a span for each phase that there is, each attribute cut.
constexpr size_t kMaxTraceBytes = 512 << 10;
constexpr uint64_t kReadAsJson = 2;

const std::string& FieldText(const google::protobuf::Value& of, const std::string& name) {
  return of.struct_value().fields().at(name).string_value();
}

void RequireHex(const std::string& text, size_t bytes) {
  Require(text.size() == 2 * bytes);
  Require(std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0 || (c >= 'a' && c <= 'f');
  }));
}

void CheckValues(const google::protobuf::RepeatedPtrField<otlp::KeyValue>& attributes) {
  std::set<std::string> keys;
  for (const otlp::KeyValue& attribute : attributes) {
    Require(!attribute.key().empty() && keys.insert(attribute.key()).second);
    const otlp::AnyValue& value = attribute.value();
    Require(value.value_case() != otlp::AnyValue::VALUE_NOT_SET);
    Require(value.string_value().size() <= kMaxAttributeBytes);
    Require(std::isfinite(value.double_value()));
    for (const otlp::AnyValue& one : value.array_value().values()) {
      Require(one.string_value().size() <= kMaxAttributeBytes);
    }
  }
}

// Checks what it is given, and keeps nothing.
class CheckingSink : public TraceSink {
 public:
  void Add(TraceSpans spans) override {
    ++counts_.delivered;
    Require(!spans.empty());
    std::set<std::string> ids;
    for (const otlp::Span& span : spans) {
      Require(span.trace_id() == spans[0].trace_id() && span.trace_id().size() == 16);
      Require(span.trace_id() != std::string(16, '\0'));
      Require(span.span_id().size() == 8 && span.span_id() != std::string(8, '\0'));
      Require(ids.insert(span.span_id()).second);
      Require(span.parent_span_id() == (&span == &spans[0] ? "" : spans[0].span_id()));
      Require(span.start_time_unix_nano() <= span.end_time_unix_nano());
      Require(!span.name().empty());
      CheckValues(span.attributes());
      for (const otlp::Event& event : span.events()) CheckValues(event.attributes());
    }
    otlp::Traces traces = FrameOf({}, "1", counts_.delivered);
    traces.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans()->Swap(&spans);
    CheckWire(traces);
    // Reading JSON takes most of the time, and finds nothing new in the others.
    if (counts_.delivered <= kReadAsJson) CheckJson(traces);
  }
  void Finish() override { finished_ = true; }
  [[nodiscard]] SinkCounts counts() const override { return counts_; }
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  static void CheckWire(const otlp::Traces& traces) {
    const std::string body = traces.SerializeAsString();
    Require(body.size() <= kMaxTraceBytes);
    // proto3 reads no string that is not UTF-8.
    otlp::Traces again;
    Require(again.ParseFromString(body));
    Require(again.SerializeAsString() == body);
  }

  static void CheckJson(const otlp::Traces& traces) {
    const absl::StatusOr<std::string> json = ToOtlpJson(traces);
    Require(json.ok());
    // A JSON line, or a request's body, of at most six bytes for one.
    Require(json->size() <= 6 * kMaxTraceBytes);
    RequireHarmlessLine(*json);
    google::protobuf::Value document;
    Require(google::protobuf::util::JsonStringToMessage(*json, &document).ok());
    const auto& resource = document.struct_value().fields().at("resourceSpans");
    const auto& scope = resource.list_value().values(0).struct_value().fields().at("scopeSpans");
    const auto& spans = scope.list_value().values(0).struct_value().fields().at("spans");
    const auto& sent = traces.resource_spans(0).scope_spans(0).spans();
    Require(spans.list_value().values_size() == sent.size());
    for (int i = 0; i < sent.size(); ++i) {
      const google::protobuf::Value& span = spans.list_value().values(i);
      RequireHex(FieldText(span, "traceId"), 16);
      RequireHex(FieldText(span, "spanId"), 8);
      if (i > 0) RequireHex(FieldText(span, "parentSpanId"), 8);
    }
  }

  SinkCounts counts_;
  bool finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ListStartupsResponse list;
  if (!ParseHostile({data + 1, size - 1}, list, (data[0] & 16) != 0)) return 0;
  SamplingOptions sampling;
  sampling.fraction = (data[0] & 1) != 0 ? 1 : 0.5;
  if ((data[0] & 2) != 0) sampling.rate.reset();
  TraceOptions traces;
  traces.arguments = (data[0] & 4) != 0;
  traces.max_objects = (data[0] & 8) != 0 ? 128 : 8;
  CheckingSink sink;
  TraceExporter exporter(sampling, traces, "machine", sink);
  absl::Time now = absl::UnixEpoch();
  for (Startup& startup : *list.mutable_startups()) {
    exporter.Offer(std::move(startup), now);
    now += absl::Milliseconds(100);
  }
  exporter.Tick(now);
  exporter.Finish();
  const TailSampler& sampler = exporter.sampler();
  Require(sink.finished());
  Require(sampler.offered() == static_cast<uint64_t>(list.startups_size()));
  Require(sampler.offered() == sink.counts().delivered + sampler.left_out() + sampler.over_rate());
  return 0;
}
