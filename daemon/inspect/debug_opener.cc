// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/inspect/debug_opener.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace startscope {
namespace {

// `path` relative to `root`. Invalid: there is no such regular file below it.
UniqueFd OpenBeneath(const UniqueFd& root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return fd;
}

}  // namespace

std::vector<UniqueFd> OpenDebugCandidates(const DebugReference& reference,
                                          const std::string& image_path,
                                          const std::string& debug_root) {
  std::vector<UniqueFd> found;
  const UniqueFd root(open(debug_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return found;
  const std::string& build_id = reference.build_id;
  if (build_id.size() > 2) {
    UniqueFd fd = OpenBeneath(
        root, absl::StrCat(".build-id/", build_id.substr(0, 2), "/", build_id.substr(2), ".debug"));
    if (fd.valid()) found.push_back(std::move(fd));
  }
  const bool absolute = !image_path.empty() && image_path[0] == '/' &&
                        image_path.find("/../") == std::string::npos;
  if (!reference.link_name.empty() && absolute) {
    const std::string folder = image_path.substr(1, image_path.rfind('/'));
    UniqueFd fd = OpenBeneath(root, absl::StrCat(folder, reference.link_name));
    if (fd.valid()) found.push_back(std::move(fd));
  }
  return found;
}

}  // namespace startscope
