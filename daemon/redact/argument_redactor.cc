// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/redact/argument_redactor.h"

#include <re2/re2.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace startscope {
namespace {

constexpr size_t kMaxPatterns = 64;
constexpr size_t kMaxPatternBytes = 1024;

// WORDS stands for the part of a name that tells a secret, VALUE for a value inside an argument: quoted,
// or up to where one usually ends.
constexpr char kWords[] = R"((?:passw|passphrase|pwd|token|secret|key|credential|authorization))";
constexpr char kValue[] = R"((?:"[^"]*"?|'[^']*'?|[^\s&;,"'{}]+))";

struct BuiltIn {
  const char* pattern;
  const char* replacement;
};

constexpr BuiltIn kBuiltIn[] = {
    // scheme://user:password@host
    {R"(([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/?#]*@)", R"(\1[redacted]@)"},
    // An argument that is nothing but a name and its value: all of the value, blanks included.
    {R"(^([^=\s?&/:]*WORDS[^=\s?&/:]*=).+$)", R"(\1[redacted])"},
    {R"(^([^=\s?&/:]*WORDS[^=\s?&/:]*:\s*).+$)", R"(\1[redacted])"},
    // A header inside an argument: all of its line.
    {R"((authorization["']?\s*[:=]\s*)[^\r\n]+)", R"(\1[redacted])"},
    // Inside an argument: of a command for a shell, a URL's query, JSON.
    {R"(([\w.\-\[\]]*WORDS[\w.\-\[\]]*["']?\s*[:=]\s*)VALUE)", R"(\1[redacted])"},
    {R"((^|\s)(--?[\w.\-]*WORDS[\w.\-]*\s+)(?:"[^"]*"?|'[^']*'?|\S+))", R"(\1\2[redacted])"},
};

// The value is the argument that follows.
constexpr char kOptionBeforeValue[] = R"(--?[^=\s]*WORDS[^=\s]*)";

std::string Expand(absl::string_view pattern) {
  return absl::StrReplaceAll(pattern, {{"WORDS", kWords}, {"VALUE", kValue}});
}

// Arguments are bytes of any encoding, with newlines in them.
re2::RE2::Options OptionsOfArguments() {
  re2::RE2::Options options(re2::RE2::Latin1);
  options.set_log_errors(false);
  options.set_dot_nl(true);
  return options;
}

std::unique_ptr<re2::RE2> Compile(absl::string_view pattern) {
  re2::RE2::Options options = OptionsOfArguments();
  options.set_case_sensitive(false);
  return std::make_unique<re2::RE2>(Expand(pattern), options);
}

}  // namespace

ArgumentRedactor::ArgumentRedactor() = default;
ArgumentRedactor::~ArgumentRedactor() = default;

absl::StatusOr<std::unique_ptr<ArgumentRedactor>> ArgumentRedactor::Create(
    const std::vector<std::string>& patterns) {
  if (patterns.size() > kMaxPatterns) {
    return absl::InvalidArgumentError(absl::StrCat("--redact: at most ", kMaxPatterns, " patterns"));
  }
  std::unique_ptr<ArgumentRedactor> redactor(new ArgumentRedactor);
  for (const std::string& pattern : patterns) {
    if (pattern.size() > kMaxPatternBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("--redact: a pattern longer than ", kMaxPatternBytes, " bytes"));
    }
    auto compiled = std::make_unique<re2::RE2>(pattern, OptionsOfArguments());
    if (!compiled->ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--redact ", pattern, ": ", compiled->error(), " (RE2 syntax)"));
    }
    if (re2::RE2::PartialMatch("", *compiled)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--redact ", pattern, ": matches the empty text, which is everywhere; use + for *"));
    }
    redactor->rules_.push_back({std::move(compiled), kRedacted});
  }
  for (const BuiltIn& rule : kBuiltIn) {
    redactor->rules_.push_back({Compile(rule.pattern), rule.replacement});
  }
  redactor->option_before_value_ = Compile(kOptionBeforeValue);
  return redactor;
}

std::vector<std::string> ArgumentRedactor::Redact(std::vector<std::string> arguments) const {
  bool is_value = false;
  for (std::string& argument : arguments) {
    const bool was_value = is_value;
    is_value = re2::RE2::FullMatch(argument, *option_before_value_);
    if (was_value) {
      argument = kRedacted;
      continue;
    }
    for (const Rule& rule : rules_) {
      re2::RE2::GlobalReplace(&argument, *rule.pattern, rule.replacement);
    }
  }
  return arguments;
}

}  // namespace startscope
