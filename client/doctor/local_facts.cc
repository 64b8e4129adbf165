// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/doctor/local_facts.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace startscope {
namespace {

constexpr size_t kMaxGroupBytes = 1 << 16;

std::string GroupName(gid_t gid) {
  std::string buffer(kMaxGroupBytes, '\0');
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return entry.gr_name;
  }
  return std::to_string(gid);
}

}  // namespace

LocalFacts ReadLocalFacts(const std::string& socket_path) {
  LocalFacts facts;
  facts.socket_path = socket_path;
  facts.is_root = geteuid() == 0;
  struct stat status {};
  if (stat(socket_path.c_str(), &status) != 0) {
    facts.socket_error = errno;
    return facts;
  }
  facts.is_socket = S_ISSOCK(status.st_mode);
  facts.socket_mode = status.st_mode;
  facts.socket_group = GroupName(status.st_gid);
  facts.may_connect = access(socket_path.c_str(), W_OK) == 0;
  return facts;
}

}  // namespace startscope
