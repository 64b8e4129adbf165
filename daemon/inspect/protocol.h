// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the daemon and its inspector say to each other. The daemon asks about one file at a time and
// hands descriptors over; the inspector opens nothing. Both directions are decoded by code that
// believes nothing.

#ifndef STARTSCOPE_DAEMON_INSPECT_PROTOCOL_H_
#define STARTSCOPE_DAEMON_INSPECT_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/elf/debug_file.h"
#include "daemon/elf/image_facts.h"

namespace startscope {

// Changes with every change of the messages: daemon and inspector come from one build.
inline constexpr uint32_t kInspectorProtocol = 2;

inline constexpr size_t kMaxHelloBytes = 4096;
inline constexpr size_t kMaxQueryBytes = 1u << 20;
inline constexpr size_t kMaxAnswerBytes = 8u << 20;
// The image and what may be its debug file.
inline constexpr size_t kMaxQueryFiles = 8;
inline constexpr size_t kMaxDebugCandidates = kMaxQueryFiles - 1;
inline constexpr size_t kMaxFunctionOffsets = 32768;
inline constexpr size_t kMaxPathBytes = 8192;

// The first message, from the inspector: its sandbox is in place.
struct InspectorHello {
  uint32_t protocol = kInspectorProtocol;
  std::string sandbox;  // what it is made of, and what is missing
  std::string error;    // not empty: it could not be made, and the inspector ends
};

enum class InspectTask : uint8_t { kFacts, kFunctions };

// Comes with one descriptor for each of `sizes`: the image, then what may be its debug file.
struct InspectQuery {
  uint64_t number = 0;
  InspectTask task = InspectTask::kFacts;
  std::string path_label;  // for messages; means nothing to the inspector
  bool is_loader_hint = false;
  bool is_library = false;
  // Debug files were not looked for yet: the answer may be to do so.
  bool may_want_debug_file = false;
  std::vector<uint64_t> sizes;
  std::vector<uint64_t> file_offsets;  // of task kFunctions
};

enum class AnswerKind : uint8_t { kFacts, kFunctions, kWantsDebugFile };

struct InspectAnswer {
  uint64_t number = 0;  // that of the query
  AnswerKind kind = AnswerKind::kFacts;
  ImageFacts facts;
  std::vector<std::string> functions;  // parallel to the query's file_offsets
  DebugReference wanted;
};

std::vector<uint8_t> EncodeHello(const InspectorHello& hello);
std::vector<uint8_t> EncodeQuery(const InspectQuery& query);
std::vector<uint8_t> EncodeAnswer(const InspectAnswer& answer);

// nullopt when the bytes are not exactly one message, or exceed a bound.
std::optional<InspectorHello> DecodeHello(std::span<const uint8_t> bytes);
std::optional<InspectQuery> DecodeQuery(std::span<const uint8_t> bytes);
std::optional<InspectAnswer> DecodeAnswer(std::span<const uint8_t> bytes);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_INSPECT_PROTOCOL_H_
