// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/read_finder.h"

#include <algorithm>
#include <iterator>

namespace startscope {
namespace {

// A fault that holds the wait completes after it, and few others can complete in between.
constexpr int kFaultsLooked = 64;

}  // namespace

std::optional<size_t> FindReadFile(const std::vector<MappedObject>& mapped, const FileId& read) {
  std::optional<size_t> below;
  bool many = false;
  for (size_t i = 0; i < mapped.size(); ++i) {
    const FileId& file = mapped[i].file;
    if (file.inode != read.inode || read.inode == 0) continue;
    if (file == read) return i;
    // File systems without a block device have major number 0.
    if (file.device_major != 0) continue;
    many = below.has_value();
    below = i;
  }
  return many ? std::nullopt : below;
}

ReadFinder::ReadFinder(const Evidence& evidence, const FileNames& names)
    : evidence_(evidence), names_(names) {
  for (const auto& read : evidence.pages_read) {
    if (read.tid == evidence.pid) reads_.push_back({read.value.first_boottime_ns, &read.value});
  }
  std::stable_sort(reads_.begin(), reads_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

std::string_view ReadFinder::FileOf(uint64_t begin_ns, uint64_t end_ns) const {
  const auto& faults = evidence_.faults;
  auto fault = std::lower_bound(
      faults.begin(), faults.end(), end_ns,
      [](const auto& one, uint64_t boottime_ns) { return one.boottime_ns < boottime_ns; });
  for (int looked = 0; fault != faults.end() && looked < kFaultsLooked; ++fault, ++looked) {
    if (fault->tid != evidence_.pid || fault->value.entry_boottime_ns == 0) continue;
    if (fault->value.entry_boottime_ns > begin_ns) break;
    const std::string_view name = names_.of_fault(static_cast<size_t>(fault - faults.begin()));
    if (!name.empty()) return name;
    break;
  }
  const auto after = std::upper_bound(
      reads_.begin(), reads_.end(), end_ns,
      [](uint64_t boottime_ns, const auto& read) { return boottime_ns < read.first; });
  return after == reads_.begin() ? std::string_view() : names_.of_file(std::prev(after)->second->file);
}

}  // namespace startscope
