// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/units.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace startscope {
namespace {

// Three significant digits of a value below 1000 that is not whole by nature. Values that would
// round up to 1000 are the caller's to move to the next unit.
std::string ThreeDigits(double value) {
  if (value < 9.995) return absl::StrFormat("%.2f", value);
  if (value < 99.95) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

}  // namespace

std::string FormatDuration(uint64_t duration_ns, const Glyphs& glyphs) {
  if (duration_ns < 1000) return absl::StrCat(duration_ns, " ns");
  double value = static_cast<double>(duration_ns) / 1e3;
  const std::string units[] = {glyphs.micro + "s", "ms"};
  for (const std::string& unit : units) {
    if (value < 999.5) return absl::StrCat(ThreeDigits(value), " ", unit);
    value /= 1e3;
  }
  return absl::StrCat(ThreeDigits(value), " s");
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    if (value < 999.5) return absl::StrCat(ThreeDigits(value), " ", unit);
    value /= 1024;
  }
  return absl::StrCat(ThreeDigits(value), " TiB");
}

std::string FormatShare(uint64_t part, uint64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  if (percent < 0.1) return "<0.1 %";
  if (percent < 9.95) return absl::StrFormat("%.1f %%", percent);
  return absl::StrFormat("%.0f %%", percent);
}

std::string FormatCount(uint64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

}  // namespace startscope
