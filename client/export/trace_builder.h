// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_TRACE_BUILDER_H_
#define STARTSCOPE_CLIENT_EXPORT_TRACE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "client/export/otlp.pb.h"
#include "client/export/tail_sampler.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

struct TraceOptions {
  // All that the daemon collected of them; argv[0] is always there.
  bool arguments = false;
  // The costliest objects, as events of the root span.
  size_t max_objects = 8;
};

// Longer text of a process is cut there.
inline constexpr size_t kMaxAttributeBytes = 1024;

// 16 bytes that are the same each time a startup is handed on, and differ between machines if
// `machine` does.
[[nodiscard]] std::string TraceIdOf(const startscope::v1::Startup& startup,
                                    absl::string_view machine);
// Of a trace's id: its last 56 bits.
[[nodiscard]] uint64_t RandomnessOf(absl::string_view trace_id);

// A trace: a root span named "startup", and under it a span for each phase.
[[nodiscard]] google::protobuf::RepeatedPtrField<otlp::Span> BuildTrace(
    const SampledStartup& sampled, absl::string_view trace_id, const TraceOptions& options);

void AddAttribute(absl::string_view key, absl::string_view value,
                  google::protobuf::RepeatedPtrField<otlp::KeyValue>* attributes);
void AddAttribute(absl::string_view key, int64_t value,
                  google::protobuf::RepeatedPtrField<otlp::KeyValue>* attributes);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_TRACE_BUILDER_H_
