// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The output of the collect stage and the input of decode: bytes as the kernel wrote them. The same
// records, in the same order, are what a recording holds.

#ifndef STARTSCOPE_DAEMON_COLLECT_RAW_RECORD_H_
#define STARTSCOPE_DAEMON_COLLECT_RAW_RECORD_H_

#include <cstdint>
#include <span>

namespace startscope {

// Values are part of the recording format: append only.
enum class RecordOrigin : uint32_t {
  kRing = 1,      // bpf/event.h
  kSideband = 2,  // struct perf_event_header …, from the kernel's mapping side-band
  kImage = 3,     // what the prober found in a file (decode/image_codec.h)
  kWatch = 4,     // a watch was set or cleared (decode/watch_codec.h)
  kDrained = 5,   // uint64_t boot time: every source was emptied of what is older
  kLost = 6,      // uint32_t stage, uint32_t zero, uint64_t count
  kCosts = 7,     // struct ProbeCosts (base/probe_costs.h)
};

struct RawRecord {
  RecordOrigin origin = RecordOrigin::kRing;
  std::span<const uint8_t> bytes;  // valid only during the call that delivers it
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_RAW_RECORD_H_
