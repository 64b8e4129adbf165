// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/user_file_systems.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace startscope {
namespace {

// Our own view, and that of the first process: a service has its own in which others' may be
// missing.
constexpr const char* kMountTables[] = {"/proc/self/mountinfo", "/proc/1/mountinfo"};

std::vector<Mount> ReadMounts(const char* path) {
  std::ifstream file(path);
  return ParseMounts(std::string((std::istreambuf_iterator<char>(file)), {}));
}

// Overlay hands the question on to the file below; FUSE has no answer to it, nor is it asked.
bool HasExtents(int fd) {
  struct fiemap map {};
  map.fm_length = FIEMAP_MAX_OFFSET;
  return ioctl(fd, FS_IOC_FIEMAP, &map) == 0;
}

// The mount that a path leads into; null: it does not begin at the root.
const Mount* FindPath(const std::vector<Mount>& mounts, absl::string_view path) {
  const Mount* best = nullptr;
  for (const Mount& mount : mounts) {
    const bool below = mount.point == "/"
                           ? absl::StartsWith(path, "/")
                           : path == mount.point || absl::StartsWith(path, mount.point + "/");
    if (below && (best == nullptr || mount.point.size() >= best->point.size())) best = &mount;
  }
  return best;
}

}  // namespace

std::vector<Mount> ParseMounts(absl::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const std::vector<std::string> mount = absl::StrSplit(halves[0], ' ');
    const std::vector<std::string> system = absl::StrSplit(halves[1], ' ');
    if (mount.size() < 6 || system.size() < 3) continue;
    mounts.push_back({mount[2], mount[4], system[0], system[2]});
  }
  return mounts;
}

const Mount* FindDevice(const std::vector<Mount>& mounts, const FileId& file) {
  const std::string device = absl::StrCat(file.device_major, ":", file.device_minor);
  const Mount* found = nullptr;
  for (const Mount& mount : mounts) {
    if (mount.device == device) found = &mount;
  }
  return found;
}

bool IsFuse(const Mount& mount) {
  return mount.type == "fuse" || mount.type == "fuseblk" || absl::StartsWith(mount.type, "fuse.");
}

bool HasOwnLayers(const Mount& overlay, const std::vector<Mount>& mounts) {
  for (const absl::string_view option : absl::StrSplit(overlay.options, ',')) {
    // "lowerdir=A:B", "lowerdir+=A", "datadir+=A", "upperdir=A"
    const std::vector<absl::string_view> parts = absl::StrSplit(option, absl::MaxSplits('=', 1));
    if (parts.size() != 2 || !absl::StrContains(parts[0], "dir")) continue;
    for (const absl::string_view layer : absl::StrSplit(parts[1], ':')) {
      const Mount* mount = FindPath(mounts, layer);
      if (mount != nullptr && IsFuse(*mount)) return false;
    }
  }
  return true;
}

bool IsServedByKernel(const FileId& file) {
  for (const char* path : kMountTables) {
    const std::vector<Mount> mounts = ReadMounts(path);
    const Mount* mount = FindDevice(mounts, file);
    if (mount == nullptr) continue;
    return mount->type == "overlay" ? HasOwnLayers(*mount, mounts) : !IsFuse(*mount);
  }
  return file.device_major != 0;
}

bool IsOnVirtioFs(const FileId& file) {
  for (const char* path : kMountTables) {
    const std::vector<Mount> mounts = ReadMounts(path);
    const Mount* mount = FindDevice(mounts, file);
    if (mount != nullptr) return mount->type == "virtiofs";
  }
  return false;
}

bool MayBeFuseBelow(int fd, const FileId& file) {
  // Before 6.8 it is mapped as the file below; block devices have major numbers of their own.
  if (file.device_major != 0 || HasExtents(fd)) return false;
  for (const char* path : kMountTables) {
    const std::vector<Mount> mounts = ReadMounts(path);
    const Mount* mount = FindDevice(mounts, file);
    if (mount == nullptr) continue;
    return mount->type == "overlay" ? !HasOwnLayers(*mount, mounts) : IsFuse(*mount);
  }
  // Somebody's own overlay, in a namespace of users.
  return true;
}

}  // namespace startscope
