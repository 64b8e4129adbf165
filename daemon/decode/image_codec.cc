// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/image_codec.h"

#include <cstring>
#include <string>
#include <type_traits>

namespace startscope {
namespace {

// Both directions visit the fields through one function, Visit(), so they cannot disagree.

class Writer {
 public:
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(const T& value) {
    Put(static_cast<uint64_t>(value));
  }
  void operator()(const std::string& value) {
    Put(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  template <typename T, typename Each>
  void List(const std::vector<T>& values, Each each) {
    Put(values.size());
    for (const T& value : values) each(value);
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  void Put(uint64_t value) {
    uint8_t raw[sizeof(value)];
    std::memcpy(raw, &value, sizeof(value));
    bytes_.insert(bytes_.end(), raw, raw + sizeof(raw));
  }
  std::vector<uint8_t> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(T& value) {
    value = static_cast<T>(Get());
  }
  void operator()(std::string& value) {
    const uint64_t size = Get();
    if (size > bytes_.size()) return Fail();
    value.assign(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
  }
  template <typename T, typename Each>
  void List(std::vector<T>& values, Each each) {
    const uint64_t count = Get();
    // Every element takes at least one 8-byte field.
    if (count > bytes_.size() / sizeof(uint64_t)) return Fail();
    values.resize(count);
    for (T& value : values) each(value);
  }
  [[nodiscard]] bool complete() const { return !failed_ && bytes_.empty(); }

 private:
  void Fail() {
    failed_ = true;
    bytes_ = {};
  }
  uint64_t Get() {
    uint64_t value = 0;
    if (bytes_.size() < sizeof(value)) {
      Fail();
      return 0;
    }
    std::memcpy(&value, bytes_.data(), sizeof(value));
    bytes_ = bytes_.subspan(sizeof(value));
    return value;
  }
  std::span<const uint8_t> bytes_;
  bool failed_ = false;
};

template <typename Archive, typename Site>
void VisitSite(Archive& archive, Site& site) {
  archive(site.kind);
  archive(site.rung);
  archive(site.cost);
  archive(site.file_offset);
  archive(site.address);
  archive(site.skew_bytes);
  archive(site.symbol);
}

template <typename Archive, typename Sizes>
void VisitSizes(Archive& archive, Sizes& sizes) {
  archive(sizes.code);
  archive(sizes.read_only);
  archive(sizes.data);
  archive(sizes.zero);
  archive(sizes.not_loaded);
}

template <typename Archive, typename Link>
void VisitLink(Archive& archive, Link& link) {
  archive(link.known);
  archive(link.file_bytes);
  archive(link.position_independent_executable);
  archive(link.relr);
  archive(link.bind_now);
  archive(link.text_relocations);
  archive(link.prelinked);
  archive(link.sysv_hash);
  archive(link.gnu_hash);
  archive(link.executable_stack);
  archive(link.has_sdt_notes);
  archive(link.relro);
  archive(link.rpath);
  archive(link.runpath);
  archive(link.relocations.relative);
  archive(link.relocations.relr);
  archive(link.relocations.symbol);
  archive(link.relocations.jump_slot);
  archive(link.relocations.ifunc);
  archive(link.relocations.copy);
  archive(link.relocations.tls);
  archive(link.relocations.other);
  archive(link.imported_symbols);
  archive(link.exported_symbols);
  archive(link.table_symbols);
  archive(link.tls_bytes);
  archive(link.constructors);
  archive(link.destructors);
  VisitSizes(archive, link.by_segments);
  VisitSizes(archive, link.by_sections);
  VisitSizes(archive, link.by_symbols);
  archive.List(link.sections, [&](auto& section) {
    archive(section.name);
    archive(section.bytes);
  });
  archive.List(link.disagreements, [&](auto& text) { archive(text); });
}

template <typename Archive, typename Facts>
void Visit(Archive& archive, Facts& facts) {
  archive(facts.file.device_major);
  archive(facts.file.device_minor);
  archive(facts.file.inode);
  archive(facts.size_bytes);
  archive(facts.path);
  archive(facts.kind);
  archive(facts.is_64_bit);
  archive(facts.machine);
  archive(facts.position_independent);
  archive(facts.entry_address);
  archive(facts.phdr_address);
  archive(facts.main_address);
  archive(facts.interpreter);
  archive(facts.build_id);
  archive(facts.soname);
  archive.List(facts.needed, [&](auto& name) { archive(name); });
  archive.List(facts.segments, [&](auto& segment) {
    archive(segment.address);
    archive(segment.memory_bytes);
    archive(segment.file_offset);
    archive(segment.file_bytes);
    archive(segment.readable);
    archive(segment.writable);
    archive(segment.executable);
  });
  archive(facts.relro_address);
  archive(facts.relro_bytes);
  archive(facts.has_symtab);
  archive(facts.debug_file_used);
  archive(facts.libc);
  archive(facts.linkage);
  archive(facts.language);
  archive(facts.libc_version);
  archive(facts.evidence);
  archive.List(facts.sites, [&](auto& site) { VisitSite(archive, site); });
  archive.List(facts.init_functions, [&](auto& function) {
    archive(function.kind);
    archive(function.address);
    archive(function.symbol);
    archive(function.rung);
    archive(function.unit);
    VisitSite(archive, function.site);
  });
  archive(facts.init_functions_omitted);
  VisitLink(archive, facts.link);
  archive(facts.error);
}

template <typename Archive, typename EventType>
void VisitEvent(Archive& archive, EventType& event) {
  archive(event.image);
  archive(event.attached_marks);
  archive(event.attached_boottime_ns);
  archive(event.attach_error);
  archive(event.forgotten);
}

// First word of a symbols record; an image record begins with a 32-bit number there.
constexpr uint64_t kSymbolsTag = 0x736c6f626d7973ull << 8;

template <typename Archive, typename EventType>
void VisitSymbols(Archive& archive, EventType& event) {
  archive(event.file.device_major);
  archive(event.file.device_minor);
  archive(event.file.inode);
  archive.List(event.symbols, [&](auto& symbol) {
    archive(symbol.file_offset);
    archive(symbol.name);
  });
}

}  // namespace

std::vector<uint8_t> EncodeSymbolsEvent(const SymbolsEvent& event) {
  Writer writer;
  writer(kSymbolsTag);
  VisitSymbols(writer, event);
  return writer.Take();
}

std::optional<SymbolsEvent> DecodeSymbolsEvent(std::span<const uint8_t> bytes) {
  Reader reader(bytes);
  uint64_t tag = 0;
  reader(tag);
  if (tag != kSymbolsTag) return std::nullopt;
  SymbolsEvent event;
  VisitSymbols(reader, event);
  if (!reader.complete()) return std::nullopt;
  return event;
}

std::vector<uint8_t> EncodeImageEvent(const ImageEvent& event) {
  Writer writer;
  VisitEvent(writer, event);
  Visit(writer, *event.facts);
  return writer.Take();
}

std::optional<ImageEvent> DecodeImageEvent(std::span<const uint8_t> bytes) {
  Reader reader(bytes);
  ImageEvent event;
  auto facts = std::make_shared<ImageFacts>();
  VisitEvent(reader, event);
  Visit(reader, *facts);
  if (!reader.complete()) return std::nullopt;
  event.facts = std::move(facts);
  return event;
}

}  // namespace startscope
