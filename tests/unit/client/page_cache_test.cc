// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/page_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace startscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kPage = 4096;
constexpr size_t kPages = 64;

// On a real disk: a file in memory cannot be evicted.
class PageCacheTest : public testing::Test {
 protected:
  PageCacheTest() {
    char name[] = "/var/tmp/startscope-page-cache-XXXXXX";
    const int fd = mkstemp(name);
    path_ = name;
    const std::string page(kPage, 'x');
    for (size_t i = 0; i < kPages; ++i) EXPECT_EQ(write(fd, page.data(), kPage), ssize_t{kPage});
    close(fd);
  }
  ~PageCacheTest() override { unlink(path_.c_str()); }

  // By another way than the code under test when the kernel has cachestat.
  size_t InMemory() const {
    const int fd = open(path_.c_str(), O_RDONLY);
    void* const address = mmap(nullptr, kPages * kPage, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    unsigned char pages[kPages] = {};
    EXPECT_EQ(mincore(address, kPages * kPage, pages), 0);
    munmap(address, kPages * kPage);
    size_t count = 0;
    for (const unsigned char page : pages) count += page & 1;
    return count;
  }

  std::string path_;
};

TEST_F(PageCacheTest, EvictsWhatWasWrittenAMomentAgo) {
  EXPECT_EQ(InMemory(), kPages);
  const auto result = EvictFromPageCache({path_});
  ASSERT_EQ(result.size(), 1u);
  EXPECT_EQ(result[0].error, "");
  EXPECT_EQ(result[0].pages, kPages);
  EXPECT_EQ(result[0].pages_before, kPages);
  EXPECT_EQ(result[0].pages_left, 0u);
  EXPECT_EQ(InMemory(), 0u);
  EXPECT_THAT(DescribeEvictions(result), IsEmpty());
}

TEST_F(PageCacheTest, SaysWhatStaysBecauseItIsMapped) {
  const int fd = open(path_.c_str(), O_RDONLY);
  void* const address = mmap(nullptr, 3 * kPage, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  const auto result = EvictFromPageCache({path_});
  EXPECT_GE(*result[0].pages_left, 3u);
  EXPECT_EQ(InMemory(), *result[0].pages_left);
  const auto lines = DescribeEvictions(result);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr(path_));
  EXPECT_THAT(lines[0], HasSubstr("of 64 pages stay in memory"));
  munmap(address, 3 * kPage);
}

TEST_F(PageCacheTest, FilesThatAreNone) {
  const std::string fifo = path_ + ".fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto result = EvictFromPageCache({"/nonexistent/file", fifo, "/dev/null", "/"});
  EXPECT_THAT(DescribeEvictions(result),
              ElementsAre(HasSubstr("No such file"), HasSubstr("not a regular file"),
                          HasSubstr("not a regular file"), HasSubstr("not a regular file")));
  unlink(fifo.c_str());
}

TEST_F(PageCacheTest, AnEmptyFile) {
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  const auto result = EvictFromPageCache({path_});
  EXPECT_EQ(result[0].pages_left, 0u);
  EXPECT_THAT(DescribeEvictions(result), IsEmpty());
}

TEST(PageCache, ManyRemarksAreCutAndCounted) {
  std::vector<Eviction> evictions(20);
  for (Eviction& one : evictions) {
    one.path = "/lib/\x1b[31m";
    one.pages = 2;
    one.pages_left = 1;
  }
  const auto lines = DescribeEvictions(evictions);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines.back(), "14 other files likewise");
  EXPECT_EQ(lines.front().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace startscope
