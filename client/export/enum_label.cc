// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/export/enum_label.h"

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace startscope {

std::string EnumLabel(absl::string_view name, absl::string_view prefix) {
  if (name.empty()) return "other";
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

}  // namespace startscope
