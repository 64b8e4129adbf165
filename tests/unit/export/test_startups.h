// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_TESTS_UNIT_EXPORT_TEST_STARTUPS_H_
#define STARTSCOPE_TESTS_UNIT_EXPORT_TEST_STARTUPS_H_

#include <string>

#include "startscope/v1/startup.pb.h"

namespace startscope {

// A startup of `executable` with two phases, 1 ms and 3 ms, that reached main.
startscope::v1::Startup TestStartup(const std::string& executable);

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_EXPORT_TEST_STARTUPS_H_
