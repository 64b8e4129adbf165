// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Opening files that others name. Nothing here follows a path twice: a descriptor is opened without
// touching the file (O_PATH), looked at, and only then reopened for reading. Nothing on FUSE is
// opened: whoever serves it may leave any call unanswered, a read by the kernel under a breakpoint
// and even close() among them. Blocks for as long as a file system likes: see PatientOpener.

#ifndef STARTSCOPE_DAEMON_PROBE_FILE_OPENER_H_
#define STARTSCOPE_DAEMON_PROBE_FILE_OPENER_H_

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"
#include "daemon/elf/image_facts.h"
#include "daemon/inspect/refused_files.h"

namespace startscope {

struct OpenedFile {
  UniqueFd fd;
  // As the kernel tells of mappings of this file, which is not what stat() says on overlay and
  // btrfs.
  FileId id;
  // The last component of its path, links followed; empty where that is not known.
  std::string name;
  // As stat() says when it was open.
  FileStamp stamp;
  uid_t owner = 0;
  mode_t mode = 0;
};

// Whose rights a path is opened with, and whose view of the file system it is meant in.
struct FileViewer {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// Opens `path` with our own rights in our own view.
absl::StatusOr<OpenedFile> OpenOwn(const std::string& path);

// Opens `path` (absolute) as the viewer's process would: below its root, with its user and group.
absl::StatusOr<OpenedFile> OpenAsViewer(const FileViewer& viewer, const std::string& path);

// The path of an open file or directory as we see it; empty where there is none.
std::string PathOf(int fd);

// A process's root directory. Held open, it outlives the process: what lies below can be opened
// later.
absl::StatusOr<UniqueFd> OpenRootOf(uint32_t pid);

// Opens `path` below `root`, links included: nothing leads out of it. With `accepts`, only what that
// says yes to before it is opened for reading, which some files answer to.
using FileCheck = std::function<bool(const struct stat&)>;
absl::StatusOr<OpenedFile> OpenBelow(const UniqueFd& root, const std::string& path,
                                     const FileCheck& accepts = {});

// What a file that is opened must be: `executed`, or mapped as `mapped`. Before 6.8 the kernel
// tells of an executable on overlay by overlay's own numbers, and of its mappings by those of the
// file below.
struct ExpectedFile {
  FileId executed;
  FileId mapped;
};

// Opens the executable of a process, or a file that it has mapped, and checks that it is the
// expected one, under whose `executed` it is then known. `root` is that of the process or of one
// that sees the same files; without it, ours is tried.
absl::StatusOr<OpenedFile> OpenExecutableOf(uint32_t pid, const UniqueFd& root,
                                            const std::string& path, const ExpectedFile& expected);
absl::StatusOr<OpenedFile> OpenMapped(const UniqueFd& root, const std::string& path,
                                      const ExpectedFile& expected);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_FILE_OPENER_H_
