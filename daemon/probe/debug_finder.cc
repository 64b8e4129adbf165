// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/debug_finder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/base/clock.h"

namespace startscope {
namespace {

// For all of an image's together; one that does not answer at all ends the search before.
constexpr uint64_t kPatienceNs = 500'000'000;

using Root = std::shared_ptr<const UniqueFd>;

struct Place {
  Root root;
  std::string path;
};

// Asks no file system, which may not answer.
bool IsSame(const UniqueFd& one, const UniqueFd& other) {
  struct statx a {};
  struct statx b {};
  const auto known = [](const UniqueFd& fd, struct statx* status) {
    return statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, status) == 0;
  };
  return known(one, &a) && known(other, &b) && a.stx_dev_major == b.stx_dev_major &&
         a.stx_dev_minor == b.stx_dev_minor && a.stx_ino == b.stx_ino;
}

// The directory of the image below its root, with a slash at both ends and links followed; empty
// where that is not known.
std::string DirectoryOf(const DebuggedImage& image, const UniqueFd& root) {
  std::string root_path = PathOf(root.get());
  if (root_path == "/") root_path.clear();
  std::string path = PathOf(image.fd);
  if (path.substr(0, root_path.size() + 1) == root_path + "/") {
    path.erase(0, root_path.size());
  } else {
    path = image.path;
  }
  if (path.empty() || path[0] != '/' || path.find("/../") != std::string::npos) return {};
  return path.substr(0, path.rfind('/') + 1);
}

}  // namespace

DebugFinder::DebugFinder(const DebugFinderOptions& options, Opener opener)
    : options_(options),
      open_(std::move(opener)),
      own_root_(std::make_shared<const UniqueFd>(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC))) {}

std::vector<DebugCandidate> DebugFinder::Find(const DebugReference& reference,
                                              const DebuggedImage& image) {
  const bool has_other_root =
      image.root != nullptr && image.root->valid() && !IsSame(*image.root, *own_root_);
  const Root& image_root = has_other_root ? image.root : own_root_;
  const std::string directory = DirectoryOf(image, *image_root);
  const std::string& id = reference.build_id;
  const std::string& link = reference.link_name;
  std::vector<Place> places;
  const auto add_root = [&](const Root& root, bool beside) {
    if (id.size() > 2) {
      places.push_back({root, absl::StrCat(options_.debug_directory, "/.build-id/", id.substr(0, 2),
                                           "/", id.substr(2), ".debug")});
    }
    if (link.empty() || directory.empty()) return;
    if (beside) {
      places.push_back({root, absl::StrCat(directory, link)});
      places.push_back({root, absl::StrCat(directory, ".debug/", link)});
    }
    places.push_back({root, absl::StrCat(options_.debug_directory, directory, link)});
  };
  add_root(image_root, /*beside=*/true);
  if (has_other_root) add_root(own_root_, /*beside=*/false);
  if (!options_.debuginfod_cache.empty() && !id.empty()) {
    places.push_back({own_root_, absl::StrCat(options_.debuginfod_cache, "/", id, "/debuginfo")});
  }
  OpenRequest request;
  request.how = OpenRequest::How::kBelow;
  request.debug_file_of = {image.owner, image.mode};
  struct stat self {};
  if (fstat(image.fd, &self) != 0) return {};
  std::vector<std::pair<uint64_t, uint64_t>> seen = {{self.st_dev, self.st_ino}};
  std::vector<DebugCandidate> found;
  const uint64_t end_ns = BoottimeNs() + kPatienceNs;
  for (const Place& place : places) {
    if (found.size() >= kMaxDebugCandidates || BoottimeNs() > end_ns) break;
    request.root = place.root;
    request.path = place.path;
    absl::StatusOr<OpenedFile> file = open_(request);
    if (absl::IsDeadlineExceeded(file.status()) || absl::IsResourceExhausted(file.status())) break;
    if (!file.ok()) continue;
    const std::pair<uint64_t, uint64_t> number = {file->stamp.device, file->stamp.inode};
    if (std::find(seen.begin(), seen.end(), number) != seen.end()) continue;
    seen.push_back(number);
    found.push_back({std::move(file->fd), file->stamp.size_bytes, file->stamp.device});
  }
  return found;
}

}  // namespace startscope
