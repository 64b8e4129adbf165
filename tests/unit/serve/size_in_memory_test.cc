// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/serve/size_in_memory.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

namespace {

// The witness: what this program's own allocations take.
std::atomic<size_t> allocated{0};

}  // namespace

[[gnu::noinline]] void* operator new(size_t size) {
  void* const at = std::malloc(size);
  if (at == nullptr) std::abort();
  allocated += malloc_usable_size(at) + sizeof(size_t);
  return at;
}
[[gnu::noinline]] void operator delete(void* at) noexcept {
  if (at != nullptr) allocated -= malloc_usable_size(at) + sizeof(size_t);
  std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, size_t) noexcept { operator delete(at); }

namespace startscope {
namespace {

std::string Long(const char* what) { return std::string(100, '/') + what; }

// Something in every place that owns memory.
Startup MakeStartup() {
  Startup startup;
  startup.startup_id = Long("id");
  startup.process.comm = Long("comm");
  startup.process.executable = Long("exe");
  startup.process.filename = Long("file");
  startup.process.interpreter = Long("interpreter");
  startup.process.argv = {Long("a"), "b"};
  startup.runtime.evidence = Long("evidence");
  startup.runtime.libc_version = Long("version");
  startup.phases.resize(7);
  startup.phases[2].sub_marks.resize(3);
  startup.phases[2].sub_marks[1].name = Long("mark");
  startup.phases[2].blame.resize(2);
  startup.phases[2].blame[1].object = Long("object");
  startup.milestones.resize(2);
  startup.objects.resize(60);
  for (MappedObject& object : startup.objects) {
    object.path = Long("libx.so");
    object.needed_by = {Long("liby.so"), "z"};
    object.segments.resize(5);
    object.pages.resize(20);
    object.init_calls.resize(2);
    object.init_calls[0].symbol = Long("symbol");
    object.init_calls[0].unit = Long("unit");
    object.search_misses.resize(1);
    object.search_misses[0].directory = Long("directory");
  }
  startup.degradations.resize(1);
  startup.degradations[0].detail = Long("detail");
  startup.blame.resize(4);
  startup.temperature_evidence = Long("evidence");
  startup.storage.emplace().files.resize(2);
  startup.storage->files[0].path = Long("file");
  startup.syscalls.emplace().totals.resize(30);
  startup.syscalls->searches.resize(2);
  startup.syscalls->searches[0].name = Long("name");
  startup.syscalls->searches[0].directory = Long("directory");
  startup.timeline.emplace().entries.resize(1000);
  startup.timeline->entries[5].entry = SubMark{.name = Long("mark")};
  startup.timeline->objects.resize(3);
  startup.timeline->objects[0].path = Long("path");
  startup.timeline->symbols = {Long("symbol")};
  startup.threads.resize(9);
  return startup;
}

template <typename T>
void ExpectItsSize(const T& like) {
  const size_t before = allocated;
  const auto copy = std::make_unique<const T>(like);
  const size_t taken = allocated - before;
  EXPECT_NEAR(static_cast<double>(SizeInMemory(*copy)), static_cast<double>(taken), taken * 0.1);
}

TEST(SizeInMemoryTest, OfAStartupIsWhatIsAllocatedForIt) {
  ExpectItsSize(MakeStartup());
  ExpectItsSize(Startup{});
}

TEST(SizeInMemoryTest, EachPartOfAStartupCounts) {
  const size_t whole = SizeInMemory(MakeStartup());
  const auto without = [&](void (*clear)(Startup*)) {
    Startup startup = MakeStartup();
    clear(&startup);
    return SizeInMemory(startup);
  };
  EXPECT_LT(without([](Startup* s) { s->process = {}; }), whole);
  EXPECT_LT(without([](Startup* s) { s->phases = {}; }), whole);
  EXPECT_LT(without([](Startup* s) { s->storage.reset(); }), whole);
  EXPECT_LT(without([](Startup* s) { s->syscalls.reset(); }), whole);
  EXPECT_LT(without([](Startup* s) { s->timeline.reset(); }), whole);
  EXPECT_LT(without([](Startup* s) { s->objects[3] = {}; }), whole);
}

TEST(SizeInMemoryTest, OfOtherItemsToo) {
  const Startup startup = MakeStartup();
  LoaderActivity activity;
  activity.startup_id = Long("id");
  activity.process = startup.process;
  activity.objects = startup.objects;
  activity.requested = Long("lib.so");
  activity.caller_object = Long("caller");
  ExpectItsSize(activity);
  StuckStartup stuck;
  stuck.startup_id = Long("id");
  stuck.process = startup.process;
  stuck.object = Long("object");
  stuck.function = Long("function");
  stuck.wait_channel = Long("channel");
  stuck.system_call = Long("call");
  stuck.file = Long("file");
  ExpectItsSize(stuck);
  ExpectItsSize(startup.phases[2]);
}

}  // namespace
}  // namespace startscope
