// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_THROTTLE_LEDGER_H_
#define STARTSCOPE_DAEMON_COLLECT_THROTTLE_LEDGER_H_

#include <cstdint>
#include <map>
#include <vector>

#include "bpf/event.h"

namespace startscope {

// A control group's budget as the kernel side has it.
struct ThrottledCgroup {
  uint64_t cgroup_id = 0;
  ss_cgroup_budget budget{};
};

// What of the kernel's counts of throttled startups has been told. Each is told once, also those of
// groups that the kernel side has forgotten. One thread.
class ThrottleLedger {
 public:
  struct News {
    uint64_t cgroup_id = 0;  // 0: of groups that are forgotten
    uint64_t watch_mask = 0;
    uint32_t uid = 0;
    uint64_t count = 0;
    uint64_t total = 0;
    uint64_t since_ns = 0;
  };

  // `total` was read before `groups`, which is all that have throttled something.
  std::vector<News> Update(uint64_t now_ns, uint64_t total,
                           const std::vector<ThrottledCgroup>& groups);
  [[nodiscard]] uint64_t told() const { return told_; }

 private:
  std::map<uint64_t, uint64_t> told_of_;  // by group; only those that the kernel side still knows
  uint64_t told_ = 0;
  uint64_t forgotten_total_ = 0;
  // Counted, and of no group that was there: told when it is so twice, for a group may have been
  // missed by one walk over the map.
  uint64_t unexplained_ = 0;
  uint64_t last_ns_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_THROTTLE_LEDGER_H_
