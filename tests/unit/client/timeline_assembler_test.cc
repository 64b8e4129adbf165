// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/timeline_assembler.h"

#include <gtest/gtest.h>

namespace startscope {
namespace {

startscope::v1::TimelineChunk Chunk(const std::string& id, uint64_t first, int entries) {
  startscope::v1::TimelineChunk chunk;
  chunk.set_startup_id(id);
  chunk.set_first(first);
  for (int i = 0; i < entries; ++i) chunk.add_entries()->set_offset_ns(first + static_cast<uint64_t>(i));
  return chunk;
}

startscope::v1::Startup Completed(TimelineAssembler* assembler, const std::string& id) {
  startscope::v1::Startup startup;
  startup.set_startup_id(id);
  assembler->Complete(&startup);
  return startup;
}

TEST(TimelineAssembler, PutsChunksOfEachStartupTogether) {
  TimelineAssembler assembler;
  assembler.Add(Chunk("a", 0, 3));
  assembler.Add(Chunk("b", 0, 1));
  assembler.Add(Chunk("a", 3, 2));
  const auto a = Completed(&assembler, "a");
  ASSERT_EQ(a.timeline_size(), 5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(a.timeline(i).offset_ns(), static_cast<uint64_t>(i));
  EXPECT_EQ(Completed(&assembler, "b").timeline_size(), 1);
  EXPECT_EQ(Completed(&assembler, "a").timeline_size(), 0);  // given away
  EXPECT_EQ(assembler.discarded(), 0u);
}

TEST(TimelineAssembler, AStartupWithoutChunksKeepsItsOwnTimeline) {
  TimelineAssembler assembler;
  startscope::v1::Startup startup;
  startup.set_startup_id("a");
  startup.add_timeline();
  assembler.Complete(&startup);
  EXPECT_EQ(startup.timeline_size(), 1);
}

TEST(TimelineAssembler, IsBoundedAndCountsWhatItThrowsAway) {
  TimelineAssembler assembler;
  for (int i = 0; i < 1000; ++i) assembler.Add(Chunk("startup " + std::to_string(i), 0, 2));
  EXPECT_EQ(assembler.discarded(), 2u * (1000 - 64));
}

}  // namespace
}  // namespace startscope
