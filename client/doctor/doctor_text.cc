// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/doctor/doctor_text.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "client/doctor/checks.h"
#include "client/json.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"
#include "google/protobuf/struct.pb.h"

namespace startscope {
namespace {

struct Word {
  const char* name;
  TextStyle style;
};

// In the order of Severity.
constexpr Word kWords[] = {{"fine", TextStyle::kDim},
                           {"note", TextStyle::kPlain},
                           {"warning", TextStyle::kWarning},
                           {"missing", TextStyle::kWarning}};

const Word& WordOf(Severity severity) { return kWords[static_cast<size_t>(severity)]; }

}  // namespace

std::string RenderFindings(const std::vector<Finding>& findings, const TerminalStyle& terminal) {
  const auto safe = [&](const std::string& text) { return SanitizeText(text, terminal.utf8); };
  std::string text;
  size_t counts[std::size(kWords)] = {};
  for (const Finding& finding : findings) {
    ++counts[static_cast<size_t>(finding.severity)];
    const Word& word = WordOf(finding.severity);
    std::string sentence = absl::StrCat(safe(finding.subject), ": ", safe(finding.what));
    if (!finding.consequence.empty()) {
      absl::StrAppend(&sentence, " ", terminal.glyphs.arrow, " ", safe(finding.consequence));
    }
    text += RenderWords(word.name, sentence, terminal, word.style);
    if (!finding.remedy.empty() && finding.severity != Severity::kFine) {
      text += RenderWords("  remedy", safe(finding.remedy), terminal, TextStyle::kPlain);
    }
  }
  const size_t warnings = counts[static_cast<size_t>(Severity::kWarning)];
  const size_t essential = counts[static_cast<size_t>(Severity::kEssential)];
  const std::string verdict = essential > 0 ? "nothing can be measured"
                              : warnings > 0
                                  ? absl::StrCat("works, with ", FormatCount(warnings, "warning"))
                                  : "all is well";
  return absl::StrCat(
      text, Styled(verdict, essential > 0 ? TextStyle::kWarning : TextStyle::kBold, terminal),
      "\n");
}

absl::StatusOr<std::string> FindingsToJson(const std::vector<Finding>& findings) {
  google::protobuf::Struct document;
  auto* list = (*document.mutable_fields())["findings"].mutable_list_value();
  for (const Finding& finding : findings) {
    auto& fields = *list->add_values()->mutable_struct_value()->mutable_fields();
    const auto set = [&](const char* name, const std::string& value) {
      // Paths of this machine need not be UTF-8.
      if (!value.empty()) fields[name].set_string_value(SanitizeText(value, true));
    };
    set("severity", WordOf(finding.severity).name);
    set("subject", finding.subject);
    set("what", finding.what);
    set("consequence", finding.consequence);
    set("remedy", finding.remedy);
  }
  return ToJsonLine(document);
}

}  // namespace startscope
