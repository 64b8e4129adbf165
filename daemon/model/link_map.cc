// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/link_map.h"

#include <sys/mman.h>

#include <algorithm>

#include "absl/container/flat_hash_map.h"

namespace startscope {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr size_t kUsualObjects = 16;

uint64_t PageOf(uint64_t address) { return address & ~(kPageBytes - 1); }

const KnownImage* ImageOf(const FileId& file, const StartupImages& images,
                          const BoundaryFinder& finder) {
  // On stacked file systems the executable is mapped under other numbers than it is known by.
  if (file == finder.executable_file()) return images.executable;
  if (file == finder.loader_file()) return images.loader;
  if (images.all == nullptr) return nullptr;
  const auto found = images.all->find(file);
  return found == images.all->end() ? nullptr : &found->second;
}

uint64_t BiasOf(const LoadedObject& object, const MappingEvent& first, const ExecEvent& exec) {
  const ImageFacts* facts = object.facts;
  if (object.is_executable && facts != nullptr && exec.at_entry != 0) {
    return exec.at_entry - facts->entry_address;
  }
  if (facts != nullptr) {
    for (const LoadSegment& segment : facts->segments) {
      if (PageOf(segment.file_offset) != first.file_offset) continue;
      return first.address - PageOf(segment.address);
    }
  }
  return first.address - first.file_offset;
}

// Where its RELRO begins in memory; nullopt: it has none. Of a file that could not be read, the
// begin of what was mapped writable must do.
std::optional<uint64_t> RelroBegin(const LoadedObject& object,
                                   const std::optional<uint64_t>& writable) {
  if (object.facts == nullptr) return writable;
  if (object.facts->relro_bytes == 0) return std::nullopt;
  return PageOf(object.bias + object.facts->relro_address);
}

}  // namespace

std::vector<LoadedObject> ReadLinkMap(const Evidence& evidence, const StartupImages& images,
                                      const BoundaryFinder& finder, uint64_t until_ns) {
  std::vector<LoadedObject> objects;
  std::vector<std::optional<uint64_t>> writable;  // parallel: begin of the first writable mapping
  absl::flat_hash_map<FileId, size_t> by_file;
  objects.reserve(kUsualObjects);
  writable.reserve(kUsualObjects);
  by_file.reserve(kUsualObjects);
  size_t index = 0;  // of the object looked up last: its mappings come one after the other
  for (const auto& timed : evidence.mappings) {
    if (timed.boottime_ns > until_ns) break;
    const MappingEvent& mapping = timed.value;
    if (mapping.address + mapping.size_bytes <= mapping.address) continue;
    if (mapping.file.inode == 0) {
      // Anonymous memory inside what an object reserved is its BSS. The latest object may lie where
      // an earlier one did.
      for (size_t i = objects.size(); i-- > 0;) {
        if (!objects[i].Holds(mapping.address)) continue;
        if (!objects[i].relro_ns) objects[i].mapped_ns = timed.boottime_ns;
        break;
      }
      continue;
    }
    bool first = false;
    if (index >= objects.size() || objects[index].file != mapping.file) {
      const auto [found, is_new] = by_file.try_emplace(mapping.file, objects.size());
      index = found->second;
      first = is_new;
    }
    if (first) {
      LoadedObject object;
      object.file = mapping.file;
      object.path = mapping.path;
      object.image = ImageOf(mapping.file, images, finder);
      if (object.image != nullptr && object.image->facts->error.empty()) {
        object.facts = object.image->facts.get();
      }
      object.is_executable = mapping.file == finder.executable_file();
      object.is_loader = mapping.file == finder.loader_file();
      object.begin = mapping.address;
      object.end = mapping.address + mapping.size_bytes;
      object.bias = BiasOf(object, mapping, evidence.exec);
      object.first_ns = timed.boottime_ns;
      objects.push_back(std::move(object));
      writable.emplace_back();
    }
    LoadedObject& object = objects[index];
    object.has_code |= (mapping.prot & PROT_EXEC) != 0;
    std::optional<uint64_t>& written = writable[index];
    const std::optional<uint64_t> relro = RelroBegin(object, written);
    const bool holds_relro =
        relro && *relro >= mapping.address && *relro - mapping.address < mapping.size_bytes;
    if ((mapping.prot & PROT_WRITE) != 0) {
      if (!written) written = mapping.address;
    } else if (written && holds_relro && !object.relro_ns) {
      object.relro_ns = timed.boottime_ns;
      continue;
    }
    if (object.relro_ns) continue;
    object.end = std::max(object.end, mapping.address + mapping.size_bytes);
    object.mapped_ns = timed.boottime_ns;
  }
  std::erase_if(objects, [](const LoadedObject& object) {
    return !object.has_code && !object.is_executable && !object.is_loader;
  });
  return objects;
}

}  // namespace startscope
