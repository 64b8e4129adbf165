// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The opener as the daemon has it: files are opened by processes of their own.

#include "daemon/probe/patient_opener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "daemon/inspect/frame.h"

namespace startscope {
namespace {

// A child that never answers for one path, as where a file system does not.
int ServeAllButOne(int socket, const std::string& silent) {
  while (true) {
    absl::StatusOr<Frame> frame = ReceiveFrame(socket, kMaxOpenBytes, 1, std::nullopt);
    if (!frame.ok()) return 0;
    const std::optional<OpenRequest> request = DecodeOpen(frame->bytes, {});
    if (!request) return 1;
    if (request->path == silent) pause();
    const absl::StatusOr<OpenedFile> file = OpenNow(*request);
    const int number = file.ok() ? file->fd.get() : -1;
    const std::span<const int> descriptors(&number, file.ok() ? 1 : 0);
    if (!SendFrame(socket, EncodeOpened(file), descriptors, std::nullopt).ok()) return 1;
  }
}

OpenRequest Own(const std::string& path) {
  OpenRequest request;
  request.path = path;
  return request;
}

// The last child of a process.
int LastChildOf(int pid) {
  const std::string number = std::to_string(pid);
  std::ifstream children("/proc/" + number + "/task/" + number + "/children");
  int last = 0;
  while (children >> last) {
  }
  return last;
}

TEST(PatientOpenerTest, OpensAsItWouldItself) {
  const auto launcher = StartOpenerLauncher();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(), {});
  const absl::StatusOr<OpenedFile> there = opener.Open(Own("/bin/ls"));
  const absl::StatusOr<OpenedFile> here = OpenOwn("/bin/ls");
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->id, here->id);
  EXPECT_EQ(there->stamp, here->stamp);
  EXPECT_EQ(there->name, here->name);
  char first[4] = {};
  EXPECT_EQ(pread(there->fd.get(), first, sizeof(first), 0), 4);
  EXPECT_EQ(std::string(first, 4),
            "\x7f"
            "ELF");
  EXPECT_TRUE(absl::IsNotFound(opener.Open(Own("/nonexistent")).status()));
  EXPECT_FALSE(opener.Open(Own("/dev/null")).ok());
}

TEST(PatientOpenerTest, OpensBelowARootThatItIsGiven) {
  const auto launcher = StartOpenerLauncher();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(), {});
  OpenRequest request = Own("/ls");
  request.how = OpenRequest::How::kBelow;
  request.root =
      std::make_shared<const UniqueFd>(open("/usr/bin", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const absl::StatusOr<OpenedFile> file = opener.Open(request);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "ls");
}

TEST(PatientOpenerTest, WhatIsOpenedIsKeptFromThoseThatAreExecuted) {
  const auto launcher = StartOpenerLauncher();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(), {});
  const absl::StatusOr<OpenedFile> file = opener.Open(Own("/bin/ls"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_NE(fcntl(file->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(PatientOpenerTest, OneThatDoesNotAnswerIsGivenUpAndTheNextOpens) {
  const auto launcher =
      Launcher::Fork("opener-start", [](int socket) { return ServeAllButOne(socket, "/silent"); });
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(),
                       {.patience = absl::Milliseconds(200), .max_stuck = 2, .max_working = 1});
  for (int i = 0; i < 4; ++i) {
    const absl::Status status = opener.Open(Own("/silent")).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_NE(status.message().find("/silent"), std::string::npos) << status;
    // On a busy machine a new one may be late too.
    absl::Status next;
    do {
      next = opener.Open(Own("/bin/ls")).status();
    } while (absl::IsDeadlineExceeded(next));
    EXPECT_TRUE(next.ok()) << next;
  }
}

TEST(PatientOpenerTest, OneThatIsKilledIsReplaced) {
  const auto launcher = StartOpenerLauncher();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(), {});
  ASSERT_TRUE(opener.Open(Own("/bin/ls")).ok());
  const int worker = LastChildOf(LastChildOf(getpid()));
  ASSERT_GT(worker, 0);
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  EXPECT_TRUE(opener.Open(Own("/bin/ls")).ok());
}

TEST(PatientOpenerTest, ItHasNothingOfItsOwnersOpen) {
  const UniqueFd mine(open("/dev/null", O_RDONLY));  // not even what is not to be closed on exec
  const auto launcher = StartOpenerLauncher();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  PatientOpener opener(launcher->get(), {});
  ASSERT_TRUE(opener.Open(Own("/bin/ls")).ok());
  ASSERT_FALSE(opener.Open(Own("/nonexistent")).ok());  // and that has been closed by now
  const int starter = LastChildOf(getpid());
  for (const int pid : {starter, LastChildOf(starter)}) {
    const std::filesystem::path directory = "/proc/" + std::to_string(pid) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      EXPECT_LE(std::stoi(entry.path().filename()), 3);
    }
  }
}

}  // namespace
}  // namespace startscope
