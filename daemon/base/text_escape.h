// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_BASE_TEXT_ESCAPE_H_
#define STARTSCOPE_DAEMON_BASE_TEXT_ESCAPE_H_

#include <string>

namespace startscope {

// Bytes of a process as valid UTF-8, without loss: what is not valid UTF-8, and every backslash,
// becomes \xHH. protobuf refuses to carry invalid UTF-8 in a string.
std::string EscapeToUtf8(const std::string& bytes);
// The same into a string whose room is kept.
void EscapeToUtf8(const std::string& bytes, std::string* text);

// The bytes that such text stands for. A backslash that begins no \xHH stands for itself.
std::string UnescapeFromUtf8(const std::string& text);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_BASE_TEXT_ESCAPE_H_
