// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PROBE_DEBUG_FINDER_H_
#define STARTSCOPE_DAEMON_PROBE_DEBUG_FINDER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/debug_file.h"
#include "daemon/inspect/inspector.h"
#include "daemon/probe/open_request.h"

namespace startscope {

struct DebugFinderOptions {
  std::string debug_directory = "/usr/lib/debug";  // in every root
  std::string debuginfod_cache;                    // in our root; empty: there is none
};

// The image whose debug file is looked for.
struct DebuggedImage {
  int fd = -1;                           // not owned
  std::string path;                      // as it was asked for
  std::shared_ptr<const UniqueFd> root;  // below which it was found; null or invalid: ours
  uid_t owner = 0;
  mode_t mode = 0;
};

// Opens what may be an image's separate debug file, where debuggers look for it: by build-id below
// the debug directory; by the name in .gnu_debuglink beside the image, in .debug/ there, and below
// the debug directory; first in the root that the image belongs to, then in ours; last in a cache
// of debuginfod's clients. Regular files only, none outside the root that it is looked for in, and
// none that somebody could have written who could not have written the image. Whether one is really
// the image's is for the reader to say. Any thread.
class DebugFinder {
 public:
  // `opener` is not that of images, so that file systems which do not answer here keep none of those
  // from being opened.
  explicit DebugFinder(const DebugFinderOptions& options = {}, Opener opener = OpenNow);

  // Best first, each file once, at most kMaxDebugCandidates. Stops at the first that does not open
  // in time.
  std::vector<DebugCandidate> Find(const DebugReference& reference, const DebuggedImage& image);

 private:
  const DebugFinderOptions options_;
  const Opener open_;
  const std::shared_ptr<const UniqueFd> own_root_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_DEBUG_FINDER_H_
