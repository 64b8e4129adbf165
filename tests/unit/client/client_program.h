// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_UNIT_CLIENT_CLIENT_PROGRAM_H_
#define STARTSCOPE_TESTS_UNIT_CLIENT_CLIENT_PROGRAM_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"

namespace startscope {

struct ClientResult {
  // As a shell reports it: the code, or 128 + the signal.
  int code = -1;
  std::string out;
  std::string err;
};

// The real `startscope` as a child process with an environment of its own.
class ClientProgram {
 public:
  using Environment = std::map<std::string, std::string>;

  // `environment` comes on top of a plain one: UTF-8 locale, no daemon address.
  explicit ClientProgram(const std::vector<std::string>& arguments,
                         const Environment& environment = {});

  // Waits until stdout holds this text; false when it ended without.
  bool WaitForOutput(const std::string& text);
  void Signal(int number) const;
  // Reads everything and waits for the end.
  ClientResult Finish();

 private:
  bool ReadSome();

  pid_t pid_ = -1;
  UniqueFd out_fd_;
  UniqueFd err_fd_;
  ClientResult result_;
};

// What a thread did before it called this happened before what another does after it. For what a test sets
// before a client is there and a scripted daemon uses because of that client, and the other way round:
// the other process between the two is not seen by ThreadSanitizer.
void OrderAroundClient();

// Runs it to its end.
[[nodiscard]] ClientResult RunClient(const std::vector<std::string>& arguments,
                                     const ClientProgram::Environment& environment = {});

// A program that behaves as `startscoped --serve-fd=3`, as its environment tells it.
[[nodiscard]] std::string FakeDaemonProgram();

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_CLIENT_CLIENT_PROGRAM_H_
