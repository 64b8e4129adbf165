// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/go_init.h"

#include <map>
#include <set>

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

TEST(GoInitPackageTest, TellsAPackageFromItsSymbol) {
  EXPECT_EQ(GoInitPackage("main.init"), "main");
  EXPECT_EQ(GoInitPackage("os.init.1"), "os");
  EXPECT_EQ(GoInitPackage("vendor/golang.org/x/net/idna.init.12"), "vendor/golang.org/x/net/idna");
}

TEST(GoInitPackageTest, UnescapesImportPaths) {
  EXPECT_EQ(GoInitPackage("gopkg.in/yaml%2ev3.init.0"), "gopkg.in/yaml.v3");
  EXPECT_EQ(GoInitPackage("a/b%2.init"), "a/b%2");
  EXPECT_EQ(GoInitPackage("a/b%zz.init"), "a/b%zz");
}

TEST(GoInitPackageTest, LeavesAllOtherFunctionsAlone) {
  for (const char* name :
       {"main.main", "main.initialise", "main.init.0.func1", "main.init.func1", "runtime.(*p).init",
        "main.T.init", "net/http.map.init.0", "main.init.", "main.init.x1", "init", ".init", "",
        "main..inittask", "_cgo_init", "main.F[a/b].init"}) {
    EXPECT_EQ(GoInitPackage(name), std::nullopt) << name;
  }
}

TEST(GoInitPackageTest, DoesNotTrustANameThatMayBeCut) {
  const std::string package(300, 'a');
  EXPECT_EQ(GoInitPackage(package + ".init"), std::nullopt);
}

// Begins of functions by symbol, as readelf has them.
std::map<std::string, uint64_t> ReadelfInits(const std::string& path) {
  std::map<std::string, uint64_t> inits;
  std::istringstream lines(Output("readelf -sW " + path));
  std::string index, value, size, type, bind, visibility, section, symbol, line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    fields >> index >> value >> size >> type >> bind >> visibility >> section >> symbol;
    if (type == "FUNC" && GoInitPackage(symbol)) inits[symbol] = std::stoull(value, nullptr, 16);
  }
  return inits;
}

class GoInitTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoInitTest, ListsEveryPackageInitialiserThatReadelfShows) {
  const std::string name = GetParam();
  const std::map<std::string, uint64_t> expected = ReadelfInits(Program(name));
  ASSERT_GT(expected.size(), 10u);
  for (const std::string& variant : {name, name + "_stripped"}) {
    const ImageFacts facts = Inspect(Program(variant));
    std::map<std::string, uint64_t> found;
    for (const InitFunction& init : facts.init_functions) {
      if (init.kind != InitKind::kGoPackage) continue;
      found[init.symbol] = init.address;
      EXPECT_EQ(init.rung, variant == name ? SiteRung::kSymtab : SiteRung::kGoTable);
    }
    EXPECT_EQ(found, expected) << variant;
    EXPECT_EQ(facts.init_functions_omitted, 0u);
  }
}

TEST_P(GoInitTest, ProbesNothingThatTheKernelWouldSingleStep) {
  const ImageFacts facts = Inspect(Program(GetParam()));
  size_t without_site = 0;
  for (const InitFunction& init : facts.init_functions) {
    if (init.kind != InitKind::kGoPackage) continue;
    if (init.site.kind == MarkKind::kNone) {
      ++without_site;
      continue;
    }
    EXPECT_EQ(init.site.kind, MarkKind::kInitFunction);
    EXPECT_EQ(init.site.cost, StepCost::kEmulated) << init.symbol;
    EXPECT_EQ(init.site.address, init.address + init.site.skew_bytes) << init.symbol;
    EXPECT_LE(init.site.skew_bytes, 48u);
  }
  EXPECT_LE(without_site, 4u);  // functions that are a bare return
}

TEST_P(GoInitTest, ProbesTheJumpOfTheStackCheck) {
  const std::string path = Program(GetParam());
  const ImageFacts facts = Inspect(path);
  size_t checked = 0;
  for (const InitFunction& init : facts.init_functions) {
    if (init.symbol != "os.init" && init.symbol != "main.init" && init.symbol != "syscall.init") {
      continue;
    }
    const std::string code =
        Output("objdump -d --no-show-raw-insn --disassemble=" + init.symbol + " " + path);
    char address[32];
    std::snprintf(address, sizeof(address), "%lx:", init.site.address);
    const size_t at = code.find(address);
    ASSERT_NE(at, std::string::npos) << init.symbol;
    const std::string instruction = code.substr(at, code.find('\n', at) - at);
    EXPECT_NE(instruction.find("jbe"), std::string::npos) << instruction;
    ++checked;
  }
  EXPECT_GE(checked, 2u);
}

TEST_P(GoInitTest, MarksWhereTheRuntimeIsDoneWithItsOwnPackages) {
  const std::string path = Program(GetParam());
  const ImageFacts facts = Inspect(path);
  const MarkSite* site = Site(facts, MarkKind::kInitEnd);
  ASSERT_NE(site, nullptr);
  char call[32];
  std::snprintf(call, sizeof(call), "%lx:", site->address);
  const std::string code =
      Output("objdump -d --no-show-raw-insn --disassemble=runtime.main " + path);
  const size_t at = code.find(call);
  ASSERT_NE(at, std::string::npos);
  EXPECT_NE(code.substr(at, code.find('\n', at) - at).find("<runtime.gcenable>"),
            std::string::npos);
  EXPECT_EQ(site->cost, StepCost::kEmulated);
}

INSTANTIATE_TEST_SUITE_P(Programs, GoInitTest,
                         ::testing::Values("hello_go", "go_packages", "go_http", "go_cgo"));

TEST(GoInitFactsTest, UnitsAreImportPaths) {
  std::set<std::string> units;
  for (const InitFunction& init : Inspect(Program("go_packages_stripped")).init_functions) {
    units.insert(init.unit);
  }
  for (const char* unit : {"main", "os", "runtime", "go_packages/spinner", "go_packages/sleeper",
                           "go_packages/several", "go_packages/dotted.name"}) {
    EXPECT_TRUE(units.contains(unit)) << unit;
  }
}

TEST(GoInitFactsTest, OtherLanguagesHaveNone) {
  for (const InitFunction& init : Inspect(Program("hello_rust")).init_functions) {
    EXPECT_NE(init.kind, InitKind::kGoPackage);
  }
}

}  // namespace
}  // namespace startscope
