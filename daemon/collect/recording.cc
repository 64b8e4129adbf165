// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/recording.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "bpf/event.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr char kMagic[8] = {'S', 'T', 'S', 'C', 'O', 'P', 'E', '\n'};
constexpr uint32_t kFormat = 3;
constexpr uint32_t kMaxRecordBytes = 1u << 20;

struct FileHeader {
  char magic[8];
  uint32_t format;
  uint32_t abi;
};

struct RecordHeader {
  uint32_t origin;
  uint32_t size;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingWriter>> RecordingWriter::Create(const std::string& path,
                                                                         uint64_t max_bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return ErrnoStatus(errno, absl::StrCat("recording ", path),
                       errno == EEXIST ? "give a name that does not exist yet" : "");
  }
  std::FILE* file = fdopen(fd, "wb");
  if (file == nullptr) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(error, absl::StrCat("recording ", path));
  }
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.format = kFormat;
  header.abi = SS_ABI_VERSION;
  std::fwrite(&header, sizeof(header), 1, file);
  return std::unique_ptr<RecordingWriter>(new RecordingWriter(path, file, max_bytes));
}

RecordingWriter::~RecordingWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void RecordingWriter::Write(const RawRecord& record) {
  const uint64_t size = sizeof(RecordHeader) + record.bytes.size();
  if (file_ == nullptr) return;
  // Once something is missing, what follows would be read as if it were not.
  if (omitted_ != 0 || written_bytes_ + size > max_bytes_) {
    ++omitted_;
    return;
  }
  ++written_;
  const RecordHeader header = {static_cast<uint32_t>(record.origin),
                               static_cast<uint32_t>(record.bytes.size())};
  std::fwrite(&header, sizeof(header), 1, file_);
  std::fwrite(record.bytes.data(), 1, record.bytes.size(), file_);
  written_bytes_ += size;
}

absl::Status RecordingWriter::Finish() {
  if (file_ == nullptr) return absl::OkStatus();
  const bool failed = std::ferror(file_) != 0;
  const int close_result = std::fclose(file_);
  file_ = nullptr;
  if (failed || close_result != 0) {
    return ErrnoStatus(errno, absl::StrCat("recording ", path_), "is the disk full?");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ReplayEventSource>> ReplayEventSource::Open(
    const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return ErrnoStatus(errno, absl::StrCat("recording ", path));
  std::unique_ptr<ReplayEventSource> source(new ReplayEventSource(path, file));
  FileHeader header{};
  if (std::fread(&header, sizeof(header), 1, file) != 1 ||
      std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a startscope recording (make one with startscoped --record)"));
  }
  if (header.format != kFormat || header.abi != SS_ABI_VERSION) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": recorded with format ", header.format, ", ABI ", header.abi,
        "; this build reads format ", kFormat, ", ABI ", SS_ABI_VERSION));
  }
  return source;
}

ReplayEventSource::~ReplayEventSource() { std::fclose(file_); }

void ReplayEventSource::Fail(const std::string& why) {
  ended_ = true;
  status_ = absl::DataLossError(absl::StrCat(path_, ": ", why));
}

void ReplayEventSource::Drain(const RecordSink& sink) {
  while (!ended_) {
    RecordHeader header{};
    const size_t read = std::fread(&header, 1, sizeof(header), file_);
    if (read == 0 && std::feof(file_) != 0) {
      ended_ = true;
      return;
    }
    if (read != sizeof(header)) return Fail("ends inside a record");
    if (header.size > kMaxRecordBytes) return Fail("a record claims more than 1 MiB");
    buffer_.resize(header.size);
    if (std::fread(buffer_.data(), 1, header.size, file_) != header.size) {
      return Fail("ends inside a record");
    }
    const auto origin = static_cast<RecordOrigin>(header.origin);
    sink({origin, {buffer_.data(), buffer_.size()}});
    if (origin == RecordOrigin::kDrained) return;
  }
}

}  // namespace startscope
