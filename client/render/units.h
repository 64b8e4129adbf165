// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_UNITS_H_
#define STARTSCOPE_CLIENT_RENDER_UNITS_H_

#include <cstdint>
#include <string>

#include "client/render/terminal.h"

namespace startscope {

// Three significant digits in the unit that fits: "0 ns", "388 µs", "1.75 ms", "12.3 s".
[[nodiscard]] std::string FormatDuration(uint64_t duration_ns, const Glyphs& glyphs);
// Bytes in powers of 1024: "512 B", "1.75 MiB".
[[nodiscard]] std::string FormatBytes(uint64_t bytes);
// Of `whole`: "22 %", "0.7 %", "<0.1 %". `whole` 0 gives "0 %".
[[nodiscard]] std::string FormatShare(uint64_t part, uint64_t whole);
// "1 fault", "12 faults": `noun` takes an s unless `count` is 1.
[[nodiscard]] std::string FormatCount(uint64_t count, const std::string& noun);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_UNITS_H_
