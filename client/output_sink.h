// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_OUTPUT_SINK_H_
#define STARTSCOPE_CLIENT_OUTPUT_SINK_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"

namespace startscope {

// Where results go: a descriptor that exists, or a file of its own. One thread.
class OutputSink {
 public:
  // The descriptor stays the caller's.
  [[nodiscard]] static OutputSink ForDescriptor(int fd);
  // Creates or truncates `path` at once, so that a wrong path is known before anything runs.
  [[nodiscard]] static absl::StatusOr<OutputSink> ForFile(const std::string& path);

  // Writes all of it. After an error, as from a reader that has gone, nothing more is written.
  absl::Status Write(const std::string& text);
  // What to detect terminal properties of.
  [[nodiscard]] int fd() const { return fd_; }

 private:
  OutputSink() = default;

  UniqueFd owned_;
  int fd_ = -1;
  std::string name_;
  absl::Status status_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_OUTPUT_SINK_H_
