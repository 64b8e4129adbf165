// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/observer_cost.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace startscope
