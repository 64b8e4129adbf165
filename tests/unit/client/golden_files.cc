// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "tests/unit/client/golden_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "client/render/display_width.h"
#include "google/protobuf/text_format.h"

namespace startscope {
namespace {

std::string PathOf(const std::string& file) { return std::string(GOLDEN_DIRECTORY "/") + file; }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

void LoadGoldenInto(const std::string& name, google::protobuf::Message* message) {
  EXPECT_TRUE(
      google::protobuf::TextFormat::ParseFromString(ReadFile(PathOf(name + ".textproto")), message))
      << name;
}

void ExpectGolden(const std::string& name, const std::string& actual) {
  const std::string path = PathOf(name + ".txt");
  if (getenv("STARTSCOPE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << actual;
  EXPECT_EQ(actual, ReadFile(path)) << "see STARTSCOPE_UPDATE_GOLDEN";
}

void ExpectNoLineWiderThan(int width, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), width) << line;
}

TerminalStyle GoldenWidth(int width) {
  TerminalStyle style;
  style.width = width;
  return style;
}

TerminalStyle GoldenAscii(int width) {
  TerminalStyle style = GoldenWidth(width);
  style.utf8 = false;
  style.glyphs = Glyphs::Ascii();
  return style;
}

}  // namespace startscope
