// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "client/find_program.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace startscope {
namespace {

bool IsProgram(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name, const char* variable) {
  if (const char* named = getenv(variable); named != nullptr && named[0] != '\0') {
    if (!IsProgram(named)) {
      return absl::NotFoundError(
          absl::StrCat(variable, " names ", named, ", which is not an executable file"));
    }
    return std::string(named);
  }
  std::vector<std::string> candidates;
  char self[PATH_MAX];
  if (const ssize_t size = readlink("/proc/self/exe", self, sizeof(self)); size > 0) {
    std::string directory(self, static_cast<size_t>(size));
    directory.resize(directory.rfind('/'));
    for (const char* relative : {"/", "/../libexec/", "/../sbin/"}) {
      candidates.push_back(absl::StrCat(directory, relative, name));
    }
  }
  candidates.push_back(absl::StrCat("/usr/sbin/", name));
  const char* search_path = getenv("PATH");
  for (const std::string& directory : std::vector<std::string>(
           absl::StrSplit(search_path == nullptr ? "" : search_path, ':', absl::SkipEmpty()))) {
    // A relative entry would let the current directory choose what root executes.
    if (directory[0] == '/') candidates.push_back(absl::StrCat(directory, "/", name));
  }
  for (const std::string& candidate : candidates) {
    if (IsProgram(candidate)) return candidate;
  }
  return std::string();
}

}  // namespace startscope
