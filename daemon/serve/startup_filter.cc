// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/startup_filter.h"

#include <fnmatch.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/base/text_escape.h"

namespace startscope {
namespace {

constexpr int kMaxFilters = 64;
constexpr int kMaxValues = 64;
constexpr size_t kMaxText = 4096;
constexpr size_t kMaxKernelFilters = 16;

absl::Status Check(const StartupFilter::Filters& filters, const char* name) {
  if (filters.size() > kMaxFilters) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", filters.size(),
                                                   " filters; at most ", kMaxFilters));
  }
  for (const v1::Filter& filter : filters) {
    const int values = std::max({filter.uid_size(), filter.pid_size(), filter.comm_size(),
                                 filter.executable_size(), filter.cgroup_id_size(),
                                 filter.cgroup_path_size()});
    if (values > kMaxValues) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": a field with ", values, " values; at most ", kMaxValues));
    }
    for (const std::string& text : filter.executable()) {
      if (text.size() > kMaxText) {
        return absl::InvalidArgumentError(absl::StrCat(name, ".executable: longer than 4096 bytes"));
      }
    }
  }
  return absl::OkStatus();
}

template <typename Values, typename Value>
bool Has(const Values& values, const Value& value) {
  return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

bool MatchesExecutable(const v1::Filter& filter, const Startup& startup) {
  if (filter.executable().empty()) return true;
  const std::string path = EscapeToUtf8(startup.process.executable);
  const std::string given = EscapeToUtf8(startup.process.filename);
  return std::any_of(
      filter.executable().begin(), filter.executable().end(), [&](const std::string& pattern) {
        return pattern == path || pattern == given ||
               fnmatch(pattern.c_str(), path.c_str(), FNM_NOESCAPE) == 0;
      });
}

bool MatchesCgroup(const v1::Filter& filter, const Startup& startup,
                   const CgroupResolver& cgroups) {
  if (!Has(filter.cgroup_id(), startup.process.cgroup_id)) return false;
  if (filter.cgroup_path().empty()) return true;
  const std::string path = cgroups.Resolve(startup.process.cgroup_id).path;
  return std::any_of(filter.cgroup_path().begin(), filter.cgroup_path().end(),
                     [&](std::string wanted) {
                       if (wanted.empty() || wanted[0] != '/') wanted = "/" + wanted;
                       while (wanted.size() > 1 && wanted.back() == '/') wanted.pop_back();
                       if (wanted == "/" || path == wanted) return true;
                       return path.rfind(wanted + "/", 0) == 0;
                     });
}

bool MatchesOne(const v1::Filter& filter, const Startup& startup, const CgroupResolver& cgroups) {
  return Has(filter.uid(), startup.process.uid) && Has(filter.pid(), startup.process.pid) &&
         Has(filter.comm(), EscapeToUtf8(startup.process.comm)) &&
         MatchesExecutable(filter, startup) && MatchesCgroup(filter, startup, cgroups);
}

// Multiplies the alternatives of one field into the rules so far; left alone when they would become
// too many, which only makes the kernel let more pass.
template <typename Values, typename Set>
void Expand(const Values& values, std::vector<KernelFilter>* rules, size_t limit, Set set) {
  if (values.empty() || rules->size() * static_cast<size_t>(values.size()) > limit) return;
  std::vector<KernelFilter> expanded;
  for (const KernelFilter& rule : *rules) {
    for (const auto& value : values) {
      expanded.push_back(rule);
      set(&expanded.back(), value);
    }
  }
  *rules = std::move(expanded);
}

}  // namespace

bool MaySee(const PeerIdentity& peer, const Startup& startup) {
  if (peer.privileged) return true;
  return startup.process.uid == peer.uid && startup.process.euid == peer.uid &&
         !startup.process.secure;
}

absl::StatusOr<StartupFilter> StartupFilter::Create(const Filters& allow, const Filters& deny,
                                                    const PeerIdentity& peer) {
  if (absl::Status status = Check(allow, "allow"); !status.ok()) return status;
  if (absl::Status status = Check(deny, "deny"); !status.ok()) return status;
  StartupFilter filter;
  filter.allow_.assign(allow.begin(), allow.end());
  filter.deny_.assign(deny.begin(), deny.end());
  filter.peer_ = peer;
  return filter;
}

bool StartupFilter::Matches(const Startup& startup, const CgroupResolver& cgroups) const {
  if (!MaySee(peer_, startup)) return false;
  const auto matches = [&](const v1::Filter& filter) {
    return MatchesOne(filter, startup, cgroups);
  };
  if (!allow_.empty() && std::none_of(allow_.begin(), allow_.end(), matches)) return false;
  return std::none_of(deny_.begin(), deny_.end(), matches);
}

std::vector<KernelFilter> StartupFilter::ForKernel(const CgroupResolver& cgroups) const {
  std::vector<KernelFilter> all;
  std::vector<v1::Filter> allow = allow_;
  if (allow.empty()) allow.emplace_back();
  const size_t each = std::max<size_t>(1, kMaxKernelFilters / allow.size());
  for (const v1::Filter& filter : allow) {
    std::vector<KernelFilter> rules(1);
    Expand(filter.pid(), &rules, each, [](KernelFilter* rule, uint32_t pid) { rule->pid = pid; });
    Expand(filter.uid(), &rules, each, [](KernelFilter* rule, uint32_t uid) { rule->uid = uid; });
    Expand(filter.cgroup_id(), &rules, each,
           [](KernelFilter* rule, uint64_t id) { rule->cgroup_id = id; });
    Expand(filter.comm(), &rules, each,
           [](KernelFilter* rule, const std::string& comm) {
             rule->comm = UnescapeFromUtf8(comm);  // the kernel compares the name's own bytes
           });
    if (!peer_.privileged) {
      for (KernelFilter& rule : rules) {
        if (!rule.uid) rule.uid = peer_.uid;
      }
    }
    all.insert(all.end(), rules.begin(), rules.end());
  }
  const auto unconditional = [](const KernelFilter& rule) {
    return !rule.uid && !rule.pid && !rule.cgroup_id && !rule.comm;
  };
  if (std::any_of(all.begin(), all.end(), unconditional)) return {};
  if (all.size() <= kMaxKernelFilters) return all;
  if (peer_.privileged) return {};
  KernelFilter own;
  own.uid = peer_.uid;
  return {own};
}

}  // namespace startscope
