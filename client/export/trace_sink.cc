// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/trace_sink.h"

#include <utility>

#include "client/export/otlp_json.h"
#include "client/export/trace_builder.h"

namespace startscope {

otlp::Traces FrameOf(const otlp::Resource& resource, const std::string& version, uint64_t dropped) {
  otlp::Traces traces;
  otlp::ResourceSpans& spans = *traces.add_resource_spans();
  *spans.mutable_resource() = resource;
  otlp::Scope& scope = *spans.add_scope_spans()->mutable_scope();
  scope.set_name("startscope");
  scope.set_version(version);
  if (dropped > 0) {
    AddAttribute("startscope.export.dropped_startups", static_cast<int64_t>(dropped),
                 scope.mutable_attributes());
  }
  return traces;
}

JsonLinesSink::JsonLinesSink(OutputSink out, otlp::Resource resource, std::string version)
    : out_(std::move(out)), resource_(std::move(resource)), version_(std::move(version)) {}

void JsonLinesSink::Add(TraceSpans spans) {
  otlp::Traces traces = FrameOf(resource_, version_, counts_.dropped());
  traces.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans()->Swap(&spans);
  absl::StatusOr<std::string> line = ToOtlpJson(std::move(traces));
  absl::Status written = line.status();
  if (line.ok()) {
    *line += '\n';
    counts_.body_bytes += line->size();
    written = out_.Write(*line);
    broken_ = !written.ok();
  }
  if (written.ok()) {
    ++counts_.delivered;
  } else {
    ++counts_.dropped_refused;
    counts_.last_error = std::string(written.message());
  }
}

}  // namespace startscope
