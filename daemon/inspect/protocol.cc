// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/protocol.h"

#include <utility>

#include "daemon/decode/byte_archive.h"
#include "daemon/decode/image_codec.h"

namespace startscope {

template <>
inline constexpr InspectTask kLastValue<InspectTask> = InspectTask::kFunctions;
template <>
inline constexpr AnswerKind kLastValue<AnswerKind> = AnswerKind::kWantsDebugFile;

namespace {

template <typename Archive, typename Hello>
void VisitHello(Archive& archive, Hello& hello) {
  archive(hello.protocol);
  archive(hello.sandbox);
  archive(hello.error);
}

template <typename Archive, typename Query>
void VisitQuery(Archive& archive, Query& query) {
  archive(query.number);
  archive(query.task);
  archive(query.path_label);
  archive(query.is_loader_hint);
  archive(query.is_library);
  archive(query.may_want_debug_file);
  archive.List(query.sizes, [&](auto& size) { archive(size); });
  archive.List(query.file_offsets, [&](auto& offset) { archive(offset); });
}

// `facts` are a string of their own encoding.
template <typename Archive, typename Answer, typename Facts>
void VisitAnswer(Archive& archive, Answer& answer, Facts& facts) {
  archive(answer.number);
  archive(answer.kind);
  archive(facts);
  archive.List(answer.functions, [&](auto& name) { archive(name); });
  archive(answer.wanted.build_id);
  archive(answer.wanted.link_name);
  archive(answer.wanted.link_checksum);
}

}  // namespace

std::vector<uint8_t> EncodeHello(const InspectorHello& hello) {
  ByteWriter writer;
  VisitHello(writer, hello);
  return writer.Take();
}

std::optional<InspectorHello> DecodeHello(std::span<const uint8_t> bytes) {
  if (bytes.size() > kMaxHelloBytes) return std::nullopt;
  ByteReader reader(bytes);
  InspectorHello hello;
  VisitHello(reader, hello);
  if (!reader.complete()) return std::nullopt;
  return hello;
}

std::vector<uint8_t> EncodeQuery(const InspectQuery& query) {
  ByteWriter writer;
  VisitQuery(writer, query);
  return writer.Take();
}

std::optional<InspectQuery> DecodeQuery(std::span<const uint8_t> bytes) {
  if (bytes.size() > kMaxQueryBytes) return std::nullopt;
  ByteReader reader(bytes);
  InspectQuery query;
  VisitQuery(reader, query);
  if (!reader.complete() || query.sizes.empty() || query.sizes.size() > kMaxQueryFiles ||
      query.file_offsets.size() > kMaxFunctionOffsets || query.path_label.size() > kMaxPathBytes) {
    return std::nullopt;
  }
  return query;
}

std::vector<uint8_t> EncodeAnswer(const InspectAnswer& answer) {
  ByteWriter writer;
  std::string facts;
  if (answer.kind == AnswerKind::kFacts) {
    const std::vector<uint8_t> encoded = EncodeImageFacts(answer.facts);
    facts.assign(encoded.begin(), encoded.end());
  }
  VisitAnswer(writer, answer, std::as_const(facts));
  return writer.Take();
}

std::optional<InspectAnswer> DecodeAnswer(std::span<const uint8_t> bytes) {
  if (bytes.size() > kMaxAnswerBytes) return std::nullopt;
  ByteReader reader(bytes);
  InspectAnswer answer;
  std::string facts;
  VisitAnswer(reader, answer, facts);
  if (!reader.complete()) return std::nullopt;
  if (answer.kind != AnswerKind::kFacts) return answer;
  std::optional<ImageFacts> decoded =
      DecodeImageFacts({reinterpret_cast<const uint8_t*>(facts.data()), facts.size()});
  if (!decoded) return std::nullopt;
  answer.facts = *std::move(decoded);
  return answer;
}

}  // namespace startscope
