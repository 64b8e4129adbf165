// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_HOSTILE_TEXTS_H_
#define STARTSCOPE_TESTS_FUZZ_HOSTILE_TEXTS_H_

#include <google/protobuf/message.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/text_escape.h"
#include "tests/fuzz/split_input.h"

namespace startscope {

// The texts of an input, a byte with its length before each, as the daemon sends a process's bytes.
class HostileTexts {
 public:
  explicit HostileTexts(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  std::string Next() {
    if (bytes_.empty()) return "";
    const size_t length = std::min<size_t>(bytes_.front(), bytes_.size() - 1);
    const std::span<const uint8_t> text = bytes_.subspan(1, length);
    bytes_ = bytes_.subspan(1 + length);
    return EscapeToUtf8(std::string(text.begin(), text.end()));
  }

 private:
  std::span<const uint8_t> bytes_;
};

// Puts texts in the place of those that a message has, until none are left.
inline void PlaceTexts(HostileTexts& texts, google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool text = field->type() == FieldDescriptor::TYPE_STRING;
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (texts.empty() || (!text && !nested)) continue;
    if (!field->is_repeated()) {
      if (text) reflection.SetString(&message, field, texts.Next());
      if (nested) PlaceTexts(texts, *reflection.MutableMessage(&message, field));
      continue;
    }
    const int size = reflection.FieldSize(message, field);
    for (int i = 0; i < size && !texts.empty(); ++i) {
      if (text) reflection.SetRepeatedString(&message, field, i, texts.Next());
      if (nested) PlaceTexts(texts, *reflection.MutableRepeatedMessage(&message, field, i));
    }
  }
}

// An input of a message and of the texts for it. False: the bytes are no such message.
inline bool ParseHostile(std::span<const uint8_t> bytes, google::protobuf::Message& message) {
  const SplitInput input = Split(bytes.data(), bytes.size());
  if (!message.ParseFromArray(input.first.data(), static_cast<int>(input.first.size()))) {
    return false;
  }
  message.DiscardUnknownFields();
  HostileTexts texts(input.second);
  PlaceTexts(texts, message);
  return true;
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_HOSTILE_TEXTS_H_
