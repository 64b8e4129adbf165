// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Which files are on file systems that a process serves (FUSE) and that need not answer: told from
// what the kernel knows by itself, without asking them.

#ifndef STARTSCOPE_DAEMON_PROBE_USER_FILE_SYSTEMS_H_
#define STARTSCOPE_DAEMON_PROBE_USER_FILE_SYSTEMS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// A line of mountinfo (proc_pid_mountinfo(5)), escapes as they are there.
struct Mount {
  std::string device;  // "MAJOR:MINOR"
  std::string point;
  std::string type;
  std::string options;  // of the file system, not of the mount
};
std::vector<Mount> ParseMounts(absl::string_view mountinfo);

// The last one of the device; null: none.
const Mount* FindDevice(const std::vector<Mount>& mounts, const FileId& file);

// A FUSE file system. Not so virtiofs, which the machine's host serves.
bool IsFuse(const Mount& mount);
// An overlay whose layers, as far as they are named from the root, are on no FUSE file system.
bool HasOwnLayers(const Mount& overlay, const std::vector<Mount>& mounts);

// By the device number that stat() tells: it is known what the file system is, and that no process
// serves it.
bool IsServedByKernel(const FileId& file);

// Of a file on file system FUSE_SUPER_MAGIC: whether it may be opened even so.
bool IsOnVirtioFs(const FileId& file);
// Of an open file on overlay, mapped as `file`: whether what is below may be FUSE.
bool MayBeFuseBelow(int fd, const FileId& file);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_USER_FILE_SYSTEMS_H_
