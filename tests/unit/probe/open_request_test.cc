// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/open_request.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace startscope {
namespace {

TEST(OpenRequestTest, TravelsWhole) {
  OpenRequest request;
  request.how = OpenRequest::How::kExecutableOf;
  request.path = std::string("/a\xff\0b", 5);
  request.viewer = {1, 2, 3};
  request.pid = 4;
  request.expected = {{5, 6, 7}, {8, 9, 10}};
  request.debug_file_of = {11, 0644};
  const std::vector<uint8_t> bytes = EncodeOpen(request);
  const std::optional<OpenRequest> read = DecodeOpen(bytes, {});
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->how, request.how);
  EXPECT_EQ(read->path, request.path);
  EXPECT_EQ(read->viewer.gid, 3u);
  EXPECT_EQ(read->pid, 4u);
  EXPECT_EQ(read->expected.executed, request.expected.executed);
  EXPECT_EQ(read->expected.mapped, request.expected.mapped);
  ASSERT_TRUE(read->debug_file_of.has_value());
  EXPECT_EQ(read->debug_file_of->mode, 0644u);
  EXPECT_EQ(read->root, nullptr);
}

TEST(OpenRequestTest, BytesThatAreNoneAreRefused) {
  std::vector<uint8_t> bytes = EncodeOpen({});
  bytes.pop_back();
  EXPECT_FALSE(DecodeOpen(bytes, {}).has_value());
  bytes = EncodeOpen({});
  bytes[0] = 200;  // no way to open
  EXPECT_FALSE(DecodeOpen(bytes, {}).has_value());
}

TEST(OpenRequestTest, AnOpenedFileTravelsWithTimesBeforeTheEpoch) {
  OpenedFile file;
  file.id = {1, 2, 3};
  file.name = "name";
  file.stamp = {4, 5, 6, -7, -8};
  file.owner = 9;
  file.mode = 0755;
  const std::vector<uint8_t> bytes = EncodeOpened(std::move(file));
  std::vector<UniqueFd> descriptors;
  descriptors.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const absl::StatusOr<OpenedFile> read = DecodeOpened(bytes, std::move(descriptors));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->stamp.modified_ns, -7);
  EXPECT_EQ(read->stamp.changed_ns, -8);
  EXPECT_EQ(read->id.inode, 3u);
  EXPECT_EQ(read->mode, 0755u);
  EXPECT_FALSE(DecodeOpened(bytes, {}).ok());
}

TEST(OpenRequestTest, AnErrorTravelsAsItIs) {
  const absl::Status error = absl::NotFoundError("/x: not there");
  EXPECT_EQ(DecodeOpened(EncodeOpened(error), {}).status(), error);
}

TEST(OpenRequestTest, WhatIsThereAndLocalSurelyAnswers) {
  OpenRequest request;
  request.path = "/bin/sh";
  ASSERT_TRUE(OpenNow(request).ok());  // its name is cached by now
  EXPECT_TRUE(SurelyAnswers(request));
  request.path = "/nonexistent/file";
  EXPECT_FALSE(SurelyAnswers(request));
  request.how = OpenRequest::How::kExecutableOf;
  request.pid = static_cast<uint32_t>(getpid());
  EXPECT_TRUE(SurelyAnswers(request));
  request.how = OpenRequest::How::kBelow;
  request.root = std::make_shared<const UniqueFd>(open("/bin", O_PATH | O_DIRECTORY | O_CLOEXEC));
  request.path = "/sh";
  EXPECT_TRUE(SurelyAnswers(request));
}

}  // namespace
}  // namespace startscope
