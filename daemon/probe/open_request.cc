// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/open_request.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/decode/byte_archive.h"
#include "daemon/inspect/frame.h"
#include "daemon/probe/user_file_systems.h"

namespace startscope {

template <>
inline constexpr OpenRequest::How kLastValue<OpenRequest::How> = OpenRequest::How::kMapped;
template <>
inline constexpr absl::StatusCode kLastValue<absl::StatusCode> = absl::StatusCode::kUnauthenticated;

namespace {

template <typename Archive, typename Id>
void ArchiveFileId(Archive& archive, Id& id) {
  archive(id.device_major);
  archive(id.device_minor);
  archive(id.inode);
}

// Times before 1970 are negative.
void ArchiveTime(ByteWriter& writer, int64_t time_ns) { writer(static_cast<uint64_t>(time_ns)); }
void ArchiveTime(ByteReader& reader, int64_t& time_ns) {
  uint64_t bits = 0;
  reader(bits);
  time_ns = static_cast<int64_t>(bits);
}

template <typename Archive, typename Request>
void ArchiveRequest(Archive& archive, Request& request, bool& of_debug_file,
                    OpenRequest::Image& image) {
  archive(request.how);
  archive(request.path);
  archive(request.viewer.pid);
  archive(request.viewer.uid);
  archive(request.viewer.gid);
  archive(request.pid);
  ArchiveFileId(archive, request.expected.executed);
  ArchiveFileId(archive, request.expected.mapped);
  archive(of_debug_file);
  archive(image.owner);
  archive(image.mode);
}

template <typename Archive, typename File>
void ArchiveFile(Archive& archive, File& file) {
  ArchiveFileId(archive, file.id);
  archive(file.name);
  archive(file.stamp.device);
  archive(file.stamp.inode);
  archive(file.stamp.size_bytes);
  ArchiveTime(archive, file.stamp.modified_ns);
  ArchiveTime(archive, file.stamp.changed_ns);
  archive(file.owner);
  archive(file.mode);
}

// What the kernel has in its cache of names; invalid: not there.
UniqueFd Cached(int root, const std::string& path, uint64_t resolve) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_CACHED;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

UniqueFd CachedBelow(const UniqueFd& root, const std::string& path) {
  if (!root.valid()) return UniqueFd();
  return Cached(root.get(), path, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

UniqueFd CachedHandle(const OpenRequest& request) {
  const UniqueFd unknown;
  const UniqueFd& root = request.root ? *request.root : unknown;
  switch (request.how) {
    case OpenRequest::How::kOwn:
      return Cached(AT_FDCWD, request.path, 0);
    case OpenRequest::How::kAsViewer: {
      const absl::StatusOr<UniqueFd> seen = OpenRootOf(request.viewer.pid);
      return seen.ok() ? CachedBelow(*seen, request.path) : UniqueFd();
    }
    case OpenRequest::How::kExecutableOf: {
      UniqueFd executed(
          open(absl::StrCat("/proc/", request.pid, "/exe").c_str(), O_PATH | O_CLOEXEC));
      return executed.valid() ? std::move(executed) : CachedBelow(root, request.path);
    }
    case OpenRequest::How::kBelow:
    case OpenRequest::How::kMapped:
      return CachedBelow(root, request.path);
  }
  return UniqueFd();
}

}  // namespace

bool SurelyAnswers(const OpenRequest& request) {
  const UniqueFd handle = CachedHandle(request);
  struct statx status {};
  if (!handle.valid() ||
      statx(handle.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) != 0) {
    return false;
  }
  return IsServedByKernel({status.stx_dev_major, status.stx_dev_minor, status.stx_ino});
}

bool MayBeDebugFile(const struct stat& debug, const OpenRequest::Image& image) {
  const mode_t more = debug.st_mode & ~image.mode & (S_IWGRP | S_IWOTH);
  return (debug.st_uid == 0 || debug.st_uid == image.owner) && more == 0 && debug.st_size > 0;
}

absl::StatusOr<OpenedFile> OpenNow(const OpenRequest& request) {
  const UniqueFd unknown;
  const UniqueFd& root = request.root ? *request.root : unknown;
  FileCheck accepts;
  if (request.debug_file_of) {
    accepts = [&](const struct stat& status) {
      return MayBeDebugFile(status, *request.debug_file_of);
    };
  }
  switch (request.how) {
    case OpenRequest::How::kOwn:
      return OpenOwn(request.path);
    case OpenRequest::How::kAsViewer:
      return OpenAsViewer(request.viewer, request.path);
    case OpenRequest::How::kBelow:
      return OpenBelow(root, request.path, accepts);
    case OpenRequest::How::kExecutableOf:
      return OpenExecutableOf(request.pid, root, request.path, request.expected);
    case OpenRequest::How::kMapped:
      return OpenMapped(root, request.path, request.expected);
  }
  return absl::InvalidArgumentError("no such way to open a file");
}

std::vector<uint8_t> EncodeOpen(const OpenRequest& request) {
  ByteWriter writer;
  bool of_debug_file = request.debug_file_of.has_value();
  OpenRequest::Image image = request.debug_file_of.value_or(OpenRequest::Image());
  ArchiveRequest(writer, request, of_debug_file, image);
  return writer.Take();
}

std::optional<OpenRequest> DecodeOpen(std::span<const uint8_t> bytes, std::vector<UniqueFd> root) {
  ByteReader reader(bytes);
  OpenRequest request;
  bool of_debug_file = false;
  OpenRequest::Image image;
  ArchiveRequest(reader, request, of_debug_file, image);
  if (!reader.complete()) return std::nullopt;
  if (of_debug_file) request.debug_file_of = image;
  if (!root.empty()) request.root = std::make_shared<const UniqueFd>(std::move(root.front()));
  return request;
}

std::vector<uint8_t> EncodeOpened(const absl::StatusOr<OpenedFile>& file) {
  ByteWriter writer;
  writer(file.status().code());
  if (file.ok()) {
    ArchiveFile(writer, *file);
  } else {
    writer(std::string(file.status().message()));
  }
  return writer.Take();
}

absl::StatusOr<OpenedFile> DecodeOpened(std::span<const uint8_t> bytes,
                                        std::vector<UniqueFd> file) {
  ByteReader reader(bytes);
  absl::StatusCode code = absl::StatusCode::kOk;
  reader(code);
  OpenedFile opened;
  std::string message;
  if (code == absl::StatusCode::kOk) {
    ArchiveFile(reader, opened);
  } else {
    reader(message);
  }
  if (!reader.complete()) return absl::DataLossError("the opener answered with what is no answer");
  if (code != absl::StatusCode::kOk) return absl::Status(code, message);
  if (file.size() != 1) return absl::DataLossError("the opener's answer came without a file");
  opened.fd = std::move(file.front());
  return opened;
}

void ServeOpens(int socket) {
  while (true) {
    absl::StatusOr<Frame> frame = ReceiveFrame(socket, kMaxOpenBytes, 1, std::nullopt);
    if (!frame.ok()) return;
    const std::optional<OpenRequest> request =
        DecodeOpen(frame->bytes, std::move(frame->descriptors));
    if (!request) return;
    const absl::StatusOr<OpenedFile> file = OpenNow(*request);
    const int number = file.ok() ? file->fd.get() : -1;
    const std::span<const int> descriptors(&number, file.ok() ? 1 : 0);
    if (!SendFrame(socket, EncodeOpened(file), descriptors, std::nullopt).ok()) return;
  }
}

}  // namespace startscope
