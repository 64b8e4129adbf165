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
      : model_(options, listener, prober) {}

  void OnRecord(const RawRecord& record);
  // Ends what is still open: the source will bring no more.
  void Finish();

  [[nodiscard]] StartupModel& model() { return model_; }
  [[nodiscard]] const Decoder& decoder() const { return decoder_; }
  [[nodiscard]] uint64_t records() const { return records_; }

 private:
  Decoder decoder_;
  Orderer orderer_;
  StartupModel model_;
  uint64_t records_ = 0;
  uint64_t bad_reported_ = 0;
};

// kWatch records: that a watch came or went, as the model must know it.
std::vector<uint8_t> EncodeWatchSet(int slot, const WatchTerms& terms);
std::vector<uint8_t> EncodeWatchCleared(int slot);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PIPELINE_H_
