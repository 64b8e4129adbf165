// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/observer_cost.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>

namespace startscope {
namespace {

constexpr ProbeCosts kCosts = {.uprobe_hit_ns = 1000,
                               .record_ns = 100,
                               .completed_fault_ns = 250,
                               .mapping_ns = 500,
                               .breakpoint_page_ns = 4000};

Evidence SomeEvidence() {
  Evidence evidence;
  evidence.faults.resize(3);
  evidence.faults[0].value.completed = true;
  evidence.mappings.resize(4);
  evidence.marks.resize(5);
  evidence.waits.resize(1);
  return evidence;
}

TEST(ObserverCostTest, EachRecordCostsWhatItsKindDoes) {
  EXPECT_EQ(EstimateObserverCost(SomeEvidence(), 2, kCosts),
            1 * 250u + (2 + 1) * 100u + 4 * 500u + 5 * 1000u + 2 * 4000u);
}

TEST(ObserverCostTest, IsUnknownWhereSomethingThatHappenedWasNotMeasured) {
  ProbeCosts costs = kCosts;
  costs.mapping_ns = 0;
  EXPECT_EQ(EstimateObserverCost(SomeEvidence(), 0, costs), std::nullopt);
  Evidence without = SomeEvidence();
  without.mappings.clear();
  EXPECT_EQ(EstimateObserverCost(without, 0, costs), 250u + 300u + 5000u);
}

TEST(ObserverCostTest, APageOfCodeCountsOnceHoweverManyBreakpointsAreInIt) {
  const FileId file{1, 2, 3};
  auto facts = std::make_shared<ImageFacts>();
  facts->file = file;
  for (const uint64_t offset : {0x1100, 0x1200, 0x5100}) {
    MarkSite& site = facts->sites.emplace_back();
    site.kind = MarkKind::kMain;
    site.file_offset = offset;
  }
  facts->sites.emplace_back().kind = MarkKind::kDlopen;
  ImageMap images;
  KnownImage& image = images[file];
  image.facts = facts;
  image.attached_marks = 1u << static_cast<unsigned>(MarkKind::kMain);
  image.attached_boottime_ns = 50;
  Evidence evidence;
  for (const int prot : {PROT_READ, PROT_READ | PROT_EXEC}) {
    Timed<MappingEvent>& mapping = evidence.mappings.emplace_back();
    mapping.boottime_ns = 100;
    mapping.value.file = file;
    mapping.value.prot = static_cast<uint32_t>(prot);
  }
  EXPECT_EQ(BreakpointPages(evidence, {.all = &images}), 2u);  // dlopen has no breakpoint
  image.attached_boottime_ns = 150;  // when it was mapped there were none yet
  EXPECT_EQ(BreakpointPages(evidence, {.all = &images}), 0u);
}

}  // namespace
}  // namespace startscope
