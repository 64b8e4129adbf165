// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Filters of any text on startups of any text: a pattern of `*`, `?` and plain bytes matches what
// the rules of those say, in bounded time; the kernel's rules let pass whatever the filter does;
// and any path of a control group is taken. An input is a pattern and a path.

#include <algorithm>
#include <cstdint>
#include <string>

#include "daemon/base/text_escape.h"
#include "daemon/serve/startup_filter.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/split_input.h"

namespace {

using startscope::Require;

// `*` any text, `?` any byte, all else itself.
bool WildcardMatches(const std::string& pattern, const std::string& text) {
  size_t at = 0, in = 0, star = std::string::npos, resume = 0;
  while (in < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      resume = in;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == text[in])) {
      ++at;
      ++in;
    } else if (star != std::string::npos) {
      at = star + 1;
      in = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

bool KernelLetsPass(const std::vector<startscope::KernelFilter>& rules,
                    const startscope::Startup& startup) {
  if (rules.empty()) return true;
  return std::any_of(rules.begin(), rules.end(), [&](const startscope::KernelFilter& rule) {
    const startscope::ProcessInfo& process = startup.process;
    return (!rule.uid || *rule.uid == process.uid) && (!rule.pid || *rule.pid == process.pid) &&
           (!rule.cgroup_id || *rule.cgroup_id == process.cgroup_id) &&
           (!rule.comm || *rule.comm == process.comm);
  });
}

startscope::StartupFilter Create(const startscope::v1::Filter& filter) {
  startscope::StartupFilter::Filters allow, deny;
  *allow.Add() = filter;
  startscope::PeerIdentity peer;
  peer.privileged = true;
  auto created = startscope::StartupFilter::Create(allow, deny, peer);
  Require(created.ok());
  return *std::move(created);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const startscope::CgroupResolver cgroups;
  const startscope::SplitInput input = startscope::Split(data, size);
  const std::string pattern(input.first.begin(), input.first.end());
  const std::string path(input.second.begin(), input.second.end());
  if (pattern.size() > 4096 || path.size() > 4096) return 0;

  const startscope::CgroupInfo info = startscope::DescribeCgroupPath(path);
  Require(info.path == path);
  Require(info.container_id.empty() || info.container_id.size() == 64);
  Require(info.pod_uid.empty() || info.pod_uid.size() == 36);

  startscope::Startup startup;
  startup.process.pid = static_cast<uint32_t>(size);
  startup.process.executable = path;
  startup.process.comm = path.substr(0, 15);
  const std::string text = startscope::EscapeToUtf8(path);
  Require(startscope::UnescapeFromUtf8(text) == path);

  startscope::v1::Filter by_path;
  by_path.add_executable(pattern);
  const bool matched = Create(by_path).Matches(startup, cgroups);
  const bool plain = pattern.find_first_of(std::string("[\0", 2)) == std::string::npos &&
                     text.find('\0') == std::string::npos;
  if (plain && !pattern.empty()) {
    Require(matched == WildcardMatches(pattern, text));
  }

  startscope::v1::Filter by_identity;
  by_identity.add_comm(pattern.substr(0, 15));
  by_identity.add_comm(startscope::EscapeToUtf8(startup.process.comm));
  by_identity.add_pid(startup.process.pid);
  by_identity.add_pid(static_cast<uint32_t>(pattern.size()));
  by_identity.add_cgroup_path(pattern);
  const startscope::StartupFilter filter = Create(by_identity);
  if (filter.Matches(startup, cgroups)) {
    Require(KernelLetsPass(filter.ForKernel(cgroups), startup));
  }
  return 0;
}
