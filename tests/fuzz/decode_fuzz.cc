// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Records of every origin, of any bytes and in any order, through decode, order and model: no crash,
// no more startups than there are records, and what is told of each adds up. An input is what a
// recording holds behind its header; the last record may be cut.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "tests/fuzz/checked_pipeline.h"

namespace {

struct RecordHeader {
  uint32_t origin;
  uint32_t size;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  startscope::CheckingListener listener;
  startscope::ModelOptions options;
  options.max_open_startups = 16;  // so that bounds are reached
  options.max_waiting_processes = 16;
  startscope::Pipeline pipeline(options, &listener, &listener);
  uint64_t records = 0;
  std::span<const uint8_t> rest(data, size);
  RecordHeader header{};
  while (rest.size() >= sizeof(header)) {
    std::memcpy(&header, rest.data(), sizeof(header));
    rest = rest.subspan(sizeof(header));
    const std::span<const uint8_t> bytes = rest.first(std::min<size_t>(header.size, rest.size()));
    rest = rest.subspan(bytes.size());
    pipeline.OnRecord({static_cast<startscope::RecordOrigin>(header.origin), bytes});
    ++records;
  }
  if (pipeline.model().open_startups() > options.max_open_startups) std::abort();
  pipeline.Finish();
  if (pipeline.model().open_startups() != 0) std::abort();
  if (listener.started() > records) std::abort();
  if (pipeline.decoder().decoded() + pipeline.decoder().bad_total() > records) std::abort();
  return 0;
}
