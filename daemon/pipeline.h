// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PIPELINE_H_
#define STARTSCOPE_DAEMON_PIPELINE_H_

#include <cstdint>
#include <vector>

#include "daemon/collect/raw_record.h"
#include "daemon/decode/decoder.h"
#include "daemon/decode/orderer.h"
#include "daemon/model/startup_model.h"

namespace startscope {

// decode → order → model: the one way a record takes, live or replayed. Core thread.
class Pipeline {
 public:
  Pipeline(const ModelOptions& options, StartupListener* listener, ImageProber* prober)
      : listener_(listener), model_(options, listener, prober) {}

  void OnRecord(const RawRecord& record);
  // Ends what is still open: the source will bring no more.
  void Finish();

  [[nodiscard]] StartupModel& model() { return model_; }
  [[nodiscard]] const Decoder& decoder() const { return decoder_; }
  // Records that came, by the ring that they came through.
  struct Received {
    uint64_t events = 0;
    uint64_t mappings = 0;
    uint64_t mappings_lost = 0;  // for want of room, as that ring says itself
    [[nodiscard]] uint64_t total() const { return events + mappings; }
  };
  [[nodiscard]] const Received& received() const { return received_; }

 private:
  void OnDrained(uint64_t boottime_ns);
  // `event` nullptr: it could not be decoded.
  void CountReceived(RecordOrigin origin, const Event* event);

  StartupListener* const listener_;
  Decoder decoder_;
  Orderer orderer_;
  StartupModel model_;
  Received received_;
  uint64_t bad_reported_ = 0;
};

// kWatch records: that a watch came or went, as the model must know it.
std::vector<uint8_t> EncodeWatchSet(int slot, const WatchTerms& terms);
std::vector<uint8_t> EncodeWatchCleared(int slot);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PIPELINE_H_
