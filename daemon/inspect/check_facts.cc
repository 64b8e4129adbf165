// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/check_facts.h"

#include <elf.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr size_t kMaxSegments = 128;
constexpr size_t kMaxNeeded = 1024;
constexpr size_t kMaxName = 4096;
constexpr size_t kMaxSymbol = 4096;
constexpr size_t kMaxText = 16384;
constexpr size_t kMaxBuildIdDigits = 128;
constexpr size_t kMaxDisagreements = 64;
// Further from its event than any reader looks.
constexpr uint32_t kMaxSkewBytes = 4096;

absl::Status Wrong(absl::string_view field, absl::string_view why) {
  return absl::DataLossError(absl::StrCat(field, ": ", why));
}

absl::Status CheckText(absl::string_view field, const std::string& text, size_t limit) {
  if (text.size() > limit) return Wrong(field, "longer than any file can make it");
  if (text.find('\0') != std::string::npos) return Wrong(field, "contains NUL");
  return absl::OkStatus();
}

absl::Status CheckDigits(absl::string_view field, const std::string& digits) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (digits.size() > kMaxBuildIdDigits || digits.size() % 2 != 0 ||
      !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return Wrong(field, "not a build-id");
  }
  return absl::OkStatus();
}

uint32_t Bit(MarkKind kind) { return 1u << static_cast<unsigned>(kind); }

// Inside one executable segment, at the offset that its address has there.
bool IsCode(const ImageFacts& facts, const MarkSite& site) {
  if (site.file_offset >= facts.size_bytes) return false;
  return std::any_of(facts.segments.begin(), facts.segments.end(), [&](const LoadSegment& segment) {
    if (!segment.executable || site.address < segment.address) return false;
    const uint64_t into = site.address - segment.address;
    return into < segment.file_bytes && into <= UINT64_MAX - segment.file_offset &&
           segment.file_offset + into == site.file_offset;
  });
}

absl::Status CheckSite(const ImageFacts& facts, const MarkSite& site, uint32_t kinds,
                       absl::string_view field) {
  if ((Bit(site.kind) & kinds) == 0) return Wrong(field, "a mark that cannot be there");
  if (facts.machine != EM_X86_64 || !facts.is_64_bit) return Wrong(field, "of another machine");
  if (!IsCode(facts, site)) return Wrong(field, "not in the file's code");
  if (site.skew_bytes > kMaxSkewBytes) return Wrong(field, "too far from its event");
  return CheckText(field, site.symbol, kMaxSymbol);
}

absl::Status CheckSites(const ImageFacts& facts) {
  uint32_t seen = Bit(MarkKind::kNone);
  for (const MarkSite& site : facts.sites) {
    SS_RETURN_IF_ERROR(CheckSite(facts, site, ~seen, "site"));
    seen |= Bit(site.kind);
  }
  return absl::OkStatus();
}

absl::Status CheckInitFunctions(const ImageFacts& facts) {
  constexpr absl::string_view kField = "function that runs before main";
  if (facts.init_functions.size() > kMaxInitFunctions) return Wrong(kField, "too many");
  const uint32_t kinds = Bit(MarkKind::kInitFunction) | Bit(MarkKind::kRustStage);
  for (const InitFunction& function : facts.init_functions) {
    SS_RETURN_IF_ERROR(CheckText(kField, function.symbol, kMaxSymbol));
    SS_RETURN_IF_ERROR(CheckText(kField, function.unit, kMaxName));
    if (function.site.kind == MarkKind::kNone) continue;
    SS_RETURN_IF_ERROR(CheckSite(facts, function.site, kinds, kField));
  }
  return absl::OkStatus();
}

absl::Status CheckLink(const ImageFacts& facts) {
  const LinkFacts& link = facts.link;
  if (link.known && link.file_bytes != facts.size_bytes) {
    return Wrong("size of the linked file", "not that of the file");
  }
  SS_RETURN_IF_ERROR(CheckText("rpath", link.rpath, kMaxName));
  SS_RETURN_IF_ERROR(CheckText("runpath", link.runpath, kMaxName));
  if (link.sections.size() > kMaxListedSections) return Wrong("sections", "too many");
  for (const NamedSize& section : link.sections) {
    SS_RETURN_IF_ERROR(CheckText("section", section.name, kMaxName));
  }
  if (link.disagreements.size() > kMaxDisagreements) return Wrong("disagreements", "too many");
  for (const std::string& text : link.disagreements) {
    SS_RETURN_IF_ERROR(CheckText("disagreement", text, kMaxText));
  }
  return absl::OkStatus();
}

absl::Status CheckTexts(const ImageFacts& facts) {
  SS_RETURN_IF_ERROR(CheckText("interpreter", facts.interpreter, kMaxName));
  SS_RETURN_IF_ERROR(CheckText("soname", facts.soname, kMaxName));
  SS_RETURN_IF_ERROR(CheckText("libc version", facts.libc_version, kMaxName));
  SS_RETURN_IF_ERROR(CheckText("evidence", facts.evidence, kMaxText));
  SS_RETURN_IF_ERROR(CheckText("error", facts.error, kMaxText));
  SS_RETURN_IF_ERROR(CheckDigits("build-id", facts.build_id));
  if (facts.needed.size() > kMaxNeeded) return Wrong("needed libraries", "too many");
  for (const std::string& name : facts.needed) {
    SS_RETURN_IF_ERROR(CheckText("needed library", name, kMaxName));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFacts(const ImageFacts& facts, const InspectedFile& file) {
  if (facts.path != file.path_label) return Wrong("path", "not what was asked for");
  if (facts.size_bytes != file.size_bytes) return Wrong("size", "not that of the file");
  if (facts.file != FileId{}) return Wrong("device and inode", "are not the reader's to say");
  SS_RETURN_IF_ERROR(CheckTexts(facts));
  if (facts.segments.size() > kMaxSegments) return Wrong("segments", "too many");
  SS_RETURN_IF_ERROR(CheckSites(facts));
  SS_RETURN_IF_ERROR(CheckInitFunctions(facts));
  return CheckLink(facts);
}

absl::Status CheckFunctions(const std::vector<std::string>& names, size_t asked) {
  if (names.size() != asked) return Wrong("functions", "not as many as were asked for");
  for (const std::string& name : names) {
    SS_RETURN_IF_ERROR(CheckText("function", name, kMaxSymbol));
  }
  return absl::OkStatus();
}

absl::Status CheckDebugReference(const DebugReference& reference) {
  SS_RETURN_IF_ERROR(CheckDigits("build-id of the debug file", reference.build_id));
  SS_RETURN_IF_ERROR(CheckText("name of the debug file", reference.link_name, kMaxName));
  const std::string& name = reference.link_name;
  if (name == "." || name == ".." || name.find('/') != std::string::npos) {
    return Wrong("name of the debug file", "leads elsewhere");
  }
  return absl::OkStatus();
}

}  // namespace startscope
