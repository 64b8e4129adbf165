// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_FUZZ_QUIET_PROTOBUF_H_
#define STARTSCOPE_TESTS_FUZZ_QUIET_PROTOBUF_H_

#include <google/protobuf/stubs/logging.h>

// Most inputs are no messages, which protobuf would say of each. A fuzzer is one source file: not
// inline, or it would not be there for libFuzzer to call.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

#endif  // STARTSCOPE_TESTS_FUZZ_QUIET_PROTOBUF_H_
