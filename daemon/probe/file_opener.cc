// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/file_opener.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"
#include "daemon/privilege/capabilities.h"
#include "daemon/probe/user_file_systems.h"

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

  // Neither call reports an error: without CAP_SETUID and CAP_SETGID nothing changes.
  [[nodiscard]] static bool Is(uint32_t uid, uint32_t gid) {
    return static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1))) == uid &&
           static_cast<gid_t>(setfsgid(static_cast<gid_t>(-1))) == gid;
  }

 private:
  const gid_t old_gid_;
  const uid_t old_uid_;
};

// The numbers in our own memory map. nullopt: the file cannot be mapped.
std::optional<FileId> IdAsMapped(int fd) {
  constexpr size_t kBytes = 4096;
  void* const address = mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) return std::nullopt;
  const std::string begin = absl::StrCat(absl::Hex(reinterpret_cast<uintptr_t>(address)), "-");
  std::ifstream maps("/proc/self/maps");
  std::string line;
  std::optional<FileId> id;
  while (!id && std::getline(maps, line)) {
    if (line.compare(0, begin.size(), begin) != 0) continue;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%*s %*s %*s %x:%x %lu", &major_number, &minor_number, &inode) ==
        3) {
      id = FileId{major_number, minor_number, inode};
    }
  }
  munmap(address, kBytes);
  return id;
}

absl::Status ServedByAProcess(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": not looked at: it is on a file system in user space (FUSE), which need "
                         "not answer"));
}

// Looks at what an O_PATH descriptor names and, if it is a regular file, opens it for reading.
absl::StatusOr<OpenedFile> Reopen(const UniqueFd& handle, const std::string& path,
                                  const FileCheck& accepts = {}) {
  struct stat status {};
  if (fstat(handle.get(), &status) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  if (accepts && !accepts(status)) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": not a file to be opened"));
  }
  const FileId id_by_stat = {major(status.st_dev), minor(status.st_dev), status.st_ino};
  struct statfs system {};
  if (fstatfs(handle.get(), &system) != 0) return ErrnoStatus(errno, path);
  if (system.f_type == FUSE_SUPER_MAGIC && !IsOnVirtioFs(id_by_stat)) {
    return ServedByAProcess(path);
  }
  OpenedFile file;
  // Not blocking: the owner of a file may hold a lease on it, for which an open would wait.
  file.fd.Reset(open(absl::StrCat("/proc/self/fd/", handle.get()).c_str(),
                     O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.fd.valid()) {
    return ErrnoStatus(errno, path, "it cannot be read, so its marks are unknown");
  }
  const std::string seen_as = PathOf(file.fd.get());
  file.name = seen_as.substr(seen_as.rfind('/') + 1);
  if (fstat(file.fd.get(), &status) != 0) return ErrnoStatus(errno, path);
  file.stamp = FileStamp::Of(status);
  file.owner = status.st_uid;
  file.mode = status.st_mode;
  file.id = IdAsMapped(file.fd.get()).value_or(id_by_stat);
  if (system.f_type == OVERLAYFS_SUPER_MAGIC && MayBeFuseBelow(file.fd.get(), file.id)) {
    return ServedByAProcess(path);
  }
  return file;
}

absl::StatusOr<OpenedFile> OpenRegular(const std::string& path) {
  const UniqueFd handle(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!handle.valid()) return ErrnoStatus(errno, path);
  return Reopen(handle, path);
}

absl::StatusOr<OpenedFile> Checked(absl::StatusOr<OpenedFile> file, const std::string& path,
                                   const ExpectedFile& expected) {
  if (!file.ok()) return file;
  if (file->id != expected.executed && file->id != expected.mapped) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is now another file than the one that was executed"));
  }
  file->id = expected.executed;
  return file;
}

}  // namespace

absl::StatusOr<OpenedFile> OpenOwn(const std::string& path) { return OpenRegular(path); }

absl::StatusOr<OpenedFile> OpenAsViewer(const FileViewer& viewer, const std::string& path) {
  const auto open = [&] {
    absl::StatusOr<OpenedFile> file =
        OpenRegular(absl::StrCat("/proc/", viewer.pid, "/root", path));
    // A viewer that may not be looked into (not dumpable) shares our root in all but rare cases;
    // the rights are its own either way.
    if (!file.ok() && absl::IsPermissionDenied(file.status())) return OpenRegular(path);
    return file;
  };
  if (viewer.uid == 0) return open();
  bool as_viewer = false;
  absl::StatusOr<OpenedFile> file = [&]() -> absl::StatusOr<OpenedFile> {
    const ScopedFileIdentity identity(viewer.uid, viewer.gid);
    as_viewer = ScopedFileIdentity::Is(viewer.uid, viewer.gid);
    // Only leaving user 0 takes them away by itself.
    const ScopedFilePermissions permissions;
    if (!permissions.in_force()) return absl::PermissionDeniedError(path);
    return open();
  }();
  if (as_viewer || file.ok() || !absl::IsPermissionDenied(file.status())) return file;
  // Without the right to become the viewer, that was what everybody may open.
  // The viewer's own file, in a home directory for instance. Of any other file the first answer
  // stands, whether it exists or not.
  absl::StatusOr<OpenedFile> own = open();
  struct stat status {};
  if (own.ok() && fstat(own->fd.get(), &status) == 0 && status.st_uid == viewer.uid) return own;
  return file;
}

std::string PathOf(int fd) {
  std::array<char, PATH_MAX> target;
  const std::string link = absl::StrCat("/proc/self/fd/", fd);
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<size_t>(length) == target.size()) return {};
  return std::string(target.data(), static_cast<size_t>(length));
}

absl::StatusOr<UniqueFd> OpenRootOf(uint32_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/root");
  UniqueFd root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(errno, path);
  return root;
}

absl::StatusOr<OpenedFile> OpenBelow(const UniqueFd& root, const std::string& path,
                                     const FileCheck& accepts) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd handle(
      static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  if (!handle.valid()) return ErrnoStatus(errno, path);
  return Reopen(handle, path, accepts);
}

absl::StatusOr<OpenedFile> OpenExecutableOf(uint32_t pid, const UniqueFd& root,
                                            const std::string& path, const ExpectedFile& expected) {
  const std::string link = absl::StrCat("/proc/", pid, "/exe");
  absl::StatusOr<OpenedFile> file = Checked(OpenRegular(link), link, expected);
  if (file.ok()) return file;
  return OpenMapped(root, path, expected);
}

absl::StatusOr<OpenedFile> OpenMapped(const UniqueFd& root, const std::string& path,
                                      const ExpectedFile& expected) {
  if (path.empty() || path[0] != '/') {
    return absl::NotFoundError("the process was gone before its file was opened");
  }
  if (root.valid()) {
    absl::StatusOr<OpenedFile> file = Checked(OpenBelow(root, path), path, expected);
    if (file.ok()) return file;
  }
  return Checked(OpenRegular(path), path, expected);
}

}  // namespace startscope
