// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace startscope {
namespace {

using testing::HasSubstr;
using testing::Not;

// Puts a file in the place of one of our own standard streams while it lives.
class Redirect {
 public:
  Redirect(int fd, const std::string& path) : fd_(fd), saved_(fcntl(fd, F_DUPFD_CLOEXEC, 100)) {
    const UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    dup2(file.get(), fd_);
  }
  ~Redirect() { dup2(saved_.get(), fd_); }

 private:
  int fd_;
  UniqueFd saved_;
};

class Child : public testing::Test {
 protected:
  Child() {
    std::string pattern = testing::TempDir() + "startscope-child-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~Child() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static std::unique_ptr<ChildProcess> Prepare(std::vector<std::string> argv,
                                               CommandOutput output = CommandOutput::kUntouched,
                                               InitialSignals signals = InitialSignals::Capture()) {
    const std::string exec_path = argv[0];
    auto child = ChildProcess::Prepare(
        {.exec_path = exec_path, .argv = std::move(argv), .output = output, .signals = signals});
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  static std::unique_ptr<ChildProcess> Shell(const std::string& script,
                                             CommandOutput output = CommandOutput::kUntouched) {
    return Prepare({"/bin/sh", "-c", script}, output);
  }
  static int Finish(ChildProcess& child) {
    EXPECT_EQ(child.Release(), 0);
    return child.Reap();
  }

  std::string directory_;
};

TEST_F(Child, ExitCodePassesThrough) { EXPECT_EQ(ShellCode(Finish(*Shell("exit 42"))), 42); }

TEST_F(Child, DeathBySignalIs128PlusItsNumber) {
  EXPECT_EQ(ShellCode(Finish(*Shell("kill -TERM $$"))), 128 + SIGTERM);
}

TEST_F(Child, ExecutesNothingBeforeItsRelease) {
  const std::string mark = Path("mark");
  auto child = Shell("touch " + mark);
  // It exists as a process, but it is still the image that made it.
  std::error_code error;
  const auto image =
      std::filesystem::read_symlink("/proc/" + std::to_string(child->pid()) + "/exe", error);
  EXPECT_EQ(image, std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_FALSE(std::filesystem::exists(mark));
  EXPECT_EQ(Finish(*child), 0);
  EXPECT_TRUE(std::filesystem::exists(mark));
}

TEST_F(Child, IsTheProcessThatWasPrepared) {
  const std::string file = Path("pid");
  auto child = Shell("echo $$ $PPID > " + file);
  const std::string expected = std::to_string(child->pid()) + " " + std::to_string(getpid()) + "\n";
  Finish(*child);
  EXPECT_EQ(Read(file), expected);
}

TEST_F(Child, UnreleasedItGoesAwayWithoutExecuting) {
  const std::string mark = Path("mark");
  const pid_t pid = Shell("touch " + mark)->pid();
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(Child, ExecFailureIsReportedWithItsErrno) {
  EXPECT_EQ(Prepare({"/no/such/program"})->Release(), ENOENT);
  EXPECT_EQ(Prepare({"/etc/passwd"})->Release(), EACCES);
}

TEST_F(Child, TextWithoutAnInterpreterLineRunsInTheShell) {
  const std::string script = Path("script");
  std::ofstream(script) << "exit $1\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  EXPECT_EQ(ShellCode(Finish(*Prepare({script, "9"}))), 9);
}

TEST_F(Child, StandardOutputCanMoveToStandardError) {
  const Redirect out(STDOUT_FILENO, Path("out"));
  const Redirect err(STDERR_FILENO, Path("err"));
  Finish(*Shell("echo data; echo text >&2", CommandOutput::kStdoutToStderr));
  EXPECT_EQ(Read(Path("out")), "");
  EXPECT_EQ(Read(Path("err")), "data\ntext\n");
}

TEST_F(Child, OutputCanBeDiscarded) {
  const Redirect out(STDOUT_FILENO, Path("out"));
  const Redirect err(STDERR_FILENO, Path("err"));
  Finish(*Shell("echo data; echo text >&2", CommandOutput::kDiscarded));
  EXPECT_EQ(Read(Path("out")) + Read(Path("err")), "");
}

// Descriptors the test program itself was given belong to the child as well.
std::string OpenFds(const std::string& proc_fd) {
  std::set<int> fds;
  for (const auto& entry : std::filesystem::directory_iterator(proc_fd)) {
    fds.insert(std::stoi(entry.path().filename()));
  }
  std::string text;
  for (const int fd : fds) {
    if (fcntl(fd, F_GETFD) == 0) text += std::to_string(fd) + "\n";
  }
  return text;
}

TEST_F(Child, InheritsOnlyWhatWasMeantToBeInherited) {
  const std::string file = Path("fds");
  const std::string ours = OpenFds("/proc/self/fd");
  for (const CommandOutput output :
       {CommandOutput::kUntouched, CommandOutput::kStdoutToStderr, CommandOutput::kDiscarded}) {
    // cat waits in read until its descriptors have been looked at.
    const std::string fifo = Path("fifo" + std::to_string(static_cast<int>(output)));
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    auto child = Prepare({"/bin/cat", fifo}, output);
    ASSERT_EQ(child->Release(), 0);
    // Opening a FIFO for writing waits for the reader, so cat is certainly running now.
    std::ofstream writer(fifo);
    std::string theirs;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(child->pid()) + "/fd")) {
      const int fd = std::stoi(entry.path().filename());
      std::error_code error;
      const auto target = std::filesystem::read_symlink(entry.path(), error).string();
      if (fd > 2 && target != fifo && ours.find(std::to_string(fd) + "\n") == std::string::npos) {
        theirs += std::to_string(fd) + " " + target + "; ";
      }
    }
    writer.close();
    child->Reap();
    EXPECT_EQ(theirs, "");
  }
}

TEST_F(Child, FindsTheInitialSignalMaskAndDispositions) {
  const InitialSignals initial = InitialSignals::Capture();
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  signal(SIGUSR2, SIG_IGN);
  const std::string file = Path("status");
  // grep itself reads its own status, so no shell changes anything on the way.
  const Redirect out(STDOUT_FILENO, file);
  Finish(*Prepare({"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"},
                  CommandOutput::kUntouched, initial));
  signal(SIGUSR2, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  const std::string status = Read(file);
  unsigned long long blk = ~0ull, ign = ~0ull;
  ASSERT_EQ(sscanf(status.c_str(), "SigBlk: %llx SigIgn: %llx", &blk, &ign), 2) << status;
  EXPECT_EQ(blk & (1ull << (SIGUSR1 - 1)), 0u);
  EXPECT_EQ(ign & (1ull << (SIGUSR2 - 1)), 0u);
}

TEST_F(Child, EndIsPollable) {
  auto child = Shell("exit 0");
  ASSERT_EQ(child->Release(), 0);
  pollfd entry{.fd = child->pid_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&entry, 1, 30'000), 1);
  EXPECT_EQ(child->Reap(), 0);
}

TEST_F(Child, SignalsReachIt) {
  auto child = Prepare({"/bin/sleep", "1000"});
  ASSERT_EQ(child->Release(), 0);
  child->Signal(SIGTERM);
  EXPECT_EQ(ShellCode(child->Reap()), 128 + SIGTERM);
}

}  // namespace
}  // namespace startscope
