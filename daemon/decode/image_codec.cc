// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/decode/image_codec.h"

#include <string>

#include "daemon/decode/byte_archive.h"

namespace startscope {
namespace {

// Both directions visit the fields through one function, Visit(), so they cannot disagree.

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
  ByteWriter writer;
  writer(kSymbolsTag);
  VisitSymbols(writer, event);
  return writer.Take();
}

std::optional<SymbolsEvent> DecodeSymbolsEvent(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  uint64_t tag = 0;
  reader(tag);
  if (tag != kSymbolsTag) return std::nullopt;
  SymbolsEvent event;
  VisitSymbols(reader, event);
  if (!reader.complete()) return std::nullopt;
  return event;
}

std::vector<uint8_t> EncodeImageFacts(const ImageFacts& facts) {
  ByteWriter writer;
  Visit(writer, facts);
  return writer.Take();
}

std::optional<ImageFacts> DecodeImageFacts(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  ImageFacts facts;
  Visit(reader, facts);
  if (!reader.complete()) return std::nullopt;
  return facts;
}

std::vector<uint8_t> EncodeImageEvent(const ImageEvent& event) {
  ByteWriter writer;
  VisitEvent(writer, event);
  Visit(writer, *event.facts);
  return writer.Take();
}

std::optional<ImageEvent> DecodeImageEvent(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  ImageEvent event;
  auto facts = std::make_shared<ImageFacts>();
  VisitEvent(reader, event);
  Visit(reader, *facts);
  if (!reader.complete()) return std::nullopt;
  event.facts = std::move(facts);
  return event;
}

}  // namespace startscope
