// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_SIDEBAND_H_
#define STARTSCOPE_DAEMON_COLLECT_SIDEBAND_H_

#include <linux/perf_event.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"
#include "daemon/collect/event_source.h"

namespace startscope {

// The kernel's own records of new mappings and protection changes (PERF_RECORD_MMAP2), of every
// process, one ring per CPU. They carry the path as the process sees it, device and inode, and cost
// a traced start about one percent. Opened while a watch exists; core thread only.
class Sideband {
 public:
  // `ring_pages` per CPU: a power of two. `lost_format` asks the kernel for its count of what it drops;
  // one that refuses it is asked again without (a test gives what every kernel refuses).
  static absl::StatusOr<std::unique_ptr<Sideband>> Open(uint32_t ring_pages,
                                                        uint64_t lost_format = PERF_FORMAT_LOST);
  ~Sideband();
  Sideband(const Sideband&) = delete;
  Sideband& operator=(const Sideband&) = delete;

  // Hands over what is there, CPU by CPU; each CPU's records are in order of time. Returns how many
  // records the rings had no room for, as far as that is not among what was handed over.
  uint64_t Drain(const RecordSink& sink);
  [[nodiscard]] int cpus() const { return static_cast<int>(rings_.size()); }
  // The kernel counts what it drops (Linux 6.0). Otherwise a record tells of it, which comes with the
  // next one that fits: what is dropped last is then not told of.
  [[nodiscard]] bool counts_lost() const { return counts_lost_; }

 private:
  struct Ring {
    UniqueFd fd;
    void* base = nullptr;
    uint64_t data_bytes = 0;
    uint64_t lost = 0;  // so far
  };
  Sideband() = default;
  uint64_t DrainRing(Ring& ring, const RecordSink& sink);

  std::vector<Ring> rings_;
  size_t map_bytes_ = 0;
  bool counts_lost_ = false;
  std::vector<uint8_t> wrapped_;  // a record that crosses the end of its ring
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_SIDEBAND_H_
