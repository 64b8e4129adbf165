// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What runs before main, against the tables as objdump and readelf show them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

std::vector<const InitFunction*> OfKind(const ImageFacts& facts, InitKind kind) {
  std::vector<const InitFunction*> found;
  for (const InitFunction& function : facts.init_functions) {
    if (function.kind == kind) found.push_back(&function);
  }
  return found;
}

// Number of words in a table, from the dynamic section or the section headers.
uint64_t WordsByReadelf(const std::string& path, const std::string& tag,
                        const std::string& section) {
  std::istringstream dynamic(Output("readelf -dW " + path));
  std::string line;
  bool any = false;
  while (std::getline(dynamic, line)) {
    any |= line.find("(STRTAB)") != std::string::npos;
    const size_t at = line.find("(" + tag + "SZ)");
    if (at == std::string::npos) continue;
    return std::stoull(line.substr(line.find(')') + 1)) / 8;
  }
  if (any) return 0;
  std::istringstream sections(Output("readelf -SW " + path));
  while (std::getline(sections, line)) {
    const size_t at = line.find(" " + section + " ");
    if (at == std::string::npos) continue;
    std::istringstream fields(line.substr(at));
    std::string name, type, address, offset, size;
    fields >> name >> type >> address >> offset >> size;
    return std::stoull(size, nullptr, 16) / 8;
  }
  return 0;
}

class InitFunctionsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(InitFunctionsTest, AreAsManyAsTheTablesHave) {
  const ImageFacts facts = Inspect(GetParam());
  const uint64_t omitted = facts.language == Language::kGo ? 0 : facts.init_functions_omitted;
  EXPECT_EQ(OfKind(facts, InitKind::kInitArray).size() + omitted,
            WordsByReadelf(GetParam(), "INIT_ARRAY", ".init_array"));
  if (facts.kind == ImageKind::kExecutable && facts.libc != Libc::kMusl) {
    EXPECT_EQ(OfKind(facts, InitKind::kPreinitArray).size(),
              WordsByReadelf(GetParam(), "PREINIT_ARRAY", ".preinit_array"));
  }
  if (facts.language == Language::kGo) return;  // it has init functions that no table lists
  const size_t stages = OfKind(facts, InitKind::kRuntimeStage).size();
  EXPECT_EQ(facts.link.constructors + stages,
            facts.init_functions.size() + facts.init_functions_omitted);
}

TEST_P(InitFunctionsTest, LieWhereInstructionsBegin) {
  const ImageFacts facts = Inspect(GetParam());
  int checked = 0;
  for (const InitFunction& function : facts.init_functions) {
    EXPECT_NE(function.address, 0u);
    if (function.kind == InitKind::kGoPackage) continue;
    if (function.site.kind == MarkKind::kNone || ++checked > 8) continue;
    EXPECT_EQ(function.site.kind, function.kind == InitKind::kRuntimeStage
                                      ? MarkKind::kRustStage
                                      : MarkKind::kInitFunction);
    EXPECT_EQ(function.site.address, function.address + function.site.skew_bytes);
    std::ostringstream range;
    range << "objdump -d --no-show-raw-insn --start-address=" << function.address
          << " --stop-address=" << function.site.address + 1 << " " << GetParam();
    std::ostringstream address;
    address << std::hex << function.site.address << ":\t";
    EXPECT_NE(Output(range.str()).find(address.str()), std::string::npos) << range.str();
  }
}

TEST_P(InitFunctionsTest, AreNamedAsReadelfNamesThem) {
  const ImageFacts facts = Inspect(GetParam(), /*debug_files=*/false);
  if (facts.init_functions.empty()) return;
  std::multiset<std::pair<uint64_t, std::string>> symbols;
  std::set<uint64_t> named;
  std::istringstream lines(Output("readelf -sW " + GetParam() + " 2>/dev/null"));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string index, value, size, type, bind, visibility, section, name;
    fields >> index >> value >> size >> type >> bind >> visibility >> section >> name;
    if ((type != "FUNC" && type != "NOTYPE") || section == "UND" || name.empty()) continue;
    const uint64_t address = std::stoull(value, nullptr, 16);
    symbols.emplace(address, name.substr(0, name.find('@')));
    named.insert(address);
  }
  for (const InitFunction& function : facts.init_functions) {
    if (function.kind == InitKind::kGoPackage) continue;
    EXPECT_EQ(function.symbol.empty(), !named.contains(function.address)) << function.symbol;
    if (function.symbol.empty()) continue;
    EXPECT_TRUE(symbols.contains({function.address, function.symbol})) << function.symbol;
  }
}

