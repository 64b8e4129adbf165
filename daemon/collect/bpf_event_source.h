// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_COLLECT_BPF_EVENT_SOURCE_H_
#define STARTSCOPE_DAEMON_COLLECT_BPF_EVENT_SOURCE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/event.h"
#include "daemon/base/unique_fd.h"
#include "daemon/collect/bpf_object.h"
#include "daemon/collect/event_source.h"
#include "daemon/collect/sideband.h"
#include "daemon/decode/event.h"

struct ring_buffer;

namespace startscope {

// Records of the running kernel: the BPF ring and the mapping side-band, each while it is open. Core
// thread, but for Wake().
class BpfEventSource : public EventSource {
 public:
  // Does not own `object`, which must outlive it.
  static absl::StatusOr<std::unique_ptr<BpfEventSource>> Create(BpfObject* object,
                                                                uint32_t mapping_ring_pages);
  ~BpfEventSource() override;

  bool Wait(int timeout_ms) override;
  void Drain(const RecordSink& sink) override;

  // Makes a Wait in progress, or the next one, return. Any thread.
  void Wake();

  // Maps the ring. While nobody watches it is not mapped, because its pages, each mapped twice, would
  // be most of what an idle daemon seems to need.
  absl::Status OpenRing();
  absl::Status OpenSideband();
  void Close();
  [[nodiscard]] int sideband_cpus() const { return sideband_ ? sideband_->cpus() : 0; }

 private:
  explicit BpfEventSource(BpfObject* object, uint32_t mapping_ring_pages)
      : object_(object), mapping_ring_pages_(mapping_ring_pages) {}
  static int OnRingRecord(void* context, void* data, size_t size);
  void ReportDrops(const RecordSink& sink);
  static void TellLost(LossStage stage, uint64_t count, const RecordSink& sink);

  BpfObject* const object_;
  const uint32_t mapping_ring_pages_;
  ring_buffer* ring_ = nullptr;
  UniqueFd wake_;
  UniqueFd epoll_;
  std::unique_ptr<Sideband> sideband_;
  const RecordSink* sink_ = nullptr;  // during Drain
  uint64_t reported_drops_ = 0;
  uint64_t reported_no_state_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_COLLECT_BPF_EVENT_SOURCE_H_
