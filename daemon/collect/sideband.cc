// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/sideband.h"

#include <linux/perf_event.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/base/errno_status.h"
#include "daemon/collect/perf_event.h"

namespace startscope {
namespace {

// No record is as large: the longest has a path (PATH_MAX) in it.
constexpr uint64_t kLongestRecord = 8192;

perf_event_attr MappingAttributes(uint64_t data_bytes, uint64_t read_format) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
  attributes.sample_id_all = 1;
  attributes.mmap = 1;
  attributes.mmap2 = 1;
  attributes.mmap_data = 1;  // all mappings, not only executable ones; mprotect too
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_BOOTTIME;
  // Nobody sleeps on this ring: a wake-up per record would cost the traced process dearly.
  attributes.watermark = 1;
  attributes.wakeup_watermark = static_cast<uint32_t>(data_bytes - 1);
  attributes.read_format = read_format;
  return attributes;
}

// What the kernel has dropped of this event so far.
uint64_t ReadLost(int fd, uint64_t otherwise) {
  struct {
    uint64_t value;
    uint64_t lost;
  } counts;
  return read(fd, &counts, sizeof(counts)) == sizeof(counts) ? counts.lost : otherwise;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sideband>> Sideband::Open(uint32_t ring_pages,
                                                         uint64_t lost_format) {
  std::unique_ptr<Sideband> sideband(new Sideband);
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const uint64_t data_bytes = ring_pages * page;
  sideband->map_bytes_ = data_bytes + page;
  perf_event_attr attributes = MappingAttributes(data_bytes, lost_format);
  sideband->counts_lost_ = true;
  for (const int cpu : OnlineCpus()) {
    absl::StatusOr<UniqueFd> opened = OpenPerfEvent(attributes, cpu);
    if (!opened.ok() && sideband->rings_.empty()) {
      // A kernel before 6.0 does not know the format; if it was not that, it fails again.
      attributes.read_format = 0;
      sideband->counts_lost_ = false;
      opened = OpenPerfEvent(attributes, cpu);
    }
    if (!opened.ok()) return opened.status();
    UniqueFd fd = *std::move(opened);
    void* base = mmap(nullptr, sideband->map_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (base == MAP_FAILED) {
      return ErrnoStatus(errno, "mapping the ring of mapping records",
                         "lower --mapping-ring-pages or raise kernel.perf_event_mlock_kb");
    }
    sideband->rings_.push_back({std::move(fd), base, data_bytes});
  }
  return sideband;
}

Sideband::~Sideband() {
  for (Ring& ring : rings_) munmap(ring.base, map_bytes_);
}

uint64_t Sideband::Drain(const RecordSink& sink) {
  uint64_t lost = 0;
  for (Ring& ring : rings_) lost += DrainRing(ring, sink);
  return lost;
}

uint64_t Sideband::DrainRing(Ring& ring, const RecordSink& sink) {
  auto* page = static_cast<perf_event_mmap_page*>(ring.base);
  const auto* data = static_cast<const uint8_t*>(ring.base) + page->data_offset;
  const uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
  const uint64_t begin = page->data_tail;
  uint64_t tail = begin;
  bool lost_some = false;
  while (tail < head) {
    const uint64_t at = tail % ring.data_bytes;
    perf_event_header header;
    // The header is 8 bytes and records are 8-aligned: it never wraps.
    std::memcpy(&header, data + at, sizeof(header));
    if (header.size < sizeof(header) || header.size > head - tail) break;
    const uint8_t* record = data + at;
    if (at + header.size > ring.data_bytes) {
      const uint64_t first = ring.data_bytes - at;
      wrapped_.resize(header.size);
      std::memcpy(wrapped_.data(), record, first);
      std::memcpy(wrapped_.data() + first, data, header.size - first);
      record = wrapped_.data();
    }
    if (counts_lost_ && header.type == PERF_RECORD_LOST) {
      lost_some = true;  // counted below, with what no record tells of
    } else {
      sink({RecordOrigin::kSideband, {record, header.size}});
    }
    tail += header.size;
  }
  __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
  if (!counts_lost_) return 0;
  // Reading the count interrupts that CPU, so it is read only where something can have been lost: the
  // ring was full, or nearly so, at some time before there was room in it again.
  const uint64_t used = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) - begin;
  if (!lost_some && used + kLongestRecord <= ring.data_bytes) return 0;
  const uint64_t before = ring.lost;
  ring.lost = ReadLost(ring.fd.get(), before);
  return ring.lost - before;
}

}  // namespace startscope
