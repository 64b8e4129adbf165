// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The elf stage over any bytes: no crash, no read out of bounds, every site that it reports lies in
// file-backed executable code, and all that it lists is bounded.

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

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  startscope::MemoryByteSource source(std::span<const uint8_t>(data, size));
  startscope::InspectOptions options;
  options.is_loader_hint = size % 2 != 0;
  options.is_library = size % 3 == 0;
  const startscope::ImageFacts facts = startscope::InspectImage(&source, options);
  const auto require_site = [&](const startscope::MarkSite& site) {
    Require(site.file_offset < size && InExecutableSegment(facts, site));
  };
  for (const startscope::MarkSite& site : facts.sites) require_site(site);
  Require(facts.init_functions.size() <= startscope::kMaxInitFunctions);
  for (const startscope::InitFunction& function : facts.init_functions) {
    if (function.site.kind != startscope::MarkKind::kNone) require_site(function.site);
  }
  const startscope::LinkFacts& link = facts.link;
  Require(link.sections.size() <= startscope::kMaxListedSections);
  Require(link.disagreements.size() <= 64);
  // Each entry of a table takes bytes of the file; 63 of DT_RELR share one word.
  Require(link.relocations.total() - link.relocations.relr <= size);
  Require(link.relocations.relr <= size * 8);
  Require(link.by_segments.not_loaded <= size);
  for (const char c : link.disagreements.empty() ? "" : link.disagreements.front()) {
    Require(c == 0 || (c >= 0x20 && c < 0x7f));
  }
  return 0;
}
