// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_CLIENT_RENDER_TABLE_H_
#define STARTSCOPE_CLIENT_RENDER_TABLE_H_

#include <string>
#include <vector>

#include "client/render/terminal.h"

namespace startscope {

enum class Align : uint8_t { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

struct Cell {
  Cell(std::string text_in) : text(std::move(text_in)) {}  // NOLINT: a cell is mostly its text
  Cell(const char* text_in) : text(text_in) {}             // NOLINT
  Cell(std::string text_in, TextStyle style_in) : text(std::move(text_in)), style(style_in) {}

  std::string text;
  TextStyle style = TextStyle::kPlain;
};

// Rows under titled columns, each as wide as its widest cell in terminal columns, two apart. Text
// must be sanitised. Lines carry no trailing blanks.
class Table {
 public:
  Table(std::vector<Column> columns, int indent) : columns_(std::move(columns)), indent_(indent) {}

  // A row may have fewer cells than there are columns.
  void AddRow(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Columns of the terminal that all table columns but the last take, with what separates them.
  [[nodiscard]] int WidthBeforeLast() const;
  // The same of all but the first column.
  [[nodiscard]] int WidthAfterFirst() const;
  [[nodiscard]] std::string Render(const TerminalStyle& terminal) const;

 private:
  [[nodiscard]] std::vector<int> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
  int indent_;
};

}  // namespace startscope

#endif  // STARTSCOPE_CLIENT_RENDER_TABLE_H_
