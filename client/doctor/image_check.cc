// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/doctor/checks.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::BoundarySource;
using startscope::v1::ImageStatus;
using startscope::v1::MarkSite;

// Files beyond these are counted: a busy machine knows hundreds.
constexpr size_t kMaxFiles = 12;
constexpr size_t kMaxNamed = 5;

bool IsLoader(const ImageStatus& image) {
  const std::string name = BaseName(image.path());
  return absl::StartsWith(name, "ld-") || absl::StartsWith(name, "ld.so");
}

// Whether a place of such a rung is named by a symbol of the loader's own.
bool IsNamed(BoundarySource rung) {
  return rung == startscope::v1::BOUNDARY_SOURCE_SYMBOL_UPROBE ||
         rung == startscope::v1::BOUNDARY_SOURCE_DEBUG_FILE_UPROBE ||
         rung == startscope::v1::BOUNDARY_SOURCE_MINI_DEBUG_UPROBE;
}

// "relocated by debug symbol, main by call site": each mark with the rung it stands on.
std::string Rungs(const ImageStatus& image) {
  std::vector<std::string> parts;
  std::map<std::string, int> seen;
  for (const MarkSite& site : image.sites()) {
    const std::string part = absl::StrCat(site.mark(), " by ", SourceName(site.rung()),
                                          site.attached() ? "" : " (idle)");
    if (seen[part]++ == 0) parts.push_back(part);
  }
  for (std::string& part : parts) {
    if (seen[part] > 1) absl::StrAppend(&part, " (", seen[part], " places)");
  }
  return parts.empty() ? "no place for a mark" : absl::StrJoin(parts, ", ");
}

Finding CheckLoader(const ImageStatus& image) {
  Finding finding{Severity::kFine, image.path(), Rungs(image)};
  const bool named = std::any_of(image.sites().begin(), image.sites().end(),
                                 [](const MarkSite& site) { return IsNamed(site.rung()); });
  if (named || image.runtime().libc() != startscope::v1::LIBC_GLIBC) return finding;
  finding.severity = Severity::kWarning;
  finding.consequence =
      "its functions have no names here: some boundaries are found by analysing code, and the "
      "relocation and constructors of single objects are told from their traces";
  finding.remedy =
      "install its debug symbols (Debian, Ubuntu: libc6-dbg; Fedora: debuginfo-install "
      "glibc) for boundaries by debug symbol";
  return finding;
}

std::string Names(const std::vector<std::string>& paths) {
  std::vector<std::string> shown(paths.begin(), paths.begin() + std::min(paths.size(), kMaxNamed));
  if (paths.size() > kMaxNamed) shown.push_back(absl::StrCat(paths.size() - kMaxNamed, " more"));
  return absl::StrJoin(shown, ", ");
}

}  // namespace

std::vector<Finding> CheckImages(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  std::vector<Finding> findings;
  std::vector<std::string> unusable;
  std::vector<std::string> dear;
  size_t listed = 0;
  for (const ImageStatus& image : examined.status->images()) {
    if (!image.error().empty()) {
      unusable.push_back(absl::StrCat(image.path(), " (", image.error(), ")"));
      continue;
    }
    if (std::any_of(image.sites().begin(), image.sites().end(),
                    [](const MarkSite& site) { return site.single_stepped(); })) {
      dear.push_back(image.path());
    }
    if (IsLoader(image)) {
      findings.push_back(CheckLoader(image));
    } else if (!image.sites().empty() && listed++ < kMaxFiles) {
      findings.push_back({Severity::kFine, image.path(), Rungs(image)});
    }
  }
  if (listed > kMaxFiles) {
    findings.push_back(
        {Severity::kFine, "known files", FormatCount(listed - kMaxFiles, "other file")});
  }
  if (!unusable.empty()) {
    findings.push_back({Severity::kWarning, "known files", "not usable: " + Names(unusable),
                        "boundaries inside them are missing", "see what is said of each"});
  }
  if (!dear.empty()) {
    findings.push_back({Severity::kNote, "known files",
                        "marks on dear instructions: " + Names(dear),
                        "the kernel single-steps them: each hit costs several microseconds",
                        "watch these with --precision unperturbed where that matters"});
  }
  if (examined.status->images().empty()) {
    findings.push_back({Severity::kNote, "known files", "none yet",
                        "nothing can be said of loaders and programs",
                        "start a watch or a run, then ask again"});
  }
  return findings;
}

}  // namespace startscope
