// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_EXPORT_GZIP_H_
#define STARTSCOPE_CLIENT_EXPORT_GZIP_H_

#include <string>

namespace startscope {

// `text` in gzip's form, at zlib's usual level; empty when there is no memory for it.
[[nodiscard]] std::string Gzip(const std::string& text);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_EXPORT_GZIP_H_
