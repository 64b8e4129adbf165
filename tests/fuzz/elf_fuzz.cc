// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The elf stage over any bytes: no crash, no read out of bounds, and every site that it reports
// lies in file-backed executable code.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "daemon/elf/image_inspector.h"

namespace {

bool InExecutableSegment(const startscope::ImageFacts& facts, const startscope::MarkSite& site) {
  for (const startscope::LoadSegment& segment : facts.segments) {
    if (!segment.executable || site.address < segment.address) continue;
    const uint64_t into = site.address - segment.address;
    if (into < segment.file_bytes && segment.file_offset + into == site.file_offset) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  startscope::MemoryByteSource source(std::span<const uint8_t>(data, size));
  startscope::InspectOptions options;
  options.is_loader_hint = size % 2 != 0;
  const startscope::ImageFacts facts = startscope::InspectImage(&source, options);
  for (const startscope::MarkSite& site : facts.sites) {
    if (site.file_offset >= size || !InExecutableSegment(facts, site)) std::abort();
  }
  if (facts.init_functions.size() > startscope::kMaxInitFunctions) std::abort();
  for (const startscope::InitFunction& function : facts.init_functions) {
    if (function.site.kind == startscope::MarkKind::kNone) continue;
    if (function.site.file_offset >= size || !InExecutableSegment(facts, function.site)) {
      std::abort();
    }
  }
  return 0;
}
