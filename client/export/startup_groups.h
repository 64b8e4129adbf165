// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_STARTUP_GROUPS_H_
#define STARTSCOPE_CLIENT_EXPORT_STARTUP_GROUPS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "startscope/v1/startup.pb.h"

namespace startscope {

// A label whose values come from the machine: there may be any number of them.
struct OpenLabel {
  absl::string_view name;
  std::string (*value)(const startscope::v1::Startup& startup);
};
// The one of this name; nullptr: there is none.
[[nodiscard]] const OpenLabel* FindOpenLabel(absl::string_view name);
[[nodiscard]] std::string OpenLabelNames();

// Metrics by open labels, as many groups as fit in so many series: a machine that starts ever new
// programs cannot make a scrape, or the Prometheus behind it, grow. What does not fit is in the
// group whose labels are all "other", with the startups that are called so themselves; a group that
// had nothing for long gives way to a new one. Both are counted. One thread feeds it; others may
// collect the registry meanwhile.
class StartupGroups {
 public:
  // Series that one group has at most.
  static constexpr size_t kSeriesPerGroup = 7 /* outcomes */ + 23 /* histogram */ + 9 /* phases */;

  // Without labels there is nothing but "no group".
  StartupGroups(prometheus::Registry& registry, std::vector<const OpenLabel*> labels,
                size_t max_series, absl::Duration idle);

  void Observe(const startscope::v1::Startup& startup, absl::Time now);

  [[nodiscard]] size_t groups() const { return groups_.size(); }
  [[nodiscard]] size_t max_groups() const { return max_groups_; }

 private:
  struct Group {
    prometheus::Labels labels;
    absl::Time last_use;
    std::list<std::string>::iterator place;
    prometheus::Histogram* duration = nullptr;
    std::map<std::string, prometheus::Counter*> outcomes;
    std::map<std::string, prometheus::Counter*> phases;
  };

  Group& GroupOf(const startscope::v1::Startup& startup, absl::Time now);
  Group& Add(const std::string& key, const prometheus::Labels& labels, absl::Time now);
  void Remove(const std::string& key);
  static prometheus::Counter& CounterOf(prometheus::Family<prometheus::Counter>& family,
                                        const Group& group, const char* name,
                                        const std::string& value,
                                        std::map<std::string, prometheus::Counter*>& counters);

  const std::vector<const OpenLabel*> labels_;
  const size_t max_groups_;
  const absl::Duration idle_;
  prometheus::Family<prometheus::Counter>* startups_ = nullptr;
  prometheus::Family<prometheus::Histogram>* duration_ = nullptr;
  prometheus::Family<prometheus::Counter>* phase_seconds_ = nullptr;
  prometheus::Counter* overflowed_ = nullptr;
  prometheus::Counter* evicted_ = nullptr;
  prometheus::Gauge* count_ = nullptr;
  // By the values of the labels; the one of "other" is apart.
  std::unordered_map<std::string, Group> groups_;
  // Keys, the least recently used first.
  std::list<std::string> order_;
  std::unique_ptr<Group> other_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_STARTUP_GROUPS_H_
