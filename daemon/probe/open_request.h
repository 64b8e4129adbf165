// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A file to open, as a value: it can be opened at once, or described to a process that does so and
// hands the descriptor back. See PatientOpener.

#ifndef STARTSCOPE_DAEMON_PROBE_OPEN_REQUEST_H_
#define STARTSCOPE_DAEMON_PROBE_OPEN_REQUEST_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/unique_fd.h"
#include "daemon/probe/file_opener.h"

namespace startscope {

// Larger than any path and any message about one.
inline constexpr size_t kMaxOpenBytes = 16384;

struct OpenRequest {
  enum class How : uint8_t {
    kOwn,           // with our own rights
    kAsViewer,      // with those of `viewer`
    kBelow,         // below `root`
    kExecutableOf,  // what `pid` executes; what `root` and the path lead to where that is gone
    kMapped,        // the file below `root` that is mapped as `expected`
  };
  How how = How::kOwn;
  std::string path;
  std::shared_ptr<const UniqueFd> root;  // null or invalid: not known
  FileViewer viewer;
  uint32_t pid = 0;
  ExpectedFile expected;
  // With it only what may be the debug file of an image of this owner and mode is opened: see
  // MayBeDebugFile.
  struct Image {
    uid_t owner = 0;
    mode_t mode = 0;
  };
  std::optional<Image> debug_file_of;
};

// Who could write it could write the image as well, or is root. Links may lead anywhere in the
// root: what the kernel makes up, which opening and reading may change, has no size.
bool MayBeDebugFile(const struct stat& debug, const OpenRequest::Image& image);

// Opens it in this very thread, for as long as that takes.
absl::StatusOr<OpenedFile> OpenNow(const OpenRequest& request);

// Whether opening it will hardly hang: it leads, without any file system being asked, to one that
// is known to answer. A name may lead elsewhere a moment later.
bool SurelyAnswers(const OpenRequest& request);

// What opens files for others: now, or with patience.
using Opener = std::function<absl::StatusOr<OpenedFile>(const OpenRequest&)>;

// As a frame's bytes; the root and the opened file travel as its descriptor, if any.
std::vector<uint8_t> EncodeOpen(const OpenRequest& request);
std::optional<OpenRequest> DecodeOpen(std::span<const uint8_t> bytes, std::vector<UniqueFd> root);
std::vector<uint8_t> EncodeOpened(const absl::StatusOr<OpenedFile>& file);
absl::StatusOr<OpenedFile> DecodeOpened(std::span<const uint8_t> bytes, std::vector<UniqueFd> file);

// Opens what comes over `socket`, one after the other, until the other side closes it.
void ServeOpens(int socket);

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_OPEN_REQUEST_H_
