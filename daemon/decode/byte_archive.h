// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Fields as bytes and back: integers and enums as uint64, strings as length and bytes, lists as count
// and elements. A reader believes nothing: what does not fit its type, or is beyond the bytes, fails.

#ifndef STARTSCOPE_DAEMON_DECODE_BYTE_ARCHIVE_H_
#define STARTSCOPE_DAEMON_DECODE_BYTE_ARCHIVE_H_

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "daemon/elf/image_facts.h"

namespace startscope {

// The last value of each enum that travels. An enum without one does not compile.
template <typename T>
inline constexpr T kLastValue = T::kLastValueIsNotDeclared;
template <>
inline constexpr Libc kLastValue<Libc> = Libc::kUnknown;
template <>
inline constexpr Linkage kLastValue<Linkage> = Linkage::kStaticPie;
template <>
inline constexpr Language kLastValue<Language> = Language::kUnknown;
template <>
inline constexpr ImageKind kLastValue<ImageKind> = ImageKind::kScript;
template <>
inline constexpr MarkKind kLastValue<MarkKind> = MarkKind::kRustStage;
template <>
inline constexpr SiteRung kLastValue<SiteRung> = SiteRung::kElfEntry;
template <>
inline constexpr StepCost kLastValue<StepCost> = StepCost::kSingleStepped;
template <>
inline constexpr InitKind kLastValue<InitKind> = InitKind::kRuntimeStage;
template <>
inline constexpr RelroKind kLastValue<RelroKind> = RelroKind::kFull;

class ByteWriter {
 public:
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(const T& value) {
    Put(static_cast<uint64_t>(value));
  }
  void operator()(const std::string& value) {
    Put(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  template <typename T, typename Each>
  void List(const std::vector<T>& values, Each each) {
    Put(values.size());
    for (const T& value : values) each(value);
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  void Put(uint64_t value) {
    uint8_t raw[sizeof(value)];
    std::memcpy(raw, &value, sizeof(value));
    bytes_.insert(bytes_.end(), raw, raw + sizeof(raw));
  }
  std::vector<uint8_t> bytes_;
};

// Does not own the bytes. After a failure everything reads as zero and complete() is false.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(T& value) {
    const uint64_t read = Get();
    if (read > Largest<T>()) return Fail();
    value = static_cast<T>(read);
  }
  void operator()(std::string& value) {
    const uint64_t size = Get();
    if (size > bytes_.size()) return Fail();
    value.assign(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
  }
  template <typename T, typename Each>
  void List(std::vector<T>& values, Each each) {
    const uint64_t count = Get();
    // Every element takes at least one 8-byte field; taken as they come, so that a count alone
    // claims no memory.
    if (count > bytes_.size() / sizeof(uint64_t)) return Fail();
    for (uint64_t i = 0; i < count && !failed_; ++i) each(values.emplace_back());
  }
  [[nodiscard]] bool complete() const { return !failed_ && bytes_.empty(); }

 private:
  template <typename T>
  static constexpr uint64_t Largest() {
    if constexpr (std::is_enum_v<T>) {
      return static_cast<uint64_t>(kLastValue<T>);
    } else {
      return static_cast<uint64_t>(std::numeric_limits<T>::max());
    }
  }
  void Fail() {
    failed_ = true;
    bytes_ = {};
  }
  uint64_t Get() {
    uint64_t value = 0;
    if (bytes_.size() < sizeof(value)) {
      Fail();
      return 0;
    }
    std::memcpy(&value, bytes_.data(), sizeof(value));
    bytes_ = bytes_.subspan(sizeof(value));
    return value;
  }
  std::span<const uint8_t> bytes_;
  bool failed_ = false;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_DECODE_BYTE_ARCHIVE_H_
