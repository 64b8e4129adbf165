// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Frames and messages between daemon and inspector: what goes in comes out, and nothing else does.

#include "daemon/inspect/protocol.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "daemon/decode/image_codec.h"
#include "daemon/inspect/frame.h"

namespace startscope {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> ends;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    left.Reset(ends[0]);
    right.Reset(ends[1]);
  }
  UniqueFd left;
  UniqueFd right;
};

uint64_t In(uint64_t ms) { return MonotonicNs() + ms * 1'000'000; }

InspectQuery SomeQuery() {
  InspectQuery query;
  query.number = 7;
  query.task = InspectTask::kFunctions;
  query.path_label = "/bin/true";
  query.is_library = true;
  query.may_want_debug_file = true;
  query.sizes = {10, 20};
  query.file_offsets = {1, UINT64_MAX};
  return query;
}

TEST(FrameTest, CarriesBytesAndDescriptors) {
  const Pair pair;
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<uint8_t> bytes = {1, 2, 3};
  const std::array<int, 2> descriptors = {file.get(), file.get()};
  ASSERT_TRUE(SendFrame(pair.left.get(), bytes, descriptors, In(1000)).ok());
  const auto frame = ReceiveFrame(pair.right.get(), 3, 2, In(1000));
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->bytes, bytes);
  ASSERT_EQ(frame->descriptors.size(), 2u);
  EXPECT_EQ(fcntl(frame->descriptors[1].get(), F_GETFD), FD_CLOEXEC);
}

TEST(FrameTest, IsAsLargeAsItIsAllowedToBe) {
  const Pair pair;
  const std::vector<uint8_t> bytes(4u << 20, 'x');
  std::thread sender([&] { EXPECT_TRUE(SendFrame(pair.left.get(), bytes, {}, In(20'000)).ok()); });
  const auto frame = ReceiveFrame(pair.right.get(), bytes.size(), 0, In(20'000));
  sender.join();
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->bytes.size(), bytes.size());
}

TEST(FrameTest, LargerThanAllowedIsRefusedBeforeItIsRead) {
  const Pair pair;
  ASSERT_TRUE(SendFrame(pair.left.get(), std::vector<uint8_t>(100), {}, In(1000)).ok());
  EXPECT_EQ(ReceiveFrame(pair.right.get(), 99, 0, In(1000)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(FrameTest, DescriptorsWhereThereMayBeNoneAreRefused) {
  const Pair pair;
  const std::array<int, 1> descriptors = {pair.left.get()};
  ASSERT_TRUE(SendFrame(pair.left.get(), std::vector<uint8_t>(4), descriptors, In(1000)).ok());
  EXPECT_EQ(ReceiveFrame(pair.right.get(), 100, 0, In(1000)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(FrameTest, SilenceEndsAtTheDeadlineAndAnEndAtOnce) {
  Pair pair;
  EXPECT_EQ(ReceiveFrame(pair.right.get(), 100, 0, In(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  const std::vector<uint8_t> more_than_a_buffer(8u << 20);
  EXPECT_EQ(SendFrame(pair.left.get(), more_than_a_buffer, {}, In(20)).code(),
            absl::StatusCode::kDeadlineExceeded);
  pair.left.Reset();
  const auto rest = ReceiveFrame(pair.right.get(), 16u << 20, 0, In(20'000));
  EXPECT_EQ(rest.status().code(), absl::StatusCode::kUnavailable);
}

TEST(ProtocolTest, AQueryComesBackAsItWas) {
  const InspectQuery query = SomeQuery();
  const auto back = DecodeQuery(EncodeQuery(query));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->number, query.number);
  EXPECT_EQ(back->task, query.task);
  EXPECT_EQ(back->path_label, query.path_label);
  EXPECT_EQ(back->is_library, query.is_library);
  EXPECT_EQ(back->may_want_debug_file, query.may_want_debug_file);
  EXPECT_EQ(back->sizes, query.sizes);
  EXPECT_EQ(back->file_offsets, query.file_offsets);
}

TEST(ProtocolTest, AQueryWithoutAFileOrWithTooManyIsNone) {
  InspectQuery query = SomeQuery();
  query.sizes.clear();
  EXPECT_FALSE(DecodeQuery(EncodeQuery(query)).has_value());
  query.sizes.resize(kMaxQueryFiles + 1);
  EXPECT_FALSE(DecodeQuery(EncodeQuery(query)).has_value());
}

TEST(ProtocolTest, EveryKindOfAnswerComesBackAsItWas) {
  InspectAnswer facts;
  facts.number = 3;
  facts.facts.path = "/bin/true";
  facts.facts.libc = Libc::kMusl;
  facts.facts.link.relro = RelroKind::kFull;
  const auto facts_back = DecodeAnswer(EncodeAnswer(facts));
  ASSERT_TRUE(facts_back.has_value());
  EXPECT_EQ(facts_back->facts.path, "/bin/true");
  EXPECT_EQ(facts_back->facts.libc, Libc::kMusl);
  EXPECT_EQ(facts_back->facts.link.relro, RelroKind::kFull);
  InspectAnswer functions;
  functions.kind = AnswerKind::kFunctions;
  functions.functions = {"main", ""};
  EXPECT_EQ(DecodeAnswer(EncodeAnswer(functions)).value().functions, functions.functions);
  InspectAnswer wants;
  wants.kind = AnswerKind::kWantsDebugFile;
  wants.wanted = {"00ff", "name.debug", 5};
  const auto wants_back = DecodeAnswer(EncodeAnswer(wants));
  ASSERT_TRUE(wants_back.has_value());
  EXPECT_EQ(wants_back->wanted.build_id, "00ff");
  EXPECT_EQ(wants_back->wanted.link_name, "name.debug");
  EXPECT_EQ(wants_back->wanted.link_checksum, 5u);
}

TEST(ProtocolTest, NoPartOfAMessageIsAMessage) {
  InspectAnswer answer;
  answer.facts.sites.resize(1);
  answer.facts.sites[0].kind = MarkKind::kMain;
  const std::vector<uint8_t> bytes = EncodeAnswer(answer);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeAnswer({bytes.data(), size}).has_value()) << size;
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(DecodeAnswer(longer).has_value());
}

TEST(ProtocolTest, NumbersThatFitNoFieldAreRefused) {
  ImageFacts facts;
  facts.libc = static_cast<Libc>(200);
  EXPECT_FALSE(DecodeImageFacts(EncodeImageFacts(facts)).has_value());
  facts = {};
  facts.sites.resize(1);
  facts.sites[0].kind = static_cast<MarkKind>(static_cast<int>(MarkKind::kRustStage) + 1);
  EXPECT_FALSE(DecodeImageFacts(EncodeImageFacts(facts)).has_value());
  facts = {};
  std::vector<uint8_t> wide = EncodeImageFacts(facts);
  wide[4] = 1;  // the first field is 32 bits wide
  EXPECT_FALSE(DecodeImageFacts(wide).has_value());
}

TEST(ProtocolTest, RandomChangesDoNoHarm) {
  InspectAnswer answer;
  answer.facts.path = "/bin/true";
  answer.facts.needed = {"libc.so.6"};
  answer.facts.sites.resize(2);
  const std::vector<uint8_t> bytes = EncodeAnswer(answer);
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> changed = bytes;
    for (int i = 0; i < 3; ++i) changed[random() % changed.size()] = static_cast<uint8_t>(random());
    DecodeAnswer(changed);
    DecodeQuery(changed);
    DecodeHello(changed);
  }
}

}  // namespace
}  // namespace startscope
