// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/resume_token.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace startscope {
namespace {

constexpr char kVersion[] = "1";
constexpr size_t kMaxToken = 256;

}  // namespace

std::string ResumeToken::Format() const {
  return absl::StrCat(kVersion, ".", boot_id, ".", absl::Hex(epoch), ".", absl::Hex(watch), ".",
                      absl::Hex(serial), ".", absl::Hex(realtime_ms));
}

std::optional<ResumeToken> ResumeToken::Parse(const std::string& text) {
  if (text.size() > kMaxToken) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  if (parts.size() != 6 || parts[0] != kVersion) return std::nullopt;
  ResumeToken token;
  token.boot_id = parts[1];
  if (!absl::SimpleHexAtoi(parts[2], &token.epoch) ||
      !absl::SimpleHexAtoi(parts[3], &token.watch) ||
      !absl::SimpleHexAtoi(parts[4], &token.serial) ||
      !absl::SimpleHexAtoi(parts[5], &token.realtime_ms)) {
    return std::nullopt;
  }
  return token;
}

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  id.erase(std::remove_if(id.begin(), id.end(), [](char c) { return !absl::ascii_isxdigit(c); }),
           id.end());
  return id;
}

}  // namespace startscope
