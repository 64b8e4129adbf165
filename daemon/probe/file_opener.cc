// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/file_opener.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

// Gives this thread another's file-system identity for as long as it lives. Setting a non-root
// fsuid also takes the capabilities that override file permissions away (capabilities(7)).
class ScopedFileIdentity {
 public:
  ScopedFileIdentity(uint32_t uid, uint32_t gid)
      : old_gid_(static_cast<gid_t>(setfsgid(gid))), old_uid_(static_cast<uid_t>(setfsuid(uid))) {}
  ~ScopedFileIdentity() {
    setfsuid(old_uid_);
    setfsgid(old_gid_);
  }
  ScopedFileIdentity(const ScopedFileIdentity&) = delete;
  ScopedFileIdentity& operator=(const ScopedFileIdentity&) = delete;

 private:
  const gid_t old_gid_;
  const uid_t old_uid_;
};

absl::StatusOr<OpenedFile> OpenRegular(const std::string& path) {
  const UniqueFd handle(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!handle.valid()) return ErrnoStatus(errno, path);
  struct stat status{};
  if (fstat(handle.get(), &status) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  OpenedFile file;
  file.id = {major(status.st_dev), minor(status.st_dev), status.st_ino};
  file.fd.Reset(
      open(absl::StrCat("/proc/self/fd/", handle.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.fd.valid()) {
    return ErrnoStatus(errno, path, "it cannot be read, so its marks are unknown");
  }
  return file;
}

absl::StatusOr<OpenedFile> OpenExpected(const std::string& path, const FileId& expected) {
  absl::StatusOr<OpenedFile> file = OpenRegular(path);
  if (file.ok() && file->id != expected) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is now another file than the one that was executed"));
  }
  return file;
}

}  // namespace

absl::StatusOr<OpenedFile> OpenOwn(const std::string& path) { return OpenRegular(path); }

absl::StatusOr<OpenedFile> OpenAsViewer(const FileViewer& viewer, const std::string& path) {
  const ScopedFileIdentity identity(viewer.uid, viewer.gid);
  absl::StatusOr<OpenedFile> file = OpenRegular(absl::StrCat("/proc/", viewer.pid, "/root", path));
  // A viewer that may not be looked into (not dumpable) shares our root in all but rare cases; the
  // rights are its own either way.
  if (!file.ok() && absl::IsPermissionDenied(file.status())) return OpenRegular(path);
  return file;
}

absl::StatusOr<OpenedFile> OpenExecutableOf(uint32_t pid, const std::string& path,
                                            const FileId& expected) {
  absl::StatusOr<OpenedFile> file = OpenExpected(absl::StrCat("/proc/", pid, "/exe"), expected);
  if (file.ok()) return file;
  return OpenMappedBy(pid, path, expected);
}

absl::StatusOr<OpenedFile> OpenMappedBy(uint32_t pid, const std::string& path,
                                        const FileId& expected) {
  if (path.empty() || path[0] != '/') {
    return absl::NotFoundError(absl::StrCat("process ", pid, ": gone before its file was opened"));
  }
  absl::StatusOr<OpenedFile> file =
      OpenExpected(absl::StrCat("/proc/", pid, "/root", path), expected);
  if (file.ok()) return file;
  return OpenExpected(path, expected);
}

}  // namespace startscope
