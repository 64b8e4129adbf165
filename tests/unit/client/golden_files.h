// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_UNIT_CLIENT_GOLDEN_FILES_H_
#define STARTSCOPE_TESTS_UNIT_CLIENT_GOLDEN_FILES_H_

#include <google/protobuf/message.h>

#include <string>

#include "client/render/terminal.h"

namespace startscope {

// Text protos in, text as people see it out. Run with STARTSCOPE_UPDATE_GOLDEN=1 to write the
// expected files anew after a wanted change, and read the difference.

void LoadGoldenInto(const std::string& name, google::protobuf::Message* message);

template <typename Message>
Message LoadGolden(const std::string& name) {
  Message message;
  LoadGoldenInto(name, &message);
  return message;
}

void ExpectGolden(const std::string& name, const std::string& actual);
void ExpectNoLineWiderThan(int width, const std::string& text);

[[nodiscard]] TerminalStyle GoldenWidth(int width);
// The same without UTF-8.
[[nodiscard]] TerminalStyle GoldenAscii(int width);

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_CLIENT_GOLDEN_FILES_H_
