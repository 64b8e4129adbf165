// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_OBJECT_NAME_H_
#define STARTSCOPE_CLIENT_RENDER_OBJECT_NAME_H_

#include <string>

#include "startscope/v1/startup.pb.h"

namespace startscope {

// What comes after the last slash; the whole of a text without one. Not sanitised.
[[nodiscard]] std::string BaseName(const std::string& path);

// The name an object goes by: its path, its soname, or what kind of memory it is. Sanitised.
[[nodiscard]] std::string ObjectName(const startscope::v1::MappedObject& object, bool utf8);

// The same without its directories.
[[nodiscard]] std::string ShortObjectName(const startscope::v1::MappedObject& object, bool utf8);

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_OBJECT_NAME_H_
