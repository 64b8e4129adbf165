// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_BARS_H_
#define STARTSCOPE_CLIENT_RENDER_BARS_H_

#include <cstdint>
#include <string>

namespace startscope {

// A bar as long as part/whole of `width` columns, in eighths of a column with `utf8`, in '#'
// otherwise. Anything above zero shows at least the shortest mark.
[[nodiscard]] std::string Bar(uint64_t part, uint64_t whole, int width, bool utf8);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_BARS_H_
