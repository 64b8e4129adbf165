// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_DECODE_DECODER_H_
#define STARTSCOPE_DAEMON_DECODE_DECODER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/collect/raw_record.h"
#include "daemon/decode/event.h"

namespace startscope {

// Why a record was not understood.
enum class BadRecord : uint8_t {
  kTooShort,      // shorter than its header or its kind's minimum
  kSizeMismatch,  // states a size other than its own
  kUnknownKind,   // of the ring
  kUnknownOrigin,
  kBadText,  // a length that points outside the record
  kCount,
};

// Memory of paths, of events whose place was taken by others. Mappings are many, and their paths
// much the same.
class SparePaths {
 public:
  void Give(std::string* path) {
    if (path->capacity() > std::string().capacity() && paths_.size() < kMost) {
      paths_.push_back(std::move(*path));
    }
  }
  void Take(std::string* path) {
    if (paths_.empty()) return;
    *path = std::move(paths_.back());
    paths_.pop_back();
  }

 private:
  static constexpr size_t kMost = 1024;
  std::vector<std::string> paths_;
};

// Bytes to typed events. A bad record is never an error of the caller's: it is dropped and counted
// by reason. One thread.
class Decoder {
 public:
  // nullopt: bad (counted), or of a kind that carries nothing for us (side-band records other than
  // mappings and losses).
  [[nodiscard]] std::optional<Event> Decode(const RawRecord& record);
  // The same into an event that may hold another. False: it is bad, and `event` holds nothing that
  // means anything.
  bool Decode(const RawRecord& record, Event* event);

  [[nodiscard]] uint64_t bad(BadRecord reason) const { return bad_[static_cast<size_t>(reason)]; }
  [[nodiscard]] uint64_t bad_total() const;
  [[nodiscard]] uint64_t decoded() const { return decoded_; }

 private:
  // False: as above.
  bool DecodeAny(const RawRecord& record, Event* event);
  bool DecodeRing(std::span<const uint8_t> bytes, Event* event);
  bool DecodeSideband(std::span<const uint8_t> bytes, Event* event);
  bool DecodeImage(std::span<const uint8_t> bytes, Event* event);
  bool DecodeLost(std::span<const uint8_t> bytes, Event* event);
  // Counts; false.
  bool Bad(BadRecord reason);

  std::array<uint64_t, static_cast<size_t>(BadRecord::kCount)> bad_{};
  SparePaths spare_paths_;
  uint64_t decoded_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_DECODER_H_
