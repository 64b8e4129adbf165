// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A recording: every record that entered decode, in order, with what the prober and the watches said.
// Replayed, it takes the same way through decode, order and model, with no privileges. Layout, all
// integers in the byte order of the machine that wrote it: 8 bytes magic, uint32 format, uint32 ABI
// version, then per record uint32 origin, uint32 size, bytes.

#ifndef STARTSCOPE_DAEMON_COLLECT_RECORDING_H_
#define STARTSCOPE_DAEMON_COLLECT_RECORDING_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/collect/event_source.h"

namespace startscope {

// Writes a recording. One thread.
class RecordingWriter {
 public:
  // Creates `path`, which must not exist, readable by its owner alone: argv[0] and paths are in it.
  // Stops writing, and counts what it does not write, at `max_bytes`.
  static absl::StatusOr<std::unique_ptr<RecordingWriter>> Create(const std::string& path,
                                                                 uint64_t max_bytes);
  ~RecordingWriter();
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void Write(const RawRecord& record);
  // Flushes and closes; an error names the file and the cause.
  absl::Status Finish();
  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] uint64_t omitted() const { return omitted_; }

 private:
  RecordingWriter(std::string path, std::FILE* file, uint64_t max_bytes)
      : path_(std::move(path)), file_(file), max_bytes_(max_bytes) {}

  const std::string path_;
  std::FILE* file_;
  const uint64_t max_bytes_;
  uint64_t written_bytes_ = 0;
  uint64_t written_ = 0;  // records
  uint64_t omitted_ = 0;
};

// Reads a recording. Bounded: a record larger than 1 MiB or a file that ends inside one is an error.
class ReplayEventSource : public EventSource {
 public:
  static absl::StatusOr<std::unique_ptr<ReplayEventSource>> Open(const std::string& path);
  ~ReplayEventSource() override;
  ReplayEventSource(const ReplayEventSource&) = delete;
  ReplayEventSource& operator=(const ReplayEventSource&) = delete;

  bool Wait(int timeout_ms) override { return !ended_; }
  // Delivers up to and including the next kDrained record.
  void Drain(const RecordSink& sink) override;

  // OK when the whole recording was read.
  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  ReplayEventSource(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  void Fail(const std::string& why);

  const std::string path_;
  std::FILE* file_;
  bool ended_ = false;
  absl::Status status_;
  std::vector<uint8_t> buffer_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_RECORDING_H_
