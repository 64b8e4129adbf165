// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/never_probe.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace startscope {
namespace {

// The kernel side compares so many levels for each exec (SS_NEVER_CGROUPS).
constexpr size_t kMostCgroups = 16;
constexpr size_t kMostRules = 1024;

bool Contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

absl::Status NeverProbe::Add(const std::string& rule) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("--never-probe ", rule, ": ", why));
  };
  if (paths_.size() + build_ids_.size() >= kMostRules) return refuse("more than 1024 rules");
  absl::string_view rest = rule;
  if (absl::ConsumePrefix(&rest, "build-id:")) {
    const bool hexadecimal = std::all_of(rest.begin(), rest.end(), absl::ascii_isxdigit);
    if (rest.empty() || !hexadecimal) return refuse("a build id is hexadecimal digits");
    build_ids_.push_back(absl::AsciiStrToLower(rest));
    return absl::OkStatus();
  }
  if (absl::ConsumePrefix(&rest, "cgroup:")) {
    while (rest.size() > 1 && absl::ConsumeSuffix(&rest, "/")) {
    }
    if (rest.size() < 2 || rest[0] != '/') {
      return refuse(
          "a control group is an absolute path below the cgroup v2 root, and not the root");
    }
    if (cgroups_.size() >= kMostCgroups) return refuse("more than 16 control groups");
    cgroups_.emplace_back(rest);
    return absl::OkStatus();
  }
  if (rule.empty() || rule[0] != '/') {
    return refuse("must be /path, build-id:HEX or cgroup:/path");
  }
  paths_.push_back(rule);
  return absl::OkStatus();
}

absl::Status NeverProbe::AddFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::InvalidArgumentError(
        absl::StrCat("--never-probe-file ", path, ": ", std::strerror(errno)));
  }
  std::string line;
  while (std::getline(file, line)) {
    const std::string rule(absl::StripAsciiWhitespace(line));
    if (rule.empty() || rule[0] == '#') continue;
    if (absl::Status status = Add(rule); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

bool NeverProbe::ExcludesFile(int fd, const std::string& met_as,
                              const std::string& build_id) const {
  if (!build_id.empty() && Contains(build_ids_, build_id)) return true;
  if (paths_.empty()) return false;
  if (Contains(paths_, met_as)) return true;
  char name[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), name, sizeof(name));
  if (size > 0 && Contains(paths_, std::string(name, static_cast<size_t>(size)))) return true;
  struct stat opened {};
  if (fstat(fd, &opened) != 0) return false;
  return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& path) {
    struct stat named {};
    return stat(path.c_str(), &named) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
  });
}

}  // namespace startscope
