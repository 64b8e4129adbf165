// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_WITHOUT_ALARM_H_
#define STARTSCOPE_TESTS_FUZZ_WITHOUT_ALARM_H_

#include <pthread.h>
#include <signal.h>

namespace startscope {

// libFuzzer's timer interrupts system calls, in any thread that lets it: not in this one while
// there is one of these, and never in the threads that begin meanwhile.
class WithoutAlarm {
 public:
  WithoutAlarm() {
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before_);
  }
  ~WithoutAlarm() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WithoutAlarm(const WithoutAlarm&) = delete;
  WithoutAlarm& operator=(const WithoutAlarm&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_FUZZ_WITHOUT_ALARM_H_
