// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/startup_groups.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/export/enum_label.h"
#include "client/export/startup_metrics.h"
#include "client/export/text_label.h"

namespace startscope {
namespace {

using startscope::v1::Startup;

constexpr char kOther[] = "other";

// Arguments are not among them, and never will be: they may hold what nobody else is to read.
constexpr OpenLabel kOpenLabels[] = {
    {"executable", [](const Startup& s) { return s.process().executable(); }},
    {"comm", [](const Startup& s) { return s.process().comm(); }},
    {"uid", [](const Startup& s) { return absl::StrCat(s.process().uid()); }},
    {"cgroup", [](const Startup& s) { return s.process().cgroup_path(); }},
    {"container_id", [](const Startup& s) { return s.process().container_id(); }},
    {"pod_uid", [](const Startup& s) { return s.process().pod().uid(); }},
};

}  // namespace

const OpenLabel* FindOpenLabel(absl::string_view name) {
  for (const OpenLabel& label : kOpenLabels) {
    if (label.name == name) return &label;
  }
  return nullptr;
}

std::string OpenLabelNames() {
  std::string names;
  for (const OpenLabel& label : kOpenLabels) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", label.name);
  }
  return names;
}

StartupGroups::StartupGroups(prometheus::Registry& registry, std::vector<const OpenLabel*> labels,
                             size_t max_series, absl::Duration idle)
    : labels_(std::move(labels)),
      // One is for the rest.
      max_groups_(std::max<size_t>(max_series / kSeriesPerGroup, 2) - 1),
      idle_(idle) {
  if (labels_.empty()) return;
  const auto counter = [&registry](const char* name,
                                   const char* help) -> prometheus::Family<prometheus::Counter>& {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  };
  startups_ = &counter("startscope_group_startups_total",
                       "Startups by the labels asked for, and by how they ended.");
  duration_ = &prometheus::BuildHistogram()
                   .Name("startscope_group_startup_duration_seconds")
                   .Help("Exec to the end condition, by the labels asked for.")
                   .Register(registry);
  phase_seconds_ = &counter("startscope_group_phase_seconds_total",
                            "Time in each phase, by the labels asked for.");
  overflowed_ =
      &counter("startscope_exporter_overflowed_startups_total",
               "Startups counted in the group \"other\" because --max-series was reached.")
           .Add({});
  evicted_ =
      &counter("startscope_exporter_evicted_groups_total", "Idle groups that gave way to new ones.")
           .Add({});
  count_ = &prometheus::BuildGauge()
                .Name("startscope_exporter_groups")
                .Help("Groups there are, \"other\" not counted.")
                .Register(registry)
                .Add({});
  prometheus::BuildGauge()
      .Name("startscope_exporter_groups_limit")
      .Help("Groups there may be, from --max-series.")
      .Register(registry)
      .Add({})
      .Set(static_cast<double>(max_groups_));
}

void StartupGroups::Observe(const Startup& startup, absl::Time now) {
  if (labels_.empty()) return;
  Group& group = GroupOf(startup, now);
  const std::string outcome =
      EnumLabel(startscope::v1::Outcome_Name(startup.outcome()), "OUTCOME_");
  CounterOf(*startups_, group, "outcome", outcome, group.outcomes).Increment();
  if (startup.outcome() == startscope::v1::OUTCOME_REACHED) {
    group.duration->Observe(static_cast<double>(startup.total_ns()) * 1e-9);
  }
  for (const auto& slice : startup.phases()) {
    const std::string phase = EnumLabel(startscope::v1::Phase_Name(slice.phase()), "PHASE_");
    CounterOf(*phase_seconds_, group, "phase", phase, group.phases)
        .Increment(static_cast<double>(slice.duration_ns()) * 1e-9);
  }
}

StartupGroups::Group& StartupGroups::GroupOf(const Startup& startup, absl::Time now) {
  std::string key;
  prometheus::Labels labels;
  bool rest = true;
  for (const OpenLabel* label : labels_) {
    std::string value = TextLabel(label->value(startup));
    absl::StrAppend(&key, value, absl::string_view("\0", 1));
    rest = rest && value == kOther;
    labels[std::string(label->name)] = std::move(value);
  }
  // The series of what is called "other" are those of the rest: as a group of its own it would take
  // them along when it gives way.
  if (!rest) {
    if (const auto found = groups_.find(key); found != groups_.end()) {
      found->second.last_use = now;
      order_.splice(order_.end(), order_, found->second.place);
      return found->second;
    }
    if (groups_.size() >= max_groups_ && now - groups_.at(order_.front()).last_use >= idle_) {
      Remove(order_.front());
      evicted_->Increment();
    }
    if (groups_.size() < max_groups_) return Add(key, labels, now);
    overflowed_->Increment();
  }
  if (other_ == nullptr) {
    for (auto& [name, value] : labels) value = kOther;
    other_ = std::make_unique<Group>();
    other_->labels = labels;
    other_->duration = &duration_->Add(labels, StartupBuckets());
  }
  return *other_;
}

StartupGroups::Group& StartupGroups::Add(const std::string& key, const prometheus::Labels& labels,
                                         absl::Time now) {
  Group& group = groups_[key];
  group.labels = labels;
  group.last_use = now;
  group.place = order_.insert(order_.end(), key);
  group.duration = &duration_->Add(labels, StartupBuckets());
  count_->Set(static_cast<double>(groups_.size()));
  return group;
}

void StartupGroups::Remove(const std::string& key) {
  const auto found = groups_.find(key);
  const Group& group = found->second;
  duration_->Remove(group.duration);
  for (const auto& [value, counter] : group.outcomes) startups_->Remove(counter);
  for (const auto& [value, counter] : group.phases) phase_seconds_->Remove(counter);
  const auto place = group.place;
  groups_.erase(found);
  order_.erase(place);
}

prometheus::Counter& StartupGroups::CounterOf(
    prometheus::Family<prometheus::Counter>& family, const Group& group, const char* name,
    const std::string& value, std::map<std::string, prometheus::Counter*>& counters) {
  prometheus::Counter*& counter = counters[value];
  if (counter == nullptr) {
    prometheus::Labels labels = group.labels;
    labels[name] = value;
    counter = &family.Add(labels);
  }
  return *counter;
}

}  // namespace startscope
