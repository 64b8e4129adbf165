// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/trace_exporter.h"

namespace startscope {

void TraceExporter::HandOn(const std::vector<SampledStartup>& kept) {
  for (const SampledStartup& sampled : kept) {
    TraceSpans spans = BuildTrace(sampled, TraceIdOf(sampled.startup, machine_), options_);
    spans_ += static_cast<uint64_t>(spans.size());
    sink_.Add(std::move(spans));
  }
}

}  // namespace startscope
