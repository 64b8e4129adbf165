// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_LABELLED_FAMILY_H_
#define STARTSCOPE_CLIENT_EXPORT_LABELLED_FAMILY_H_

#include <prometheus/family.h>

#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace startscope {

// The metrics of a family by the values of its labels, each made when it is first asked for. For
// labels whose values are few and known: nothing bounds it. One thread; the family may be collected
// by others meanwhile.
template <typename Metric, typename... Arguments>
class LabelledFamily {
 public:
  LabelledFamily(prometheus::Family<Metric>& family, std::vector<std::string> names,
                 Arguments... arguments)
      : family_(family), names_(std::move(names)), arguments_(std::move(arguments)...) {}

  // As many values as there are names, in their order.
  Metric& Get(const std::vector<std::string>& values) {
    Metric*& metric = metrics_[absl::StrJoin(values, std::string(1, '\0'))];
    if (metric == nullptr) {
      prometheus::Labels labels;
      for (size_t i = 0; i < names_.size(); ++i) labels[names_[i]] = values[i];
      metric = std::apply(
          [&](const auto&... arguments) { return &family_.Add(labels, arguments...); }, arguments_);
    }
    return *metric;
  }

 private:
  prometheus::Family<Metric>& family_;
  const std::vector<std::string> names_;
  const std::tuple<Arguments...> arguments_;
  std::unordered_map<std::string, Metric*> metrics_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_LABELLED_FAMILY_H_
