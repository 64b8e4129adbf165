// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/render/text_link.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/render/load_cost_text.h"
#include "client/render/load_graph.h"
#include "client/render/names.h"
#include "client/render/object_name.h"
#include "client/render/table.h"
#include "client/render/text_sanitizer.h"
#include "client/render/text_startup.h"
#include "client/render/units.h"

namespace startscope {
namespace {

using startscope::v1::LinkFacts;
using startscope::v1::MappedObject;
using startscope::v1::RelocationCounts;
using startscope::v1::SizeView;
using startscope::v1::Startup;

constexpr int kIndent = 2;
constexpr int kMaxSections = 4;
constexpr int kMaxDisagreements = 8;

std::string TypeOf(const MappedObject& object) {
  if (object.kind() == startscope::v1::OBJECT_KIND_EXECUTABLE) {
    return object.link().position_independent_executable() ? "PIE" : "fixed-address executable";
  }
  return object.link().position_independent_executable() ? "shared object, can be executed"
                                                         : "shared object";
}

std::string Linked(const MappedObject& object, const TerminalStyle& terminal) {
  const LinkFacts& link = object.link();
  std::vector<std::string> items = {TypeOf(object)};
  const bool dynamic = link.gnu_hash() || link.sysv_hash() || object.needed_size() > 0;
  if (const std::string relro = RelroName(link.relro()); !relro.empty()) {
    items.push_back("RELRO " + relro);
  }
  if (dynamic) {
    items.push_back(link.bind_now() ? "BIND_NOW" : "lazy binding");
    items.push_back(link.relr() ? "RELR" : "no RELR");
    items.push_back(link.gnu_hash() && link.sysv_hash() ? "GNU and SysV hash"
                    : link.gnu_hash()                   ? "GNU hash"
                    : link.sysv_hash()                  ? "SysV hash only"
                                                        : "no hash table");
    items.push_back(absl::StrCat("needs ", object.needed_size()));
  }
  if (link.text_relocations()) items.push_back("text relocations");
  if (link.prelinked()) items.push_back("prelinked");
  if (link.executable_stack()) items.push_back("executable stack");
  if (link.has_sdt_notes()) items.push_back("SDT notes");
  for (const auto& [name, path] :
       {std::pair("RPATH ", link.rpath()), std::pair("RUNPATH ", link.runpath())}) {
    if (!path.empty()) items.push_back(name + SanitizeText(path, terminal.utf8));
  }
  return RenderItems("linked", items, terminal);
}

// The figures that are not 0, in the order given; "none" without any.
std::string Counts(const char* label, const std::vector<std::pair<const char*, uint64_t>>& counts,
                   const std::string& cost, const TerminalStyle& terminal) {
  std::vector<std::string> items;
  for (const auto& [name, count] : counts) {
    if (count != 0) items.push_back(absl::StrCat(name, " ", count));
  }
  if (items.empty()) items.push_back("none");
  if (!cost.empty()) items.push_back(cost);
  return RenderItems(label, items, terminal);
}

std::string Took(bool measured, uint64_t time_ns, startscope::v1::BoundarySource source,
                 const TerminalStyle& terminal) {
  std::optional<uint64_t> time;
  if (measured) time = time_ns;
  return "took " + CostText(time, IsIndirect(source), terminal);
}

std::string Relocations(const MappedObject& object, const TerminalStyle& terminal) {
  const RelocationCounts& counts = object.link().relocations();
  std::string took = Took(object.has_relocation_ns(), object.relocation_ns(),
                          object.relocation_source(), terminal);
  if (object.has_pages_dirtied()) {
    absl::StrAppend(&took, ", copied ", FormatCount(object.pages_dirtied(), "page"));
  }
  return Counts("relocations",
                {{"relative", counts.relative()},
                 {"RELR", counts.relr()},
                 {"symbol", counts.symbol()},
                 {"PLT", counts.jump_slot()},
                 {"ifunc", counts.ifunc()},
                 {"copy", counts.copy()},
                 {"TLS", counts.tls()},
                 {"other", counts.other()}},
                took, terminal);
}

std::string Sizes(const LinkFacts& link, const TerminalStyle& terminal) {
  Table table({{"bytes"},
               {"code", Align::kRight},
               {"rodata", Align::kRight},
               {"data", Align::kRight},
               {"bss", Align::kRight},
               {"unmapped", Align::kRight}},
              kIndent);
  const auto add = [&](const char* name, bool known, const SizeView& view) {
    // A table that the file has not says nothing, and not 0. Symbols are of what is mapped.
    const auto bytes = [&](uint64_t value, bool told) {
      return known && told ? FormatBytes(value) : terminal.glyphs.unmeasured;
    };
    const bool any = view.code() + view.read_only() + view.data() + view.zero() > 0;
    table.AddRow({name, bytes(view.code(), any), bytes(view.read_only(), any),
                  bytes(view.data(), any), bytes(view.zero(), any),
                  bytes(view.not_loaded(), any && &view != &link.by_symbols())});
  };
  add("segments", link.has_by_segments(), link.by_segments());
  add("sections", link.has_by_sections(), link.by_sections());
  add("symbols", link.has_by_symbols(), link.by_symbols());
  std::string text = table.Render(terminal);
  std::vector<std::string> items;
  if (link.file_bytes() != 0) items.push_back(FormatBytes(link.file_bytes()) + " in all");
  for (int i = 0; i < std::min(link.sections_size(), kMaxSections); ++i) {
    items.push_back(absl::StrCat(SanitizeText(link.sections(i).name(), terminal.utf8), " ",
                                 FormatBytes(link.sections(i).bytes())));
  }
  if (!items.empty()) text += RenderItems("file", items, terminal);
  for (int i = 0; i < std::min(link.disagreements_size(), kMaxDisagreements); ++i) {
    text +=
        RenderWords("sizes disagree", SanitizeText(link.disagreements(i), terminal.utf8), terminal);
  }
  if (link.disagreements_size() > kMaxDisagreements) {
    text += RenderWords("sizes disagree",
                        absl::StrCat(link.disagreements_size() - kMaxDisagreements, " times more"),
                        terminal);
  }
  return text;
}

std::string Touched(const MappedObject& object, const TerminalStyle& terminal) {
  const auto pages = [&](bool has, uint64_t value) {
    return has ? absl::StrCat(value) : terminal.glyphs.unmeasured;
  };
  std::string item =
      absl::StrCat(pages(object.has_pages_touched(), object.pages_touched()), " of ",
                   pages(object.has_pages_mapped(), object.pages_mapped()), " pages");
  if (object.has_pages_touched() && object.has_pages_mapped()) {
    absl::StrAppend(&item, " (", FormatShare(object.pages_touched(), object.pages_mapped()), ")");
  }
  return RenderItems(
      "touched",
      {item, FaultPair(true, object.minor_faults(), true, object.major_faults(), terminal.glyphs) +
                 " faults"},
      terminal);
}

}  // namespace

std::string RenderLinkFacts(const Startup& startup, const TerminalStyle& terminal) {
  const LoadGraph graph = LoadGraph::Of(startup.objects(), terminal.utf8);
  if (graph.nodes.empty()) {
    return RenderItems("linked", {"no objects are known: measure at level objects or above"},
                       terminal);
  }
  std::string text;
  for (const LoadNode& node : graph.nodes) {
    const MappedObject& object = *node.object;
    const LinkFacts& link = object.link();
    absl::StrAppend(&text, Styled(ObjectName(object, terminal.utf8), TextStyle::kBold, terminal),
                    "\n");
    text += RenderItems("cost", CostItems(node.own, terminal), terminal);
    text += Touched(object, terminal);
    if (!object.has_link()) {
      text += RenderItems("linked",
                          {terminal.glyphs.unmeasured + std::string(" (the file was not read)")},
                          terminal);
      continue;
    }
    text += Linked(object, terminal);
    text += Relocations(object, terminal);
    text += Counts("functions",
                   {{"constructors", link.constructors()}, {"destructors", link.destructors()}},
                   Took(object.has_constructor_ns(), object.constructor_ns(),
                        object.constructor_source(), terminal),
                   terminal);
    text += Counts("symbols",
                   {{"imported", link.imported_symbols()},
                    {"exported", link.exported_symbols()},
                    {"in .symtab", link.table_symbols()},
                    {"TLS bytes", link.tls_bytes()}},
                   link.table_symbols() == 0 ? "stripped" : "", terminal);
    text += Sizes(link, terminal);
  }
  return text + RenderIndirectLegend(startup.objects(), terminal);
}

}  // namespace startscope
