// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/model/syscall_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace startscope {
namespace {

using ::testing::IsEmpty;

constexpr uint32_t kRead = 0;
constexpr uint32_t kMmap = 9;
constexpr uint32_t kOpenat = 257;

class SyscallLedgerTest : public ::testing::Test {
 protected:
  SyscallLedgerTest() { end_.boottime_ns = 100'000; }

  void Call(uint32_t number, uint64_t from, uint64_t until, int64_t result = 0,
            const std::string& path = "", uint64_t off_cpu_ns = 0) {
    SyscallEvent call;
    call.number = number;
    call.entry_boottime_ns = from;
    call.result = result;
    call.path = path;
    call.off_cpu_ns = off_cpu_ns;
    evidence_.calls.push_back({until, 42, call});
  }

  SyscallUse Sum(size_t max_searches = 100) { return SumSyscalls(evidence_, end_, max_searches); }

  Evidence evidence_;
  End end_;
};

TEST_F(SyscallLedgerTest, NothingGivesNothing) {
  const SyscallUse use = Sum();
  EXPECT_THAT(use.totals, IsEmpty());
  EXPECT_THAT(use.searches, IsEmpty());
}

TEST_F(SyscallLedgerTest, SumsByNumberTheCostliestFirst) {
  Call(kRead, 100, 150, 5, "", 10);
  Call(kMmap, 200, 900, 0x7f0000000000);
  Call(kRead, 1000, 1020, 0, "", 3);
  const SyscallUse use = Sum();
  ASSERT_EQ(use.totals.size(), 2u);
  EXPECT_EQ(use.totals[0].number, kMmap);
  EXPECT_EQ(use.totals[0].duration_ns, 700u);
  EXPECT_EQ(use.totals[0].errors, 0u);
  EXPECT_EQ(use.totals[1].number, kRead);
  EXPECT_EQ(use.totals[1].calls, 2u);
  EXPECT_EQ(use.totals[1].duration_ns, 70u);
  EXPECT_EQ(use.totals[1].off_cpu_ns, 13u);
}

TEST_F(SyscallLedgerTest, ErrorsAreThe4095ResultsBelowZero) {
  for (const int64_t result : {int64_t{-1}, int64_t{-4095}, int64_t{-4096}, INT64_MIN, int64_t{0},
                               int64_t{1}, INT64_MAX}) {
    Call(kMmap, 10, 20, result);
  }
  const SyscallUse use = Sum();
  EXPECT_EQ(use.totals[0].calls, 7u);
  EXPECT_EQ(use.totals[0].errors, 2u);
}

TEST_F(SyscallLedgerTest, OffCpuIsNoMoreThanTheCall) {
  Call(kRead, 100, 150, 0, "", UINT64_MAX);
  EXPECT_EQ(Sum().totals[0].off_cpu_ns, 50u);
}

TEST_F(SyscallLedgerTest, ACallThatReturnsBeforeItBeganTookNoTime) {
  Call(kRead, 150, 100, 0, "", 5);
  const SyscallUse use = Sum();
  EXPECT_EQ(use.totals[0].calls, 1u);
  EXPECT_EQ(use.totals[0].duration_ns, 0u);
  EXPECT_EQ(use.totals[0].off_cpu_ns, 0u);
}

TEST_F(SyscallLedgerTest, ACallWhoseEntryWasNotSeenHasNoDuration) {
  Call(kOpenat, 0, 50'000, -2, "/x");
  const SyscallUse use = Sum();
  EXPECT_EQ(use.totals[0].calls, 1u);
  EXPECT_EQ(use.totals[0].duration_ns, 0u);
  EXPECT_EQ(use.searches[0].duration_ns, 0u);
}

TEST_F(SyscallLedgerTest, CallsThatReturnAfterTheEndAreNotOfTheStartup) {
  Call(kRead, 10, end_.boottime_ns);
  Call(kRead, 10, end_.boottime_ns + 1);
  EXPECT_EQ(Sum().totals[0].calls, 1u);
}

TEST_F(SyscallLedgerTest, FailedSearchesByNameAndDirectory) {
  Call(kOpenat, 10, 20, -2, "/a/libx.so");
  Call(kOpenat, 30, 45, -2, "/a/libx.so");
  Call(kOpenat, 50, 51, -2, "/b/libx.so");
  Call(kOpenat, 60, 62, -20, "/libx.so");
  Call(kOpenat, 70, 73, -2, "libx.so");
  Call(kOpenat, 80, 84, -2, "/a/b/");
  const SyscallUse use = Sum();
  ASSERT_EQ(use.searches.size(), 5u);
  EXPECT_EQ(use.searches[0].name, "libx.so");
  EXPECT_EQ(use.searches[0].directory, "/a");
  EXPECT_EQ(use.searches[0].count, 2u);
  EXPECT_EQ(use.searches[0].duration_ns, 25u);
  std::set<std::pair<std::string, std::string>> others;
  for (size_t i = 1; i < use.searches.size(); ++i) {
    others.emplace(use.searches[i].directory, use.searches[i].name);
    EXPECT_EQ(use.searches[i].count, 1u);
  }
  EXPECT_EQ(others, (std::set<std::pair<std::string, std::string>>{
                        {"/b", "libx.so"}, {"/", "libx.so"}, {"", "libx.so"}, {"/a/b", ""}}));
}

TEST_F(SyscallLedgerTest, SearchesBeyondTheBoundAreCounted) {
  for (int i = 0; i < 10; ++i) Call(kOpenat, 10, 20, -2, "/d/" + std::to_string(i));
  Call(kOpenat, 10, 20, -2, "/d/0");  // one that is kept
  const SyscallUse use = Sum(/*max_searches=*/4);
  EXPECT_EQ(use.searches.size(), 4u);
  EXPECT_EQ(use.searches_omitted, 6u);
  EXPECT_EQ(use.searches[0].count, 2u);
  EXPECT_EQ(use.totals[0].calls, 11u);
}

TEST_F(SyscallLedgerTest, CallsThatWereNotKeptAreTold) {
  evidence_.not_kept.calls = 77;
  EXPECT_EQ(Sum().calls_omitted, 77u);
}

}  // namespace
}  // namespace startscope
