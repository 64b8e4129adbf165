// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/bpf_event_source.h"

#include <bpf/libbpf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/base/clock.h"
#include "daemon/base/errno_status.h"

namespace startscope {

absl::StatusOr<std::unique_ptr<BpfEventSource>> BpfEventSource::Create(
    BpfObject* object, uint32_t mapping_ring_pages) {
  std::unique_ptr<BpfEventSource> source(new BpfEventSource(object, mapping_ring_pages));
  source->wake_.Reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  source->epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
  if (!source->wake_.valid() || !source->epoll_.valid()) {
    return ErrnoStatus(errno, "epoll of the BPF ring buffer");
  }
  for (const int fd : {source->wake_.get(), object->ring_fd()}) {
    epoll_event interest{};
    interest.events = EPOLLIN | (fd == object->ring_fd() ? EPOLLET : 0u);
    interest.data.fd = fd;
    if (epoll_ctl(source->epoll_.get(), EPOLL_CTL_ADD, fd, &interest) != 0) {
      return ErrnoStatus(errno, "epoll of the BPF ring buffer");
    }
  }
  return source;
}

BpfEventSource::~BpfEventSource() { Close(); }

absl::Status BpfEventSource::OpenRing() {
  if (ring_ != nullptr) return absl::OkStatus();
  ring_ = ring_buffer__new(object_->ring_fd(), OnRingRecord, this, nullptr);
  if (ring_ == nullptr) {
    return ErrnoStatus(errno, "mapping the BPF ring buffer", "lower --ring-bytes");
  }
  return absl::OkStatus();
}

void BpfEventSource::Close() {
  ring_buffer__free(ring_);
  ring_ = nullptr;
  sideband_.reset();
}

bool BpfEventSource::Wait(int timeout_ms) {
  epoll_event events[2];
  const int count = epoll_wait(epoll_.get(), events, 2, timeout_ms);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd != wake_.get()) continue;
    uint64_t value = 0;
    [[maybe_unused]] const ssize_t ignored = read(wake_.get(), &value, sizeof(value));
  }
  return true;
}

void BpfEventSource::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = write(wake_.get(), &one, sizeof(one));
}

int BpfEventSource::OnRingRecord(void* context, void* data, size_t size) {
  auto* self = static_cast<BpfEventSource*>(context);
  // What was reserved and not used holds bytes of older records: they must not get into a recording.
  ss_event_header header{};
  if (size >= sizeof(header)) {
    std::memcpy(&header, data, sizeof(header));
    size = std::min<size_t>(size, header.size);
  }
  (*self->sink_)({RecordOrigin::kRing, {static_cast<const uint8_t*>(data), size}});
  return 0;
}

void BpfEventSource::Drain(const RecordSink& sink) {
  const uint64_t now = BoottimeNs();
  sink_ = &sink;
  if (ring_ != nullptr) ring_buffer__consume(ring_);
  sink_ = nullptr;
  // Losses have no time of their own: they concern whatever was under way since the last drain.
  if (sideband_) TellLost(LossStage::kMappingRing, sideband_->Drain(sink), sink);
  ReportDrops(sink);
  sink({RecordOrigin::kDrained, {reinterpret_cast<const uint8_t*>(&now), sizeof(now)}});
}

void BpfEventSource::TellLost(LossStage stage, uint64_t count, const RecordSink& sink) {
  if (count == 0) return;
  const struct {
    uint32_t stage;
    uint32_t zero;
    uint64_t count;
  } lost = {static_cast<uint32_t>(stage), 0, count};
  sink({RecordOrigin::kLost, {reinterpret_cast<const uint8_t*>(&lost), sizeof(lost)}});
}

void BpfEventSource::ReportDrops(const RecordSink& sink) {
  const ss_stats stats = object_->ReadStats();
  uint64_t dropped = 0;
  for (const uint64_t count : stats.dropped) dropped += count;
  TellLost(LossStage::kKernelRing, dropped - std::exchange(reported_drops_, dropped), sink);
  TellLost(LossStage::kKernelState,
           stats.no_task_storage - std::exchange(reported_no_state_, stats.no_task_storage), sink);
}

absl::Status BpfEventSource::OpenSideband() {
  if (sideband_) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Sideband>> opened = Sideband::Open(mapping_ring_pages_);
  if (!opened.ok()) return opened.status();
  sideband_ = *std::move(opened);
  return absl::OkStatus();
}

}  // namespace startscope
