// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/run_collector.h"

#include <algorithm>
#include <utility>

namespace startscope {

using startscope::v1::Startup;

void RunCollector::Begin(pid_t pid) { runs_.push_back(Run{.pid = pid}); }

void RunCollector::End(int wait_status) {
  runs_.back().ended = true;
  runs_.back().wait_status = wait_status;
}

bool RunCollector::Add(Startup startup) {
  const auto& process = startup.process();
  const uint32_t pid = foreign_pids_ ? process.pid_in_namespace() : process.pid();
  // The latest first: a pid that came round again is the newer run's.
  const auto run = std::find_if(runs_.rbegin(), runs_.rend(), [pid](const Run& candidate) {
    return static_cast<uint32_t>(candidate.pid) == pid;
  });
  if (run == runs_.rend()) return false;
  const auto later = std::upper_bound(run->startups.begin(), run->startups.end(), startup,
                                      [](const Startup& a, const Startup& b) {
                                        return a.begin_boottime_ns() < b.begin_boottime_ns();
                                      });
  run->startups.insert(later, std::move(startup));
  return true;
}

RunCollector::Completeness RunCollector::CompletenessOf(const Run& run) const {
  if (run.startups.empty()) return Completeness::kMissing;
  const Startup& last = run.startups.back();
  switch (last.outcome()) {
    case startscope::v1::OUTCOME_REPLACED:
      // The image that took its place is still to come.
      return Completeness::kMissing;
    case startscope::v1::OUTCOME_REACHED:
    case startscope::v1::OUTCOME_DEADLINE:
      // Past main, it may have executed something else before it ended.
      return until_ == startscope::v1::UNTIL_EXIT || last.has_exit_status()
                 ? Completeness::kComplete
                 : Completeness::kPlausible;
    default:
      return Completeness::kComplete;
  }
}

RunCollector::Completeness RunCollector::completeness() const {
  Completeness worst = Completeness::kComplete;
  for (const Run& run : runs_) worst = std::min(worst, CompletenessOf(run));
  return worst;
}

}  // namespace startscope
