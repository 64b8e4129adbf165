// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What is said when a kernel cannot be used; needs no privileges. Loading for real is the integration
// tests' business.

#include "daemon/collect/bpf_object.h"

#include <gtest/gtest.h>

#include "daemon/collect/perf_event.h"

namespace startscope {
namespace {

TEST(BpfObjectTest, WithoutBtfNamesFileCauseAndRemedy) {
  KernelFeatures features;
  features.btf_error = "No such file or directory";
  const auto object = BpfObject::Load(features, {});
  EXPECT_EQ(object.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(object.status().message(),
            "/sys/kernel/btf/vmlinux: No such file or directory (startscope needs a kernel built "
            "with CONFIG_DEBUG_INFO_BTF=y)");
}

TEST(BpfObjectTest, WithoutTaskStorageNamesTheKernelItNeeds) {
  KernelFeatures features;
  features.btf = true;
  features.release = "5.4.0";
  const auto object = BpfObject::Load(features, {});
  EXPECT_EQ(object.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(object.status().message().find("5.4.0"), std::string::npos);
  EXPECT_NE(object.status().message().find("6.1"), std::string::npos);
}

TEST(BpfObjectTest, RefusesToLeaveOutWhatNothingWorksWithout) {
  KernelFeatures features;
  features.btf = true;
  features.task_storage = true;
  BpfObjectOptions options;
  options.unwanted_programs = {"on_process_exec"};
  const auto object = BpfObject::Load(features, options);
  EXPECT_EQ(object.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(KernelFeaturesTest, DescribesEveryFeatureWithWhatItsAbsenceCosts) {
  for (const KernelFeatures::Line& line : KernelFeatures{}.Describe()) {
    EXPECT_FALSE(line.available) << line.name;
    EXPECT_FALSE(line.detail.empty()) << line.name;
  }
}

TEST(PerfEventTest, FindsTheOnlineCpus) {
  const std::vector<int> cpus = OnlineCpus();
  ASSERT_FALSE(cpus.empty());
  EXPECT_EQ(cpus.front(), 0);
}

}  // namespace
}  // namespace startscope
