// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The sandbox from inside: a child of this test enters the very sandbox that files are read in and
// tries what it must not be able to do. Each attempt is a process of its own, because most end it.

#include "daemon/inspect/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>

namespace startscope {
namespace {

constexpr int kDone = 42;
constexpr int kNoSandbox = 43;

// How a child ended that entered the sandbox and then did `attempt`, whose result it exits with.
int StatusOf(const std::function<int()>& attempt) {
  std::array<int, 2> ends;
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    if (!EnterSandbox(ends[1], {}).ok()) _exit(kNoSandbox);
    _exit(attempt());
  }
  close(ends[0]);
  close(ends[1]);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

struct Attempt {
  const char* name;
  std::function<int()> act;
};

void PrintTo(const Attempt& attempt, std::ostream* out) { *out << attempt.name; }

class ForbiddenTest : public ::testing::TestWithParam<Attempt> {};

TEST_P(ForbiddenTest, EndsTheProcess) {
  const int status = StatusOf([] {
    GetParam().act();
    return kDone;
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGSYS);
}

int Child() {
  char* const arguments[] = {const_cast<char*>("/bin/true"), nullptr};
  return execve("/bin/true", arguments, nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, ForbiddenTest,
    ::testing::Values(
        Attempt{"OpenAFile", [] { return open("/etc/passwd", O_RDONLY); }},
        Attempt{"OpenADirectory", [] { return open("/", O_RDONLY | O_DIRECTORY); }},
        Attempt{"MakeASocket", [] { return socket(AF_INET, SOCK_STREAM, 0); }},
        Attempt{"MakeALocalSocket", [] { return socket(AF_UNIX, SOCK_STREAM, 0); }},
        Attempt{"TalkOverAnotherDescriptor", [] {
                  msghdr message{};
                  return static_cast<int>(sendmsg(0, &message, 0));
                }},
        Attempt{"SignalAnotherProcess", [] { return kill(getppid(), SIGKILL); }},
        Attempt{"SignalAnyProcess", [] { return kill(1, 0); }},
        Attempt{"TraceAnotherProcess",
                [] { return static_cast<int>(ptrace(PTRACE_ATTACH, 1, nullptr, nullptr)); }},
        Attempt{"ReadAnothersMemory", [] {
                  char byte = 0;
                  const iovec here = {&byte, 1};
                  return static_cast<int>(process_vm_readv(1, &here, 1, &here, 1, 0));
                }},
        Attempt{"Fork", [] { return static_cast<int>(fork()); }},
        Attempt{"Execute", Child},
        Attempt{"RaiseALimit", [] {
                  const rlimit limit = {1000, 1000};
                  return setrlimit(RLIMIT_NOFILE, &limit);
                }},
        Attempt{"BecomeDumpable", [] { return prctl(PR_SET_DUMPABLE, 1); }},
        Attempt{"MapAFile", [] {
                  return mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED;
                }},
        Attempt{"MakeCode", [] {
                  return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                              0) == MAP_FAILED;
                }},
        Attempt{"Write", [] { return static_cast<int>(write(2, "x", 1)); }},
        Attempt{"DuplicateADescriptor", [] { return dup(0); }}),
    [](const auto& one) { return one.param.name; });

TEST(SandboxTest, ComputingAndMemoryAreAllowed) {
  const int status = StatusOf([] {
    std::vector<char> memory(32u << 20, 'x');
    return memory[1u << 20] == 'x' ? kDone : 0;
  });
  ASSERT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), kDone);
}

TEST(SandboxTest, ReadingWhatWasHandedOverIsAllowed) {
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  const int status = StatusOf([file] {
    std::array<char, 4> magic{};
    return pread(file, magic.data(), magic.size(), 0) == 4 && magic[1] == 'E' ? kDone : 0;
  });
  close(file);
  ASSERT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), kDone);
}

TEST(SandboxTest, SaysWhatItIsMadeOf) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  std::array<int, 2> sockets;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const auto text = EnterSandbox(sockets[1], {});
    msghdr message{};
    std::string answer = text.ok() ? *text : std::string(text.status().message());
    iovec part = {answer.data(), answer.size()};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    sendmsg(sockets[1], &message, 0);
    _exit(0);
  }
  std::array<char, 4096> text{};
  EXPECT_GT(read(sockets[0], text.data(), text.size() - 1), 0);
  EXPECT_NE(std::string(text.data()).find("seccomp"), std::string::npos) << text.data();
  EXPECT_NE(std::string(text.data()).find("no_new_privs"), std::string::npos) << text.data();
  waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace startscope
