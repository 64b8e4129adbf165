// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/cgroup_resolver.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <vector>

#include "daemon/base/clock.h"

namespace startscope {
namespace {

constexpr size_t kMaxCgroups = 65536;
constexpr uint64_t kRescanIntervalNs = 1'000'000'000;

bool IsHex(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

std::string FindCgroup2Mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device;
    std::string point;
    std::string type;
    if (fields >> device >> point >> type && type == "cgroup2") return point;
  }
  return {};
}

}  // namespace

CgroupInfo DescribeCgroupPath(const std::string& path) {
  CgroupInfo info;
  info.path = path;
  std::istringstream parts(path);
  std::string part;
  while (std::getline(parts, part, '/')) {
    // "docker-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>", "libpod-<id>", or "<id>".
    std::string name = part.substr(0, part.find(".scope"));
    const std::string tail = name.substr(name.rfind('-') == std::string::npos ? 0 : name.rfind('-') + 1);
    if (tail.size() == 64 && IsHex(tail)) info.container_id = tail;
    // "pod<uid>" or "kubepods-…-pod<uid>.slice", where the uid's dashes may be underscores.
    const size_t pod = part.rfind("pod");
    if (pod == std::string::npos) continue;
    std::string uid = part.substr(pod + 3);
    uid = uid.substr(0, uid.find(".slice"));
    std::replace(uid.begin(), uid.end(), '_', '-');
    if (uid.size() == 36 && uid[8] == '-' && uid[13] == '-') info.pod_uid = uid;
  }
  return info;
}

CgroupResolver::CgroupResolver() : root_(FindCgroup2Mount()) {}

CgroupInfo CgroupResolver::Resolve(uint64_t id) const {
  absl::MutexLock lock(&mutex_);
  auto found = known_.find(id);
  if (found == known_.end()) {
    Rescan();
    found = known_.find(id);
  }
  return found == known_.end() ? CgroupInfo{} : found->second;
}

std::optional<uint64_t> CgroupResolver::IdOf(const std::string& path) const {
  struct stat status{};
  if (root_.empty() || stat((root_ + "/" + path).c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

void CgroupResolver::Rescan() const {
  const uint64_t now = BoottimeNs();
  if (root_.empty() || (last_scan_ns_ != 0 && now - last_scan_ns_ < kRescanIntervalNs)) return;
  last_scan_ns_ = now;
  absl::flat_hash_map<uint64_t, CgroupInfo> fresh;
  std::vector<std::string> pending = {""};
  while (!pending.empty() && fresh.size() < kMaxCgroups) {
    const std::string path = pending.back();
    pending.pop_back();
    struct stat status{};
    const std::string full = root_ + path;
    if (stat(full.c_str(), &status) != 0) continue;
    fresh[status.st_ino] = DescribeCgroupPath(path.empty() ? "/" : path);
    DIR* directory = opendir(full.c_str());
    if (directory == nullptr) continue;
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
        pending.push_back(path + "/" + entry->d_name);
      }
    }
    closedir(directory);
  }
  known_ = std::move(fresh);
}

}  // namespace startscope
