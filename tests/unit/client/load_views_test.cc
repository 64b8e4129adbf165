// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What was loaded and why, as text people see it: see golden_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/render/load_graph.h"
#include "client/render/load_tree.h"
#include "client/render/load_why.h"
#include "client/render/startup_views.h"
#include "client/render/text_inits.h"
#include "client/render/text_link.h"
#include "client/render/text_startup.h"
#include "tests/unit/client/golden_files.h"

namespace startscope {
namespace {

using startscope::v1::MappedObject;
using startscope::v1::Startup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kEvil[] = "lib\x1b[31mevil\u202e\x07.so";

Startup Deep() { return LoadGolden<Startup>("deep_loading"); }

std::vector<startscope::v1::LoaderEvent> LateOf(const Startup& startup) {
  auto event = LoadGolden<startscope::v1::LoaderEvent>("loader_event");
  event.set_startup_id(startup.startup_id());
  event.mutable_objects(0)->add_needed("libcrypto.so.3");
  event.mutable_objects(0)->add_needed("libc.so.6");
  event.mutable_objects(0)->set_mapping_ns(30'000);
  event.mutable_objects(1)->set_relocation_ns(700'000);
  return {event};
}

std::string Why(const Startup& startup, const std::string& name) {
  const auto text = RenderWhy(startup, name, GoldenWidth(100));
  return text.ok() ? *text : "error: " + std::string(text.status().message());
}

// `count` libraries of which each needs the next two, and all need the last.
Startup ManyLibraries(int count, uint64_t cost_ns) {
  Startup startup;
  startup.set_total_ns(50'000'000);
  for (int i = 0; i < count; ++i) {
    MappedObject* object = startup.add_objects();
    const auto name = [](int number) { return absl::StrCat("lib", number, ".so"); };
    object->set_kind(i == 0 ? startscope::v1::OBJECT_KIND_EXECUTABLE
                            : startscope::v1::OBJECT_KIND_LIBRARY);
    object->set_path("/lib/" + name(i));
    object->set_soname(name(i));
    object->set_load_order(i + 1);
    for (int needed : {2 * i + 1, 2 * i + 2, count - 1}) {
      if (needed < count && needed != i) object->add_needed(name(needed));
    }
    object->set_mapping_ns(i % 3 == 0 ? 200'000 : cost_ns);
    object->set_minor_faults(5);
  }
  return startup;
}

TEST(LoadViews, BreakdownAtLevelFunctions) {
  ExpectGolden("deep_loading", RenderStartup(Deep(), GoldenWidth(100), true));
}

TEST(LoadViews, TreeInLoadOrder) {
  ExpectGolden("deep_loading_tree", RenderLoadTree(Deep(), LateOf(Deep()), GoldenWidth(100)));
}

TEST(LoadViews, TreeOnANarrowTerminal) {
  ExpectGolden("deep_loading_tree_60", RenderLoadTree(Deep(), LateOf(Deep()), GoldenWidth(60)));
}

TEST(LoadViews, TreeOnATerminalWithoutUtf8) {
  const std::string text = RenderLoadTree(Deep(), LateOf(Deep()), GoldenAscii(100));
  ExpectGolden("deep_loading_tree_ascii", text);
  for (const char c : text) EXPECT_LT(static_cast<unsigned char>(c), 0x80u);
}

TEST(LoadViews, WhyALibraryThatTwoNeed) {
  ExpectGolden("deep_loading_why", Why(Deep(), "libimage.so.1") + Why(Deep(), "libjpeg.so.62"));
}

TEST(LoadViews, LinkFactsBesideTheirCosts) {
  ExpectGolden("deep_loading_link", RenderLinkFacts(Deep(), GoldenWidth(100)));
}

TEST(LoadViews, EveryWidthIsKept) {
  Startup startup = Deep();
  startup.mutable_process()->set_executable("/bin/p");
  for (auto& object : *startup.mutable_objects()) {
    if (object.path().size() > 30)
      object.set_path("/lib" + object.path().substr(object.path().rfind('/')));
    for (auto& miss : *object.mutable_search_misses()) miss.set_directory("/opt/lib");
  }
  for (const int width : {60, 72, 80, 84, 100, 120}) {
    const TerminalStyle style = GoldenWidth(width);
    ViewOptions views{.tree = true, .why = "libimage.so.1", .link = true};
    const auto text = RenderViews(startup, views, {}, style);
    ASSERT_TRUE(text.ok());
    ExpectNoLineWiderThan(width, *text);
    ExpectNoLineWiderThan(width, RenderStartup(startup, style, false));
    ExpectNoLineWiderThan(width, RenderLoadTree(ManyLibraries(300, 1000), {}, style));
  }
}

TEST(LoadViews, TwoHundredLibrariesAreOneLineEachOrShared) {
  const std::string text = RenderLoadTree(ManyLibraries(200, 60'000), {}, GoldenWidth(100));
  for (int i = 0; i < 200; ++i) EXPECT_THAT(text, HasSubstr(absl::StrCat("lib", i, ".so")));
  Startup flat = ManyLibraries(1, 1000);
  for (int i = 0; i < 200; ++i) {
    MappedObject* object = flat.add_objects();
    object->set_kind(startscope::v1::OBJECT_KIND_LIBRARY);
    object->set_soname(absl::StrCat("libtiny", i, ".so"));
    object->set_load_order(i + 2);
    object->set_mapping_ns(1000);
    flat.mutable_objects(0)->add_needed(object->soname());
  }
  const std::string folded = RenderLoadTree(flat, {}, GoldenWidth(100));
  EXPECT_THAT(folded, HasSubstr("200 others below 0.1 % each"));
  EXPECT_LT(std::count(folded.begin(), folded.end(), '\n'), 6);
}

TEST(LoadViews, WhatWasNotMeasuredIsNotZero) {
  Startup startup = Deep();
  for (auto& object : *startup.mutable_objects()) {
    object.clear_mapping_ns();
    object.clear_relocation_ns();
    object.clear_constructor_ns();
    object.clear_link();
  }
  const std::string text = RenderLoadTree(startup, {}, GoldenWidth(100)) +
                           RenderLinkFacts(startup, GoldenWidth(100)) +
                           Why(startup, "libimage.so.1");
  EXPECT_THAT(text, HasSubstr("–"));
  EXPECT_THAT(text, Not(HasSubstr(" 0 ns")));
}

TEST(LoadViews, HostileNamesCannotReachTheTerminal) {
  Startup startup = Deep();
  for (auto& object : *startup.mutable_objects()) {
    object.set_path(absl::StrCat("/lib/", kEvil, object.load_order()));
    object.set_soname(kEvil);
    object.add_needed(absl::StrCat(kEvil, "missing"));
    for (auto& call : *object.mutable_init_calls()) {
      call.set_symbol(absl::StrCat("_Z", kEvil));
      call.set_unit(kEvil);
    }
    for (auto& miss : *object.mutable_search_misses()) miss.set_directory(kEvil);
    auto* link = object.mutable_link();
    link->set_runpath(kEvil);
    link->set_rpath(kEvil);
    link->add_disagreements(kEvil);
    link->add_sections()->set_name(kEvil);
  }
  std::vector<startscope::v1::LoaderEvent> late = LateOf(startup);
  late[0].set_requested(kEvil);
  for (auto& object : *late[0].mutable_objects()) object.set_path(kEvil);
  std::string text = RenderStartup(startup, GoldenWidth(100), true) +
                     RenderLoadTree(startup, late, GoldenWidth(100)) +
                     RenderLinkFacts(startup, GoldenWidth(100)) +
                     Why(startup, absl::StrCat("/lib/", kEvil, 3)) + Why(startup, kEvil) +
                     Why(startup, absl::StrCat("/no/", kEvil, "x"));
  for (const char* bad : {"\x1b", "\u202e", "\x07"}) EXPECT_EQ(text.find(bad), std::string::npos);
}

TEST(LoadViews, LibrariesThatNeedEachOtherHaveAnEnd) {
  Startup startup;
  for (int i = 0; i < 3; ++i) {
    MappedObject* object = startup.add_objects();
    object->set_kind(startscope::v1::OBJECT_KIND_LIBRARY);
    object->set_soname(absl::StrCat("lib", i, ".so"));
    for (int j = 0; j < 3; ++j) object->add_needed(absl::StrCat("lib", j, ".so"));
  }
  EXPECT_THAT(RenderLoadTree(startup, {}, GoldenWidth(100)), HasSubstr("lib2.so"));
  EXPECT_THAT(Why(startup, "lib2.so"), HasSubstr("needed through"));
}

TEST(LoadViews, AnObjectGoesWithItsOnlyNeederAndNotBefore) {
  const Startup startup = Deep();
  const LoadGraph graph = LoadGraph::Of(startup.objects(), true);
  const auto at = [&](const std::string& label) -> size_t {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].label == label) return i;
    }
    return SIZE_MAX;
  };
  EXPECT_THAT(graph.OnlyThrough(at("libjpeg.so.62")), ElementsAre(at("libjpeg.so.62")));
  // libtext needs libjpeg too.
  EXPECT_THAT(graph.OnlyThrough(at("libimage.so.1")), ElementsAre(at("libimage.so.1")));
  Startup without = startup;
  for (auto& object : *without.mutable_objects()) {
    if (object.soname() == "libtext.so.2") object.clear_needed();
  }
  const LoadGraph narrower = LoadGraph::Of(without.objects(), true);
  EXPECT_THAT(narrower.OnlyThrough(at("libimage.so.1")),
              ElementsAre(at("libimage.so.1"), at("libjpeg.so.62")));
}

TEST(LoadViews, TheWholeTreeCostsWhatItsObjectsCost) {
  const Startup startup = ManyLibraries(50, 7000);
  const LoadGraph graph = LoadGraph::Of(startup.objects(), true);
  LoadCost sum;
  for (const LoadNode& node : graph.nodes) sum.Add(node.own);
  EXPECT_EQ(graph.nodes[0].subtree.total_ns(), sum.total_ns());
  EXPECT_EQ(graph.nodes[0].subtree.minor_faults, sum.minor_faults);
}

TEST(LoadViews, AGreatManyShortestChainsAreCountedAndNotListed) {
  // 40 layers of two, each of which needs both of the next: 2^40 chains.
  Startup startup;
  const auto add = [&](const std::string& name, int order) {
    MappedObject* object = startup.add_objects();
    object->set_kind(order == 1 ? startscope::v1::OBJECT_KIND_EXECUTABLE
                                : startscope::v1::OBJECT_KIND_LIBRARY);
    object->set_soname(name);
    object->set_load_order(order);
    return object;
  };
  MappedObject* top = add("top", 1);
  top->add_needed("a0");
  top->add_needed("b0");
  for (int layer = 0; layer < 40; ++layer) {
    for (const char* side : {"a", "b"}) {
      MappedObject* object = add(absl::StrCat(side, layer), 2 * layer + (side[0] == 'a' ? 2 : 3));
      object->add_needed(layer == 39 ? "bottom" : absl::StrCat("a", layer + 1));
      if (layer < 39) object->add_needed(absl::StrCat("b", layer + 1));
    }
  }
  add("bottom", 90);
  EXPECT_THAT(Why(startup, "bottom"), HasSubstr("999999992 more chains as short"));
}

TEST(LoadViews, WhyFindsASonameAFileNameAndAPath) {
  for (const char* name : {"libz.so.1", "/usr/lib/x86_64-linux-gnu/libz.so.1"}) {
    EXPECT_THAT(Why(Deep(), name), HasSubstr("number 5 in load order")) << name;
  }
  EXPECT_THAT(Why(Deep(), "libtrick.so"), HasSubstr("preloaded"));
  EXPECT_THAT(Why(Deep(), "viewer"), HasSubstr("it is the program"));
}

TEST(LoadViews, WhyOfAnUnknownNameNamesWhatIsCalledAlike) {
  EXPECT_THAT(Why(Deep(), "libjpg.so"), HasSubstr("did you mean libjpeg.so.62"));
  EXPECT_THAT(Why(Deep(), "imag"), HasSubstr("did you mean libimage.so.1"));
  EXPECT_THAT(Why(Deep(), "qqqqqqqq"), HasSubstr("--tree lists them"));
}

TEST(LoadViews, WhyOfANameThatTwoHaveAsksForThePath) {
  Startup startup = Deep();
  MappedObject* twin = startup.add_objects();
  twin->set_kind(startscope::v1::OBJECT_KIND_LIBRARY);
  twin->set_path("/elsewhere/libz.so.1");
  EXPECT_THAT(Why(startup, "libz.so.1"), HasSubstr("/elsewhere/libz.so.1"));
  EXPECT_THAT(Why(startup, "/elsewhere/libz.so.1"), HasSubstr("not known"));
}

TEST(LoadViews, AStartupWithoutObjectsSaysWhatToDo) {
  EXPECT_THAT(RenderLoadTree(Startup(), {}, GoldenWidth(100)), HasSubstr("level objects"));
  EXPECT_THAT(RenderLinkFacts(Startup(), GoldenWidth(100)), HasSubstr("level objects"));
  EXPECT_THAT(Why(Startup(), "libc.so.6"), HasSubstr("level objects"));
}

}  // namespace
}  // namespace startscope