std::string NameOf(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param.substr(info.param.rfind('/') + 1);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, InitFunctionsTest, ::testing::ValuesIn(ManyFiles()), NameOf);

struct Expected {
  InitKind kind;
  std::string symbol;
  std::string unit;
};

// Of the array those with a priority first, then what the compiler's own files put first, then
// those of the source in its order.
TEST(InitOrderTest, IsThatOfTheCalls) {
  for (const char* sample : {"linked_pie", "linked_relr", "linked_copy", "linked_static",
                             "linked_static_pie", "linked_gold"}) {
    const ImageFacts facts = Inspect(Sample(sample));
    const std::vector<Expected> expected = {
        {InitKind::kPreinitArray, "_ZN12_GLOBAL__N_19BeforeAllEiPPcS1_", "linked.cc"},
        {InitKind::kInit, "_init", ""},
        {InitKind::kInitArray, "ExportedConstructor", ""},
        {InitKind::kInitArray, "frame_dummy", "crtstuff.c"},
        {InitKind::kInitArray, "_ZN12_GLOBAL__N_112ConstructInCEv", "linked.cc"},
        {InitKind::kInitArray, "_GLOBAL__sub_I_shared_count", "linked.cc"},
    };
    ASSERT_EQ(facts.init_functions.size(), expected.size()) << sample;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(facts.init_functions[i].kind, expected[i].kind) << sample << i;
      EXPECT_EQ(facts.init_functions[i].symbol, expected[i].symbol) << sample << i;
      EXPECT_EQ(facts.init_functions[i].unit, expected[i].unit) << sample << i;
      EXPECT_EQ(facts.init_functions[i].rung, SiteRung::kSymtab) << sample << i;
    }
  }
}

TEST(InitOrderTest, AStrippedFileHasTheSameFunctionsWithoutNames) {
  for (const char* sample : {"linked_pie", "linked_relr", "linked_static_pie", "linked_static"}) {
    const ImageFacts whole = Inspect(Sample(sample));
    const ImageFacts stripped = Inspect(Sample(std::string(sample) + "_stripped"));
    ASSERT_EQ(whole.init_functions.size(), stripped.init_functions.size()) << sample;
    for (size_t i = 0; i < whole.init_functions.size(); ++i) {
      EXPECT_EQ(whole.init_functions[i].address, stripped.init_functions[i].address);
      EXPECT_EQ(whole.init_functions[i].site.address, stripped.init_functions[i].site.address);
    }
    EXPECT_EQ(stripped.init_functions[1].symbol, "");
    EXPECT_EQ(stripped.init_functions[1].rung, SiteRung::kElfEntry);
  }
}

TEST(InitOrderTest, ALibrarysExportedConstructorIsNamedByItsDynamicSymbol) {
  const ImageFacts facts = InspectLibrary(Sample("linked_library.so_stripped"));
  const auto found =
      std::find_if(facts.init_functions.begin(), facts.init_functions.end(),
                   [](const InitFunction& one) { return one.symbol == "ExportedConstructor"; });
  ASSERT_NE(found, facts.init_functions.end());
  EXPECT_EQ(found->rung, SiteRung::kDynsym);
}

// The loaders run it for the executable alone.
TEST(InitOrderTest, MuslRunsNoPreinitArray) {
  for (const InitFunction& function : Inspect(Sample("musl_static_pie")).init_functions) {
    EXPECT_NE(function.kind, InitKind::kPreinitArray);
  }
}

}  // namespace
}  // namespace startscope
