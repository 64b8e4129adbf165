// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_TRACE_SINK_H_
#define STARTSCOPE_CLIENT_EXPORT_TRACE_SINK_H_

#include <cstdint>
#include <string>

#include "client/export/otlp.pb.h"
#include "client/output_sink.h"

namespace startscope {

using TraceSpans = google::protobuf::RepeatedPtrField<otlp::Span>;

// What became of the startups that a sink was given.
struct SinkCounts {
  uint64_t delivered = 0;
  // The queue was full, the collector could not be reached for too long, or would not have it.
  uint64_t dropped_queue = 0;
  uint64_t dropped_unreachable = 0;
  uint64_t dropped_refused = 0;
  // That the collector said it left out of what it took.
  uint64_t rejected_spans = 0;
  uint64_t body_bytes = 0;
  uint64_t requests = 0;
  std::string last_error;

  [[nodiscard]] uint64_t dropped() const {
    return dropped_queue + dropped_unreachable + dropped_refused;
  }
};

// Where traces go. One thread.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // Never waits for a collector. Each call is one startup.
  virtual void Add(TraceSpans spans) = 0;
  // Hands over what is left, with little patience.
  virtual void Finish() = 0;
  [[nodiscard]] virtual SinkCounts counts() const = 0;
  // True: nothing more can be written.
  [[nodiscard]] virtual bool broken() const { return false; }
};

// The frame of a request or a line, with how many startups were dropped so far: an unreachable
// collector learns of it when it is back.
[[nodiscard]] otlp::Traces FrameOf(const otlp::Resource& resource, const std::string& version,
                                   uint64_t dropped);

// OTLP's file form: JSON Lines, a startup in each, written at once.
class JsonLinesSink : public TraceSink {
 public:
  JsonLinesSink(OutputSink out, otlp::Resource resource, std::string version);

  void Add(TraceSpans spans) override;
  void Finish() override {}
  [[nodiscard]] SinkCounts counts() const override { return counts_; }
  [[nodiscard]] bool broken() const override { return broken_; }

 private:
  OutputSink out_;
  const otlp::Resource resource_;
  const std::string version_;
  SinkCounts counts_;
  bool broken_ = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_TRACE_SINK_H_
