// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "client/exit_codes.h"
#include "daemon/base/errno_status.h"

namespace startscope {
namespace {

constexpr size_t kChildStackBytes = 64 * 1024;

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

// A damaged program is not a shell script, though execvp would have the shell run it as one: what
// begins with text, and without NUL bytes, may be.
bool IsText(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char head[128];
  const ssize_t size = fd.valid() ? read(fd.get(), head, sizeof(head)) : -1;
  if (size <= 0) return size == 0;
  return memchr(head, 0, static_cast<size_t>(size)) == nullptr && head[0] != '\177';
}

// Everything the child reads or writes between clone and execve, made ready beforehand: it may
// neither allocate nor take a lock.
struct ChildProcess::Shared {
  ~Shared() {
    if (stack != MAP_FAILED) munmap(stack, kChildStackBytes);
  }

  ChildOptions options;
  std::vector<char*> argv;
  // For a file without a known format, which execvp hands to the shell.
  std::vector<char*> shell_argv;
  bool shell_may_read_it = false;
  UniqueFd gate;
  UniqueFd announce;
  UniqueFd null_device;
  int release_fd = -1;
  int exec_errno = 0;
  void* stack = MAP_FAILED;
};

#if defined(__SANITIZE_THREAD__)
// By this name it is not ThreadSanitizer's, which takes the child for one with memory of its own.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);
#define clone __clone
// Nor may the child's end be that of its parent.
#define _exit(code) syscall(SYS_exit_group, code)
#endif

// On a stack that no sanitizer knows, in memory that is the parent's: not for them.
__attribute__((no_sanitize("address", "thread"))) int ChildProcess::RunChild(void* argument) {
  Shared& shared = *static_cast<Shared*>(argument);
  // Our copy of the write end would keep the gate from closing when the parent dies.
  close(shared.release_fd);
  const pid_t self = getpid();
  if (write(shared.announce.get(), &self, sizeof(self)) != sizeof(self)) _exit(kExitRunFailed);
  char go = 0;
  ssize_t got;
  do {
    got = read(shared.gate.get(), &go, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(kExitRunFailed);

  if (shared.options.output == CommandOutput::kDiscarded) {
    dup2(shared.null_device.get(), STDOUT_FILENO);
    dup2(shared.null_device.get(), STDERR_FILENO);
  } else if (shared.options.output == CommandOutput::kStdoutToStderr) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  struct sigaction action {};
  for (size_t number = 1; number < shared.options.signals.ignored.size(); ++number) {
    action.sa_handler = shared.options.signals.ignored[number] ? SIG_IGN : SIG_DFL;
    sigaction(static_cast<int>(number), &action, nullptr);
  }
  pthread_sigmask(SIG_SETMASK, &shared.options.signals.mask, nullptr);

  execve(shared.options.exec_path.c_str(), shared.argv.data(), environ);
  if (errno == ENOEXEC && shared.shell_may_read_it) {
    execve("/bin/sh", shared.shell_argv.data(), environ);
    errno = ENOEXEC;
  }
  shared.exec_errno = errno;
  _exit(kExitRunFailed);
}

// The body of the launching thread: CLONE_VFORK suspends it until the child executes or ends.
void ChildProcess::Launch(Shared& shared) {
  // A signal handler must not run in the child while it shares our memory.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  char* stack_top = static_cast<char*>(shared.stack) + kChildStackBytes;
  const pid_t pid = clone(&RunChild, stack_top, CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
  if (pid < 0) {
    const pid_t negative_errno = -errno;
    // A pipe has room for four bytes; the reader is waiting.
    (void)!write(shared.announce.get(), &negative_errno, sizeof(negative_errno));
  }
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Prepare(ChildOptions options) {
  auto child = std::unique_ptr<ChildProcess>(new ChildProcess());
  child->shared_ = std::make_unique<Shared>();
  Shared& shared = *child->shared_;
  shared.options = std::move(options);
  shared.argv = Pointers(shared.options.argv);
  shared.shell_may_read_it = IsText(shared.options.exec_path);
  shared.shell_argv = {const_cast<char*>("sh"),
                       const_cast<char*>(shared.options.exec_path.c_str())};
  shared.shell_argv.insert(shared.shell_argv.end(), shared.argv.begin() + 1, shared.argv.end());

  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe for the command");
  shared.gate.Reset(gate[0]);
  child->release_.Reset(gate[1]);
  shared.release_fd = gate[1];
  int announce[2];
  if (pipe2(announce, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe for the command");
  const UniqueFd announced(announce[0]);
  shared.announce.Reset(announce[1]);
  if (shared.options.output == CommandOutput::kDiscarded) {
    shared.null_device.Reset(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!shared.null_device.valid()) return ErrnoStatus(errno, "/dev/null");
  }
  shared.stack = mmap(nullptr, kChildStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (shared.stack == MAP_FAILED) return ErrnoStatus(errno, "memory for the command's start");

  child->launcher_ = std::thread([&shared] { Launch(shared); });
  pid_t pid = 0;
  ssize_t got;
  do {
    got = read(announced.get(), &pid, sizeof(pid));
  } while (got < 0 && errno == EINTR);
  if (pid <= 0) {
    return ErrnoStatus(-pid, "cannot create a process",
                       "check ulimit -u and the pids cgroup limit");
  }
  child->pid_ = pid;
  child->pid_fd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!child->pid_fd_.valid()) return ErrnoStatus(errno, "pidfd_open", "needs Linux 5.3 or newer");
  return child;
}

int ChildProcess::Release() {
  const char go = 1;
  ssize_t put;
  do {
    put = write(release_.get(), &go, 1);
  } while (put < 0 && errno == EINTR);
  release_.Reset();
  launcher_.join();
  if (shared_->exec_errno != 0) Reap();
  return shared_->exec_errno;
}

int ChildProcess::Reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  return status;
}

void ChildProcess::Signal(int number) const {
  if (!reaped_) kill(pid_, number);
}

ChildProcess::~ChildProcess() {
  const bool unreleased = release_.valid();
  release_.Reset();
  if (launcher_.joinable()) launcher_.join();
  if (unreleased && pid_ > 0 && !reaped_) Reap();
}

int ShellCode(int wait_status) {
  if (WIFSIGNALED(wait_status)) return kExitSignalBase + WTERMSIG(wait_status);
  return WEXITSTATUS(wait_status);
}

}  // namespace startscope
