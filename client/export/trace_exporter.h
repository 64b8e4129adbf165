// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_TRACE_EXPORTER_H_
#define STARTSCOPE_CLIENT_EXPORT_TRACE_EXPORTER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/export/tail_sampler.h"
#include "client/export/trace_builder.h"
#include "client/export/trace_sink.h"

namespace startscope {

// Startups in, traces out: samples, builds, and gives to a sink, which it does not own. One thread.
class TraceExporter {
 public:
  TraceExporter(const SamplingOptions& sampling, const TraceOptions& traces, std::string machine,
                TraceSink& sink)
      : sampler_(sampling), options_(traces), machine_(std::move(machine)), sink_(sink) {}

  void Offer(startscope::v1::Startup startup, absl::Time now) {
    const uint64_t randomness = RandomnessOf(TraceIdOf(startup, machine_));
    sampler_.Offer(std::move(startup), randomness, now);
    HandOn(sampler_.Take(now));
  }
  // To be called every second or so, that what was sampled does not wait for the next startup.
  void Tick(absl::Time now) { HandOn(sampler_.Take(now)); }
  void Finish() {
    HandOn(sampler_.Flush());
    sink_.Finish();
  }

  [[nodiscard]] const TailSampler& sampler() const { return sampler_; }
  [[nodiscard]] uint64_t spans() const { return spans_; }

 private:
  void HandOn(const std::vector<SampledStartup>& kept);

  TailSampler sampler_;
  const TraceOptions options_;
  const std::string machine_;
  TraceSink& sink_;
  uint64_t spans_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_TRACE_EXPORTER_H_
