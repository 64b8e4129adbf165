// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/base/errno_status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace startscope {
namespace {

TEST(ErrnoStatusTest, NamesObjectCauseAndRemedy) {
  const absl::Status status = ErrnoStatus(EPERM, "bpf(BPF_PROG_LOAD)", "run as root");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "bpf(BPF_PROG_LOAD): Operation not permitted (run as root)");
}

TEST(ErrnoStatusTest, LeavesOutAnEmptyRemedy) {
  EXPECT_EQ(ErrnoStatus(ENOENT, "/x").message(), "/x: No such file or directory");
}

}  // namespace
}  // namespace startscope
