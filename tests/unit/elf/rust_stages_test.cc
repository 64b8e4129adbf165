// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/elf/rust_stages.h"

#include "tests/unit/elf/elf_testing.h"

namespace startscope {
namespace {

TEST(RustFunctionPathTest, ReadsTheLegacyMangling) {
  EXPECT_EQ(RustFunctionPath("_ZN3std2rt4init17hea82ad39adf508cdE"), "std::rt::init");
  EXPECT_EQ(RustFunctionPath("_ZN3std3sys4unix14stack_overflow3imp4init17h86c369083ba6e970E.llvm."
                             "17321650172939032598"),
            "std::sys::unix::stack_overflow::imp::init");
}

TEST(RustFunctionPathTest, ReadsTheV0Mangling) {
  EXPECT_EQ(RustFunctionPath("_RNvNtCsjrHSEGnQ3l9_3std2rt19lang_start_internal"),
            "std::rt::lang_start_internal");
  EXPECT_EQ(RustFunctionPath("_RNvNtNtNtNtNtCsjrHSEGnQ3l9_3std3sys3pal4unix14stack_overflow3imp12"
                             "make_handler"),
            "std::sys::pal::unix::stack_overflow::imp::make_handler");
  EXPECT_EQ(RustFunctionPath("_RNvC5crate4main"), "crate::main");
  EXPECT_EQ(RustFunctionPath("_RNvC5crate5__run"), std::nullopt);
  EXPECT_EQ(RustFunctionPath("_RNvC5crate5___run"), "crate::__run");
}

TEST(RustFunctionPathTest, LeavesEverythingElseAlone) {
  for (const char* name :
       {"main", "", "_R", "_RNv", "_RNvNt", "_RNvNtCs", "_RNvNtCsjrHSEGnQ3l9_3std",
        "_RNvNtCsjrHSEGnQ3l9_3std99rt4init", "_ZN3std", "_ZN", "_ZNE", "_ZN3std2rt4initE",
        "_ZN3std2rt19lang_start_internal28_$u7b$$u7b$closure$u7d$$u7d$17h6096b9830665b994E",
        "_RNCNCNCNvNtCsjrHSEGnQ3l9_3std2rt19lang_start_internal00s_0B9_",
        "_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeuEB4_", "_ZN99999999999999999999std2rtE"}) {
    EXPECT_EQ(RustFunctionPath(name), std::nullopt) << name;
  }
}

class RustStagesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RustStagesTest, AreMarkedWhereReadelfHasTheirFunctions) {
  const std::string path = Sample(GetParam());
  const ImageFacts facts = Inspect(path);
  size_t stages = 0;
  for (const InitFunction& function : facts.init_functions) {
    if (function.kind != InitKind::kRuntimeStage) continue;
    ++stages;
    EXPECT_EQ(function.unit.substr(0, 7), "std::rt") << function.symbol;
    EXPECT_EQ(function.site.kind, MarkKind::kRustStage);
    EXPECT_EQ(function.site.cost, StepCost::kEmulated) << function.symbol;
    const auto symbol = ReadelfSymbol(path, function.symbol);
    ASSERT_TRUE(symbol) << function.symbol;
    EXPECT_EQ(function.address, symbol->address);
    EXPECT_EQ(function.site.address, symbol->address + function.site.skew_bytes);
  }
  EXPECT_GE(stages, 1u);
}

INSTANTIATE_TEST_SUITE_P(Builds, RustStagesTest,
                         ::testing::Values("rust_opt_0", "rust_opt_2", "rust_static",
                                           "rust_static_pie"));

TEST(RustStagesFactsTest, NoSymbolsNoStages) {
  for (const InitFunction& function : Inspect(Sample("rust_opt_2_stripped")).init_functions) {
    EXPECT_NE(function.kind, InitKind::kRuntimeStage);
  }
}

TEST(RustStagesFactsTest, ALibraryOfRustInACProgramIsNoRuntime) {
  for (const InitFunction& function : Inspect(Sample("c_with_rust")).init_functions) {
    EXPECT_NE(function.kind, InitKind::kRuntimeStage);
  }
}

}  // namespace
}  // namespace startscope
