// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/base/errno_status.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace startscope {

absl::Status ErrnoStatus(int error_number, absl::string_view object, absl::string_view remedy) {
  char buffer[128];
  const char* text = strerror_r(error_number, buffer, sizeof(buffer));
  std::string message = absl::StrCat(object, ": ", text);
  if (!remedy.empty()) absl::StrAppend(&message, " (", remedy, ")");
  return absl::Status(absl::ErrnoToStatusCode(error_number), message);
}

}  // namespace startscope
