// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_SERVE_CGROUP_RESOLVER_H_
#define STARTSCOPE_DAEMON_SERVE_CGROUP_RESOLVER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace startscope {

struct CgroupInfo {
  std::string path;          // below the cgroup v2 root; empty when unknown or already removed
  std::string container_id;  // 64 hexadecimal digits, when the path names one
  std::string pod_uid;
};

// cgroup v2 ids to paths. An id is the inode number of the cgroup's directory. Any thread; bounded.
class CgroupResolver {
 public:
  // Finds where cgroup v2 is mounted.
  CgroupResolver();
  CgroupInfo Resolve(uint64_t id) const;
  // The id of a cgroup path below the root; nullopt when there is no such cgroup.
  [[nodiscard]] std::optional<uint64_t> IdOf(const std::string& path) const;

 private:
  void Rescan() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string root_;
  mutable absl::Mutex mutex_;
  mutable absl::flat_hash_map<uint64_t, CgroupInfo> known_ ABSL_GUARDED_BY(mutex_);
  mutable uint64_t last_scan_ns_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Recognises container and pod in a cgroup path (docker, containerd, cri-o, podman; Kubernetes).
CgroupInfo DescribeCgroupPath(const std::string& path);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_SERVE_CGROUP_RESOLVER_H_
