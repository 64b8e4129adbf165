// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Both directions between daemon and inspector. The first byte says which: bytes as a query, as an
// answer, or as a file that the honest reader answers about; what that answers must pass the check.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "daemon/elf/byte_source.h"
#include "daemon/inspect/check_facts.h"
#include "daemon/inspect/protocol.h"
#include "daemon/inspect/worker.h"

namespace {

using startscope::AnswerKind;

void FuzzQuery(std::span<const uint8_t> bytes) {
  const auto query = startscope::DecodeQuery(bytes);
  if (!query) return;
  // What was understood is said again in the same bytes.
  const std::vector<uint8_t> again = startscope::EncodeQuery(*query);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
}

void FuzzAnswer(std::span<const uint8_t> bytes) {
  startscope::DecodeHello(bytes);
  const auto answer = startscope::DecodeAnswer(bytes);
  if (!answer) return;
  startscope::CheckDebugReference(answer->wanted).IgnoreError();
  startscope::CheckFunctions(answer->functions, 1).IgnoreError();
  const startscope::ImageFacts& facts = answer->facts;
  if (!startscope::CheckFacts(facts, {facts.path, facts.size_bytes}).ok()) return;
  for (const startscope::MarkSite& site : facts.sites) {
    if (site.file_offset >= facts.size_bytes) std::abort();
  }
  for (const startscope::InitFunction& function : facts.init_functions) {
    const bool probed = function.site.kind != startscope::MarkKind::kNone;
    if (probed && function.site.file_offset >= facts.size_bytes) std::abort();
  }
}

void FuzzReader(std::span<const uint8_t> bytes, uint8_t how) {
  startscope::MemoryByteSource source(bytes);
  startscope::ByteSource* const files[] = {&source};
  startscope::InspectQuery query;
  query.path_label = "/file";
  query.sizes = {bytes.size()};
  query.is_loader_hint = (how & 4) != 0;
  query.is_library = (how & 8) != 0;
  query.may_want_debug_file = (how & 16) != 0;
  const auto answer =
      startscope::DecodeAnswer(startscope::EncodeAnswer(startscope::AnswerQuery(query, files)));
  if (!answer) std::abort();
  if (answer->kind == AnswerKind::kFacts &&
      !startscope::CheckFacts(answer->facts, {"/file", bytes.size()}).ok()) {
    std::abort();
  }
  if (answer->kind == AnswerKind::kWantsDebugFile &&
      !startscope::CheckDebugReference(answer->wanted).ok()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      FuzzQuery(rest);
      break;
    case 1:
      FuzzAnswer(rest);
      break;
    default:
      FuzzReader(rest, data[0]);
  }
  return 0;
}
