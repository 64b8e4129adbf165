// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/worker.h"

#include <list>
#include <new>
#include <optional>

#include "absl/strings/str_cat.h"
#include "daemon/elf/byte_source.h"
#include "daemon/elf/image_inspector.h"
#include "daemon/elf/symbolizer.h"
#include "daemon/inspect/frame.h"

namespace startscope {
namespace {

InspectAnswer Answer(const InspectQuery& query, std::span<ByteSource* const> files) {
  InspectAnswer answer;
  answer.number = query.number;
  ByteSource* const image = files[0];
  if (query.may_want_debug_file) {
    if (std::optional<DebugReference> wanted = WantedDebugFile(image)) {
      answer.kind = AnswerKind::kWantsDebugFile;
      answer.wanted = *std::move(wanted);
      return answer;
    }
  }
  const std::vector<ByteSource*> debug_candidates(files.begin() + 1, files.end());
  if (query.task == InspectTask::kFunctions) {
    answer.kind = AnswerKind::kFunctions;
    SymbolizeOptions options;
    options.debug_candidates = debug_candidates;
    answer.functions = FindFunctions(image, query.file_offsets, options);
    return answer;
  }
  InspectOptions options;
  options.path_label = query.path_label;
  options.is_loader_hint = query.is_loader_hint;
  options.is_library = query.is_library;
  options.debug_candidates = debug_candidates;
  answer.facts = InspectImage(image, options);
  return answer;
}

// Memory is limited: a file that asks for more than there is must not end the inspector.
InspectAnswer OutOfMemory(const InspectQuery& query) {
  InspectAnswer answer;
  answer.number = query.number;
  if (query.task == InspectTask::kFunctions) {
    answer.kind = AnswerKind::kFunctions;
    answer.functions.resize(query.file_offsets.size());
    return answer;
  }
  answer.facts.path = query.path_label;
  answer.facts.size_bytes = query.sizes[0];
  answer.facts.error =
      absl::StrCat(query.path_label, ": reading it takes more memory than the inspector may have");
  return answer;
}

}  // namespace

InspectAnswer AnswerQuery(const InspectQuery& query, std::span<ByteSource* const> files) {
  try {
    return Answer(query, files);
  } catch (const std::bad_alloc&) {
    return OutOfMemory(query);
  }
}

void ServeQueries(int socket) {
  while (true) {
    absl::StatusOr<Frame> frame =
        ReceiveFrame(socket, kMaxQueryBytes, kMaxQueryFiles, std::nullopt);
    if (!frame.ok()) return;
    const std::optional<InspectQuery> query = DecodeQuery(frame->bytes);
    if (!query || query->sizes.size() != frame->descriptors.size()) return;
    std::list<FdByteSource> sources;
    std::vector<ByteSource*> files;
    for (size_t i = 0; i < query->sizes.size(); ++i) {
      files.push_back(&sources.emplace_back(frame->descriptors[i].get(), query->sizes[i]));
    }
    const std::vector<uint8_t> answer = EncodeAnswer(AnswerQuery(*query, files));
    // Descriptors are gone before the answer is there: whoever has it may unmount.
    frame->descriptors.clear();
    if (!SendFrame(socket, answer, {}, std::nullopt).ok()) return;
  }
}

}  // namespace startscope
