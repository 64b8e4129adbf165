// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/rust_stages.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "daemon/elf/function_check.h"
#include "daemon/elf/site_builder.h"

namespace startscope {
namespace {

constexpr size_t kMaxStages = 16;

// library/std/src/rt.rs and sys/…/unix of the respective releases. The names that std's system
// calls go by in the model are the same where they are the same stage.
struct StageRule {
  std::string_view path;
  const char* stage;
};
constexpr std::array kStages = {
    StageRule{"std::rt::init", "std::rt::init"},
    StageRule{"std::sys::unix::init", "std::rt: standard descriptors"},
    StageRule{"std::sys::pal::unix::init", "std::rt: standard descriptors"},
    StageRule{"std::sys::unix::thread::guard::init", "std::rt: stack bounds"},
    StageRule{"std::sys::pal::unix::thread::guard::init", "std::rt: stack bounds"},
    StageRule{"std::sys::unix::stack_overflow::imp::init", "std::rt: stack overflow handler"},
    StageRule{"std::sys::pal::unix::stack_overflow::imp::init", "std::rt: stack overflow handler"},
    StageRule{"std::sys::unix::stack_overflow::imp::make_handler", "std::rt: signal stack"},
    StageRule{"std::sys::pal::unix::stack_overflow::imp::make_handler", "std::rt: signal stack"},
    StageRule{"std::sys::pal::unix::stack_overflow::thread_info::set_current_info",
              "std::rt: thread information"},
    StageRule{"std::thread::Thread::new", "std::rt: thread information"},
    StageRule{"std::sys_common::thread_info::set", "std::rt: thread information"},
};

// One `<length><identifier>` off the front; empty: there is none.
std::string_view TakeIdentifier(std::string_view* text) {
  size_t length = 0;
  size_t at = 0;
  while (at < text->size() && (*text)[at] >= '0' && (*text)[at] <= '9' && length < 4096) {
    length = length * 10 + static_cast<size_t>((*text)[at++] - '0');
  }
  if (at == 0 || length == 0) return {};
  // v0 puts an underscore before an identifier that begins with a digit or an underscore.
  if (at < text->size() && (*text)[at] == '_') ++at;
  if (length > text->size() - at) return {};
  const std::string_view identifier = text->substr(at, length);
  text->remove_prefix(at + length);
  return identifier;
}

bool Take(std::string_view* text, std::string_view prefix) {
  if (text->substr(0, prefix.size()) != prefix) return false;
  text->remove_prefix(prefix.size());
  return true;
}

void Append(std::string_view part, std::string* path) {
  if (!path->empty()) *path += "::";
  *path += part;
}

// `_ZN` identifiers, the last a hash, `E`.
std::optional<std::string> LegacyPath(std::string_view text) {
  constexpr size_t kHashLength = 17;
  std::string path;
  std::string_view last;
  while (!text.empty() && text.front() != 'E') {
    const std::string_view identifier = TakeIdentifier(&text);
    if (identifier.empty() || identifier.find('$') != std::string_view::npos) return std::nullopt;
    if (!last.empty()) Append(last, &path);
    last = identifier;
  }
  if (text.empty() || last.size() != kHashLength || last.front() != 'h') return std::nullopt;
  return path;
}

// `_R`, one `Nv`, an `Nt` for each module around it, the crate and the identifiers in turn.
std::optional<std::string> V0Path(std::string_view text) {
  size_t names = 1;
  while (Take(&text, "Nt")) ++names;
  if (!Take(&text, "C")) return std::nullopt;
  if (Take(&text, "s")) {
    const size_t end = text.find('_');
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  std::string path;
  for (size_t i = 0; i <= names; ++i) {
    const std::string_view identifier = TakeIdentifier(&text);
    if (identifier.empty()) return std::nullopt;
    Append(identifier, &path);
  }
  if (!text.empty() && text.front() != '.') return std::nullopt;
  return path;
}

}  // namespace

std::optional<std::string> RustFunctionPath(std::string_view symbol) {
  if (Take(&symbol, "_ZN")) return LegacyPath(symbol);
  if (Take(&symbol, "_RNv")) return V0Path(symbol);
  return std::nullopt;
}

void FindRustStages(ElfFile* file, ImageFacts* facts) {
  size_t found = 0;
  file->VisitSymbols(SHT_SYMTAB, [&](const ElfSymbol& symbol) {
    if (!symbol.defined || symbol.type != STT_FUNC || found >= kMaxStages) return;
    if (symbol.name.find("3std") == std::string_view::npos) return;
    const std::optional<std::string> path = RustFunctionPath(symbol.name);
    if (!path) return;
    const auto* rule = std::find_if(kStages.begin(), kStages.end(),
                                    [&](const StageRule& one) { return one.path == *path; });
    if (rule == kStages.end() || facts->init_functions.size() >= kMaxInitFunctions) return;
    if (!MayBeginFunction(file, symbol.address)) return;
    const std::optional<ProbePoint> point = FindProbePoint(file, symbol.address);
    if (!point || point->cost != StepCost::kEmulated) return;
    auto site = MakeSite(file, MarkKind::kRustStage, SiteRung::kSymtab, *point, *path);
    if (!site) return;
    InitFunction function;
    function.kind = InitKind::kRuntimeStage;
    function.address = symbol.address;
    function.symbol = std::string(symbol.name);
    function.rung = SiteRung::kSymtab;
    function.unit = rule->stage;
    function.site = *std::move(site);
    facts->init_functions.push_back(std::move(function));
    ++found;
  });
}

}  // namespace startscope
