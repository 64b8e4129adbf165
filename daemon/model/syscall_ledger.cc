// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/syscall_ledger.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace startscope {
namespace {

// Results from -4095 to -1 are error numbers.
bool Failed(int64_t result) { return result < 0 && result >= -4095; }

std::pair<std::string, std::string> NameAndDirectory(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {path, ""};
  return {path.substr(slash + 1), slash == 0 ? "/" : path.substr(0, slash)};
}

}  // namespace

SyscallUse SumSyscalls(const Evidence& evidence, const End& end, size_t max_searches) {
  SyscallUse use;
  std::map<uint32_t, SyscallTotal> totals;
  std::map<std::pair<std::string, std::string>, FailedSearch> searches;
  for (const auto& call : evidence.calls) {
    if (call.boottime_ns > end.boottime_ns) continue;
    const SyscallEvent& value = call.value;
    const bool timed =
        value.entry_boottime_ns != 0 && value.entry_boottime_ns <= call.boottime_ns;
    const uint64_t duration = timed ? call.boottime_ns - value.entry_boottime_ns : 0;
    SyscallTotal& total = totals[value.number];
    total.number = value.number;
    ++total.calls;
    if (Failed(value.result)) ++total.errors;
    total.duration_ns += duration;
    total.off_cpu_ns += std::min(value.off_cpu_ns, duration);
    if (value.path.empty()) continue;
    auto key = NameAndDirectory(value.path);
    const auto found = searches.find(key);
    if (found == searches.end() && searches.size() >= max_searches) {
      ++use.searches_omitted;
      continue;
    }
    FailedSearch& search = found == searches.end() ? searches[key] : found->second;
    search.name = key.first;
    search.directory = key.second;
    ++search.count;
    search.duration_ns += duration;
  }
  use.calls_omitted = evidence.not_kept.calls;
  for (auto& [number, total] : totals) use.totals.push_back(total);
  for (auto& [key, search] : searches) use.searches.push_back(std::move(search));
  std::stable_sort(use.totals.begin(), use.totals.end(), [](const auto& a, const auto& b) {
    return a.duration_ns > b.duration_ns;
  });
  std::stable_sort(use.searches.begin(), use.searches.end(), [](const auto& a, const auto& b) {
    return a.count > b.count;
  });
  return use;
}

}  // namespace startscope
