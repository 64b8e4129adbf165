// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/demangle.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "client/render/text_sanitizer.h"

namespace startscope {
namespace {

constexpr size_t kMaxMangledBytes = 512;
constexpr int kMaxGrowth = 12;
constexpr int kPackGrowth = 6;

// How often the text may double when the name is written out. A reference back (S_, S0_, T_, …)
// repeats something at most; a pack (Dp, sp) repeats its pattern for each of its types. Letters of
// identifiers are counted too: that errs on the safe side.
int GrowthOf(const std::string& symbol) {
  int growth = 0;
  for (size_t i = 0; i + 1 < symbol.size(); ++i) {
    const char next = symbol[i + 1];
    const bool index = next == '_' || absl::ascii_isdigit(next) || absl::ascii_isupper(next);
    if ((symbol[i] == 'S' || symbol[i] == 'T') && index) ++growth;
    if ((symbol[i] == 'D' || symbol[i] == 's') && next == 'p') growth += kPackGrowth;
  }
  return growth;
}

}  // namespace

std::string ReadableSymbol(const std::string& symbol, bool utf8) {
  if (absl::StartsWith(symbol, "_Z") && symbol.size() <= kMaxMangledBytes &&
      GrowthOf(symbol) <= kMaxGrowth) {
    int status = 0;
    const std::unique_ptr<char, decltype(&free)> plain(
        abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &free);
    if (status == 0 && plain != nullptr) return SanitizeText(plain.get(), utf8);
  }
  return SanitizeText(symbol, utf8);
}

}  // namespace startscope
