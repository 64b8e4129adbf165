// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A file of any bytes, replayed as a recording: it is refused or read, never more is delivered than
// it holds, and what it delivers goes the way of all records.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/collect/recording.h"
#include "tests/fuzz/checked_pipeline.h"

namespace {

// One file for the whole run: each input replaces what the one before left.
int InputFile() {
  static const int fd = memfd_create("recording", MFD_CLOEXEC);
  return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = InputFile();
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  auto source = startscope::ReplayEventSource::Open("/proc/self/fd/" + std::to_string(fd));
  if (!source.ok()) return source.status().message().empty() ? (std::abort(), 0) : 0;
  startscope::CheckingListener listener;
  startscope::Pipeline pipeline({}, &listener, &listener);
  uint64_t delivered = 0;
  while ((*source)->Wait(0)) {
    (*source)->Drain([&](const startscope::RawRecord& record) {
      delivered += record.bytes.size();
      pipeline.OnRecord(record);
    });
  }
  pipeline.Finish();
  if (delivered > size) std::abort();
  if (!(*source)->status().ok() && (*source)->status().message().empty()) std::abort();
  return 0;
}
