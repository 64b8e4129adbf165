// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_DEMANGLE_H_
#define STARTSCOPE_CLIENT_RENDER_DEMANGLE_H_

#include <string>

namespace startscope {

// A symbol as people write it, sanitised: C++ names demangled, others as they are, and so are names
// that are made to become enormous.
[[nodiscard]] std::string ReadableSymbol(const std::string& symbol, bool utf8);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_DEMANGLE_H_
