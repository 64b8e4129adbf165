// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/output_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "daemon/base/errno_status.h"

namespace startscope {

OutputSink OutputSink::ForDescriptor(int fd) {
  OutputSink sink;
  sink.fd_ = fd;
  sink.name_ = fd == STDOUT_FILENO ? "stdout" : "stderr";
  return sink;
}

absl::StatusOr<OutputSink> OutputSink::ForFile(const std::string& path) {
  OutputSink sink;
  sink.owned_.Reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!sink.owned_.valid()) return ErrnoStatus(errno, path, "cannot write the result there");
  sink.fd_ = sink.owned_.get();
  sink.name_ = path;
  return sink;
}

absl::Status OutputSink::Write(const std::string& text) {
  size_t done = 0;
  while (status_.ok() && done < text.size()) {
    const ssize_t size = write(fd_, text.data() + done, text.size() - done);
    if (size >= 0) {
      done += static_cast<size_t>(size);
    } else if (errno == EAGAIN) {
      // Somebody else made our terminal or pipe non-blocking.
      pollfd entry{.fd = fd_, .events = POLLOUT, .revents = 0};
      poll(&entry, 1, -1);
    } else if (errno != EINTR) {
      status_ = ErrnoStatus(errno, name_);
    }
  }
  return status_;
}

}  // namespace startscope
