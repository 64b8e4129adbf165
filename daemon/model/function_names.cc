// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/function_names.h"

namespace startscope {

const FunctionNames::OfFile* FunctionNames::Find(const FileId& file) const {
  const auto found = files_.find(file);
  return found == files_.end() ? nullptr : &found->second;
}

size_t FunctionNames::BytesOf(const std::string& name) {
  return sizeof(OfFile::value_type) + name.capacity();
}

void FunctionNames::Keep(const SymbolsEvent& symbols) {
  if (symbols.symbols.empty()) return;
  OfFile* names = &files_[symbols.file];
  for (const SymbolsEvent::Symbol& symbol : symbols.symbols) {
    if (bytes_ >= max_bytes_) {
      files_.clear();
      bytes_ = 0;
      names = &files_[symbols.file];
    }
    const auto [kept, first] = names->try_emplace(symbol.file_offset, symbol.name);
    if (first) bytes_ += BytesOf(kept->second);
  }
}

void FunctionNames::Forget(const FileId& file) {
  const auto found = files_.find(file);
  if (found == files_.end()) return;
  for (const auto& [offset, name] : found->second) bytes_ -= BytesOf(name);
  files_.erase(found);
}

}  // namespace startscope
