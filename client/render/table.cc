// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/table.h"

#include <algorithm>

#include "client/render/display_width.h"

namespace startscope {
namespace {

constexpr int kGap = 2;

std::string Spaces(int count) { return std::string(static_cast<size_t>(std::max(0, count)), ' '); }

}  // namespace

std::vector<int> Table::Widths() const {
  std::vector<int> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    int width = DisplayWidth(columns_[column].title);
    for (const auto& row : rows_) {
      if (column < row.size()) width = std::max(width, DisplayWidth(row[column].text));
    }
    widths.push_back(width);
  }
  return widths;
}

int Table::WidthBeforeLast() const {
  const std::vector<int> widths = Widths();
  int total = indent_;
  for (size_t column = 0; column + 1 < widths.size(); ++column) total += widths[column] + kGap;
  return total;
}

int Table::WidthAfterFirst() const {
  const std::vector<int> widths = Widths();
  int total = indent_;
  for (size_t column = 1; column < widths.size(); ++column) total += widths[column] + kGap;
  return total;
}

std::string Table::Render(const TerminalStyle& terminal) const {
  const std::vector<int> widths = Widths();
  std::string text;
  const auto render_row = [&](const std::vector<Cell>& cells) {
    text += Spaces(indent_);
    int owed = 0;
    for (size_t column = 0; column < cells.size() && column < columns_.size(); ++column) {
      const Cell& cell = cells[column];
      const int padding = widths[column] - DisplayWidth(cell.text);
      const bool right = columns_[column].align == Align::kRight;
      if (!cell.text.empty()) {
        text += Spaces(owed + (right ? padding : 0)) + Styled(cell.text, cell.style, terminal);
        owed = right ? kGap : padding + kGap;
      } else {
        owed += widths[column] + kGap;
      }
    }
    // Only what stands between two texts is written.
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  std::vector<Cell> titles;
  bool titled = false;
  for (const Column& column : columns_) {
    titles.emplace_back(column.title, TextStyle::kDim);
    titled = titled || !column.title.empty();
  }
  if (titled) render_row(titles);
  for (const auto& row : rows_) render_row(row);
  return text;
}

}  // namespace startscope
