// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/user_file_systems.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/base/unique_fd.h"

namespace startscope {
namespace {

constexpr char kMounts[] =
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "30 22 0:45 / /srv/a\\040b rw shared:2 master:3 - fuse.sshfs host: rw,user_id=0\n"
    "31 22 0:46 / /srv/data rw - overlay overlay rw,lowerdir=/srv/a\\040b/x:/opt,upperdir=/up\n"
    "32 22 0:47 / /srv/good rw - overlay overlay rw,lowerdir=/srv/a:l/RELATIVE,upperdir=/up\n"
    "33 22 0:48 / /srv/new rw - overlay overlay rw,lowerdir+=/opt,lowerdir+=/srv/a\\040b\n"
    "34 22 0:49 / /host rw - virtiofs host rw\n"
    "35 22 0:50 / /ntfs rw - fuseblk /dev/sda1 rw\n"
    "nonsense\n";

TEST(UserFileSystemsTest, MountsAreRead) {
  const std::vector<Mount> mounts = ParseMounts(kMounts);
  ASSERT_EQ(mounts.size(), 7u);
  EXPECT_EQ(mounts[1].device, "0:45");
  EXPECT_EQ(mounts[1].point, "/srv/a\\040b");
  EXPECT_EQ(mounts[1].type, "fuse.sshfs");
  EXPECT_EQ(FindDevice(mounts, {0, 46, 1})->point, "/srv/data");
  EXPECT_EQ(FindDevice(mounts, {0, 99, 1}), nullptr);
}

TEST(UserFileSystemsTest, FuseIsToldFromWhatTheHostServes) {
  const std::vector<Mount> mounts = ParseMounts(kMounts);
  EXPECT_TRUE(IsFuse(*FindDevice(mounts, {0, 45, 1})));
  EXPECT_TRUE(IsFuse(*FindDevice(mounts, {0, 50, 1})));
  EXPECT_FALSE(IsFuse(*FindDevice(mounts, {0, 49, 1})));
  EXPECT_FALSE(IsFuse(*FindDevice(mounts, {254, 1, 1})));
}

TEST(UserFileSystemsTest, AnOverlayIsNoBetterThanItsLayers) {
  const std::vector<Mount> mounts = ParseMounts(kMounts);
  EXPECT_FALSE(HasOwnLayers(*FindDevice(mounts, {0, 46, 1}), mounts));
  EXPECT_FALSE(HasOwnLayers(*FindDevice(mounts, {0, 48, 1}), mounts));
  EXPECT_TRUE(HasOwnLayers(*FindDevice(mounts, {0, 47, 1}), mounts));
}

TEST(UserFileSystemsTest, AnOverlayOfAnUnknownNamespaceIsNotTrustedUnlessItsFileHasExtents) {
  const FileId nobodys = {0, (1u << 20) - 1, 1};
  const UniqueFd without(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(MayBeFuseBelow(without.get(), nobodys));
  EXPECT_FALSE(MayBeFuseBelow(without.get(), {8, 1, 1}));
}

}  // namespace
}  // namespace startscope
