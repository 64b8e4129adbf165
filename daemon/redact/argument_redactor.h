// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_REDACT_ARGUMENT_REDACTOR_H_
#define STARTSCOPE_DAEMON_REDACT_ARGUMENT_REDACTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace startscope {

inline constexpr char kRedacted[] = "[redacted]";

// Removes secrets from the arguments of a program. Built in: values whose name says that they are one
// (password, passwd, passphrase, pwd, token, secret, key, credential, authorization, anywhere in the
// name and in any case) as `--name=value`, `--name value`, `NAME=value`, `name: value`, alone or inside
// an argument, and user and password of URLs. In doubt it removes. Immutable; any thread.
class ArgumentRedactor {
 public:
  // `patterns`: what one of these RE2 expressions matches in an argument is removed too.
  // INVALID_ARGUMENT names the pattern and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<ArgumentRedactor>> Create(
      const std::vector<std::string>& patterns);
  ~ArgumentRedactor();

  // As many as were given; those without a secret as they were.
  [[nodiscard]] std::vector<std::string> Redact(std::vector<std::string> arguments) const;

 private:
  ArgumentRedactor();

  // What is found is replaced by the text beside it, \1 being what names the value.
  struct Rule {
    std::unique_ptr<re2::RE2> pattern;
    std::string replacement;
  };
  std::vector<Rule> rules_;
  std::unique_ptr<re2::RE2> option_before_value_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_REDACT_ARGUMENT_REDACTOR_H_
