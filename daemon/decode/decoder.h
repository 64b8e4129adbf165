// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_DECODE_DECODER_H_
#define STARTSCOPE_DAEMON_DECODE_DECODER_H_

#include <array>
#include <cstdint>
#include <optional>

#include "daemon/collect/raw_record.h"
#include "daemon/decode/event.h"

namespace startscope {

// Why a record was not understood.
enum class BadRecord : uint8_t {
  kTooShort,         // shorter than its header or its kind's minimum
  kSizeMismatch,     // states a size other than its own
  kUnknownKind,      // of the ring
  kUnknownOrigin,
  kBadText,          // a length that points outside the record
  kCount,
};

// Bytes to typed events. A bad record is never an error of the caller's: it is dropped and counted by
// reason. One thread.
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
  uint64_t decoded_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_DECODER_H_
