// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_NUL_SEPARATED_H_
#define STARTSCOPE_DAEMON_BASE_NUL_SEPARATED_H_

#include <string>
#include <string_view>
#include <vector>

namespace startscope {

// The strings that end with a NUL in `text`, as a process's arguments lie in memory; what follows the
// last NUL was cut and is left out.
inline std::vector<std::string> SplitNulTerminated(std::string_view text) {
  std::vector<std::string> values;
  for (size_t end = text.find('\0'); end != std::string_view::npos; end = text.find('\0')) {
    values.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return values;
}

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_BASE_NUL_SEPARATED_H_
