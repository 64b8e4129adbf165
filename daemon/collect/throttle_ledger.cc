// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/throttle_ledger.h"

#include <algorithm>
#include <utility>

namespace startscope {

std::vector<ThrottleLedger::News> ThrottleLedger::Update(
    uint64_t now_ns, uint64_t total, const std::vector<ThrottledCgroup>& groups) {
  std::vector<News> news;
  std::map<uint64_t, uint64_t> seen;
  for (const auto& [id, budget] : groups) {
    seen[id] = budget.throttled;
    const auto before = told_of_.find(id);
    // Fewer than before: it was forgotten, and began anew.
    const uint64_t told =
        before == told_of_.end() || before->second > budget.throttled ? 0 : before->second;
    if (budget.throttled == told) continue;
    news.push_back({id, budget.watch_mask, budget.uid, budget.throttled - told, budget.throttled,
                    last_ns_});
    told_ += budget.throttled - told;
  }
  told_of_ = std::move(seen);
  const uint64_t missing = total > told_ ? total - told_ : 0;
  if (const uint64_t count = std::min(missing, unexplained_); count != 0) {
    forgotten_total_ += count;
    told_ += count;
    news.push_back({0, ~0ull, 0, count, forgotten_total_, last_ns_});
    unexplained_ = 0;
  } else {
    unexplained_ = missing;
  }
  last_ns_ = now_ns;
  return news;
}

}  // namespace startscope
