// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/observer_cost.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;

}  // namespace

uint64_t BreakpointPages(const Evidence& evidence, const StartupImages& images) {
  constexpr size_t kUsualMarks = 16;
  absl::InlinedVector<std::pair<FileId, uint64_t>, kUsualMarks> pages;
  const auto add = [&](const KnownImage& image, const MarkSite& site) {
    if ((image.attached_marks & (1u << static_cast<unsigned>(site.kind))) == 0) return;
    pages.emplace_back(image.facts->file, site.file_offset / kPageBytes);
  };
  for (const auto& mapping : evidence.mappings) {
    if ((mapping.value.prot & PROT_EXEC) == 0) continue;
    const KnownImage* image = images.Find(mapping.value.file);
    if (image == nullptr || image->attached_marks == 0 || image->attached_boottime_ns == 0 ||
        image->attached_boottime_ns > mapping.boottime_ns) {
      continue;
    }
    for (const MarkSite& site : image->facts->sites) add(*image, site);
    for (const InitFunction& function : image->facts->init_functions) add(*image, function.site);
  }
  std::sort(pages.begin(), pages.end());
  return static_cast<uint64_t>(std::unique(pages.begin(), pages.end()) - pages.begin());
}

std::optional<uint64_t> EstimateObserverCost(const Evidence& evidence, uint64_t breakpoint_pages,
                                             const ProbeCosts& costs) {
  const auto completed = static_cast<uint64_t>(
      std::count_if(evidence.faults.begin(), evidence.faults.end(),
                    [](const Timed<FaultEvent>& fault) { return fault.value.completed; }));
  const struct {
    uint64_t count;
    uint64_t each_ns;
  } parts[] = {
      {completed, costs.completed_fault_ns},
      // Other records are made as those of a fault's entry are.
      {evidence.faults.size() - completed + evidence.pages_read.size() + evidence.waits.size() +
           evidence.calls.size() + evidence.samples.size(),
       costs.record_ns},
      {evidence.mappings.size(), costs.mapping_ns},
      {evidence.marks.size(), costs.uprobe_hit_ns},
      {breakpoint_pages, costs.breakpoint_page_ns},
  };
  uint64_t sum_ns = 0;
  for (const auto& part : parts) {
    if (part.count != 0 && part.each_ns == 0) return std::nullopt;
    sum_ns += part.count * part.each_ns;
  }
  return sum_ns;
}

}  // namespace startscope
