// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/storage_ledger.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/model/read_finder.h"

namespace startscope {
namespace {

bool IsProgramFile(const MappedObject& object) {
  return object.kind == ObjectKind::kExecutable || object.kind == ObjectKind::kLoader ||
         object.kind == ObjectKind::kLibrary;
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

struct BytesRead {
  std::optional<uint64_t> bytes;
  bool to_the_end = false;  // otherwise there may have been more
};

BytesRead FindBytesRead(const Evidence& evidence, const End& end, bool use_marks) {
  const Counters* last = end.counters ? &*end.counters : nullptr;
  // What is read at the last mark is not all, but more than nothing is known then too.
  for (auto mark = evidence.marks.rbegin(); use_marks && last == nullptr; ++mark) {
    if (mark == evidence.marks.rend()) break;
    if (mark->boottime_ns <= end.boottime_ns) last = &mark->value.now;
  }
  const uint64_t begin = evidence.exec.begin.read_bytes;
  if (last == nullptr || last->read_bytes < begin) return {};
  return {last->read_bytes - begin, end.counters.has_value()};
}

void Classify(const StorageReads& storage, bool pages_known, bool bytes_to_the_end,
              Startup* startup) {
  const bool nothing = storage.bytes.value_or(0) == 0 && storage.pages.value_or(0) == 0 &&
                       startup->faults.major.value_or(0) == 0;
  if (nothing) {
    if (!bytes_to_the_end && !storage.pages) return;
    startup->temperature = StartTemperature::kWarm;
    startup->temperature_evidence = "nothing was read from storage";
    return;
  }
  if (!pages_known || startup->objects.empty()) {
    startup->temperature = StartTemperature::kNotWarm;
    startup->temperature_evidence =
        absl::StrCat(startup->faults.major.value_or(0), " major faults, ",
                     storage.bytes.value_or(0), " bytes read; which files is told at level objects");
    return;
  }
  uint64_t files = 0;
  uint64_t files_read = 0;
  bool executable_read = false;
  std::string names;
  for (const MappedObject& object : startup->objects) {
    if (!IsProgramFile(object)) continue;
    ++files;
    if (object.pages_read.value_or(0) == 0 && object.major_faults == 0) continue;
    ++files_read;
    executable_read |= object.kind == ObjectKind::kExecutable;
    if (files_read <= 3) absl::StrAppend(&names, names.empty() ? "" : ", ", BaseName(object.path));
  }
  // Pages come into the page cache when a file is written, too.
  const bool no_bytes = bytes_to_the_end && storage.bytes == 0u;
  if (files_read == 0 && no_bytes && startup->faults.major.value_or(0) == 0) {
    startup->temperature = StartTemperature::kWarm;
    startup->temperature_evidence =
        absl::StrCat("nothing was read from storage; ", storage.pages.value_or(0),
                     " new pages of files that are not the program's");
    return;
  }
  const bool most = files_read * 2 >= files;
  startup->temperature = executable_read && most ? StartTemperature::kCold
                                                 : StartTemperature::kPartlyCold;
  startup->temperature_evidence =
      absl::StrCat(files_read, " of ", files, " program files read from storage",
                   names.empty() ? "" : absl::StrCat(" (", names, files_read > 3 ? ", …" : "", ")"));
}

}  // namespace

void AccountStorage(const Evidence& evidence, const End& end, bool pages_known, bool waits_known,
                    size_t max_files, Startup* startup) {
  StorageReads storage;
  const BytesRead bytes =
      FindBytesRead(evidence, end, startup->precision == Precision::kExact);
  storage.bytes = bytes.bytes;
  std::map<std::string, uint64_t> waits;  // by path
  uint64_t wait_ns = 0;
  for (const TimeShare& share : startup->blame) {
    if (share.reason != TimeReason::kBlockedIo) continue;
    waits[share.object] += share.duration_ns;
    wait_ns += share.duration_ns;
  }
  if (waits_known) storage.wait_ns = wait_ns;
  if (pages_known) {
    const std::vector<MappedObject>& mapped = startup->objects;
    std::map<FileId, uint64_t> pages;
    uint64_t total = 0;
    for (const auto& read : evidence.pages_read) {
      if (read.value.first_boottime_ns > end.boottime_ns) continue;
      const std::optional<size_t> object = FindReadFile(mapped, read.value.file);
      pages[object ? mapped[*object].file : read.value.file] += read.value.pages;
      total += read.value.pages;
    }
    storage.pages = total;
    for (MappedObject& object : startup->objects) {
      if (object.file.inode == 0) continue;
      const auto found = pages.find(object.file);
      object.pages_read = found == pages.end() ? 0 : found->second;
      // The window was mapped as far as its pages were there by then, which is not recorded.
      if (*object.pages_read != 0) object.pages_resident.reset();
      const auto wait = waits.find(object.path);
      if (wait != waits.end()) object.io_wait_ns = wait->second;
      if (found == pages.end()) continue;
      FileReads file;
      file.path = object.path;
      file.file = object.file;
      file.pages = found->second;
      file.wait_ns = object.io_wait_ns;
      if (!file.wait_ns && waits_known) file.wait_ns = 0;
      storage.files.push_back(std::move(file));
      pages.erase(found);
    }
    for (const auto& [file, count] : pages) storage.files.push_back({"", file, count, std::nullopt});
    std::stable_sort(storage.files.begin(), storage.files.end(),
                     [](const FileReads& a, const FileReads& b) {
                       if (a.wait_ns.value_or(0) != b.wait_ns.value_or(0)) {
                         return a.wait_ns.value_or(0) > b.wait_ns.value_or(0);
                       }
                       return a.pages > b.pages;
                     });
    if (storage.files.size() > max_files) {
      storage.files_omitted = storage.files.size() - max_files;
      storage.files.resize(max_files);
    }
  }
  Classify(storage, pages_known, bytes.to_the_end, startup);
  if (storage.bytes || storage.pages) startup->storage = std::move(storage);
}

}  // namespace startscope
