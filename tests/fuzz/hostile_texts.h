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

// Gives a value to each field that has none, so that there is a place for a text wherever there can
// be.
inline void SetEveryField(google::protobuf::Message& message, int depth = 0) {
  using google::protobuf::FieldDescriptor;
  constexpr int kDeepest = 8;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const google::protobuf::OneofDescriptor* choice = field->real_containing_oneof();
    const bool has = field->is_repeated() ? reflection.FieldSize(message, field) > 0
                                          : reflection.HasField(message, field);
    const bool chosen = choice != nullptr && reflection.HasOneof(message, choice);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (depth == kDeepest || (chosen && !has)) continue;
      if (!field->is_repeated()) {
        SetEveryField(*reflection.MutableMessage(&message, field), depth + 1);
      } else if (!has) {
        SetEveryField(*reflection.AddMessage(&message, field), depth + 1);
      }
    } else if (!has && !chosen) {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          field->is_repeated() ? reflection.AddString(&message, field, "x")
                               : reflection.SetString(&message, field, "x");
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          if (!field->is_repeated()) reflection.SetUInt64(&message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          if (!field->is_repeated()) reflection.SetUInt32(&message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          if (!field->is_repeated()) reflection.SetBool(&message, field, true);
          break;
        default:
          break;
      }
    }
  }
}

// An input of a message and of the texts for it; with `every_field`, none that it could have is
// left out. False: the bytes are no such message.
inline bool ParseHostile(std::span<const uint8_t> bytes, google::protobuf::Message& message,
                         bool every_field = false) {
  const SplitInput input = Split(bytes.data(), bytes.size());
  if (!message.ParseFromArray(input.first.data(), static_cast<int>(input.first.size()))) {
    return false;
  }
  message.DiscardUnknownFields();
  if (every_field) SetEveryField(message);
  HostileTexts texts(input.second);
  PlaceTexts(texts, message);
  return true;
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_HOSTILE_TEXTS_H_
