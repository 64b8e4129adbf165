// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "tests/unit/client/client_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/base/attributes.h"
#include "absl/synchronization/mutex.h"

namespace startscope {

ClientProgram::ClientProgram(const std::vector<std::string>& arguments,
                             const Environment& environment) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) abort();
  out_fd_.Reset(out[0]);
  err_fd_.Reset(err[0]);
  const UniqueFd out_end(out[1]);
  const UniqueFd err_end(err[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_end.get(), STDERR_FILENO);

  Environment all = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}};
  // Where sanitizers report to (tests/sanitize.sh).
  for (const char* name : {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name); value != nullptr) all[name] = value;
  }
  for (const auto& [name, value] : environment) all[name] = value;
  std::vector<std::string> settings;
  for (const auto& [name, value] : all) settings.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& setting : settings) envp.push_back(setting.data());
  envp.push_back(nullptr);
  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {const_cast<char*>("startscope")};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  OrderAroundClient();
  if (posix_spawn(&pid_, CLIENT_PROGRAM, &actions, nullptr, argv.data(), envp.data()) != 0) abort();
  posix_spawn_file_actions_destroy(&actions);
}

bool ClientProgram::ReadSome() {
  pollfd entries[] = {{.fd = out_fd_.get(), .events = POLLIN, .revents = 0},
                      {.fd = err_fd_.get(), .events = POLLIN, .revents = 0}};
  if (!out_fd_.valid() && !err_fd_.valid()) return false;
  poll(entries, 2, -1);
  const auto drain = [](UniqueFd& fd, const pollfd& entry, std::string& text) {
    if (entry.revents == 0) return;
    char buffer[4096];
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size > 0) {
      text.append(buffer, static_cast<size_t>(size));
    } else {
      fd.Reset();
    }
  };
  drain(out_fd_, entries[0], result_.out);
  drain(err_fd_, entries[1], result_.err);
  return true;
}

bool ClientProgram::WaitForOutput(const std::string& text) {
  while (result_.out.find(text) == std::string::npos) {
    if (!ReadSome()) return false;
  }
  OrderAroundClient();
  return true;
}

void ClientProgram::Signal(int number) const { kill(pid_, number); }

ClientResult ClientProgram::Finish() {
  while (ReadSome()) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  OrderAroundClient();
  result_.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result_;
}

void OrderAroundClient() {
  ABSL_CONST_INIT static absl::Mutex mutex(absl::kConstInit);
  absl::MutexLock lock(&mutex);
}

ClientResult RunClient(const std::vector<std::string>& arguments,
                       const ClientProgram::Environment& environment) {
  return ClientProgram(arguments, environment).Finish();
}

std::string FakeDaemonProgram() { return FAKE_DAEMON_PROGRAM; }

}  // namespace startscope
