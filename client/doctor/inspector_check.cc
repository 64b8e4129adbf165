// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/doctor/checks.h"
#include "client/render/units.h"

namespace startscope {
namespace {

constexpr int kMaxRefused = 5;

}  // namespace

std::vector<Finding> CheckInspector(const Examined& examined) {
  if (!examined.status.has_value()) return {};
  if (!examined.status->has_inspector()) {
    return {{Severity::kNote, "inspector", "files are read inside the daemon",
             "a fault in reading a hostile file would end the daemon", ""}};
  }
  const auto& inspector = examined.status->inspector();
  Finding state{Severity::kFine, "inspector",
                absl::StrCat(inspector.running() ? "runs" : "not running now", ", ",
                             FormatCount(inspector.requests(), "file"), " read, ",
                             FormatCount(inspector.restarts(), "restart"), ", ",
                             FormatCount(inspector.timeouts(), "timeout"))};
  if (!inspector.sandbox().empty()) absl::StrAppend(&state.what, "; ", inspector.sandbox());
  if (!inspector.running() && inspector.requests() > 0) {
    state.severity = Severity::kNote;
    state.consequence = "it is started again for the next file";
  }
  std::vector<Finding> findings = {state};
  if (!inspector.refused().empty()) {
    std::vector<std::string> files(inspector.refused().begin(), inspector.refused().end());
    const size_t all = files.size();
    if (files.size() > kMaxRefused) {
      files.resize(kMaxRefused);
      files.push_back(absl::StrCat(all - kMaxRefused, " more"));
    }
    findings.push_back(
        {Severity::kWarning, "inspector", "these files ended it: " + absl::StrJoin(files, ", "),
         "boundaries inside them are not known",
         "look at what these files are; restart the daemon to have them tried again"});
  }
  return findings;
}

}  // namespace startscope
