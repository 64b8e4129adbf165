// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_PROBE_IMAGE_REGISTRY_H_
#define STARTSCOPE_DAEMON_PROBE_IMAGE_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "daemon/base/bounded_queue.h"
#include "daemon/base/unique_fd.h"
#include "daemon/collect/probe_attacher.h"
#include "daemon/decode/event.h"
#include "daemon/inspect/inspector.h"
#include "daemon/model/startup_listener.h"
#include "daemon/probe/debug_finder.h"
#include "daemon/probe/file_opener.h"
#include "daemon/probe/never_probe.h"
#include "daemon/probe/patient_opener.h"

namespace startscope {

struct ImageRegistryOptions {
  // Files whose facts and marks are kept; the least recently asked for goes first.
  size_t max_images = 1024;
  // Requests waiting for the resolver; beyond it a file stays unknown until it is met again.
  size_t max_waiting = 1024;
  NeverProbe never_probe;
  DebugFinderOptions debug_files;
  // Bit per MarkKind that no image has here, because something cheaper shows the same moment.
  uint32_t needless_marks = 0;
};

// Knows the files that were executed or used as loaders: has each inspected once, numbers it, and
// keeps its marks attached while some watch wants exact boundaries. Owns the resolver thread, which
// does all blocking work of the model's requests. Facts leave as ImageEvents through `publish`,
// which is called on any thread and must not block.
class ImageRegistry {
 public:
  ImageRegistry(const ImageRegistryOptions& options, Launcher* openers, Inspector* inspector,
                ProbeAttacher* attacher,
                std::function<void(const ImageEvent&)> publish,
                std::function<void(const SymbolsEvent&)> publish_symbols);
  ~ImageRegistry();
  ImageRegistry(const ImageRegistry&) = delete;
  ImageRegistry& operator=(const ImageRegistry&) = delete;

  // From the model (core thread): inspect this file soon. False when too many wait already.
  bool Request(const ProbeRequest& request);
  // The same for the functions at some offsets of a file.
  bool Request(const SymbolRequest& request);

  // Inspects an executable that is about to be run, with the caller's rights, and everything that
  // running it will execute: the interpreter of a script, the loader. Attaches their marks when
  // wanted. Blocks.
  absl::Status Prepare(const FileViewer& viewer, const std::string& path);

  // Inspects a library that is about to be loaded, with the caller's rights, and attaches its marks
  // when wanted. Blocks.
  absl::Status PrepareLibrary(const FileViewer& viewer, const std::string& path);

  enum class Role : uint8_t { kExecutable, kLoader, kLibrary };
  // The same for one file of this machine, with our own rights.
  absl::Status PrepareOwn(const std::string& path, Role role);

  // Marks of startups, of dlopen and of what runs before main are wanted, or no longer. Those of images
  // that are asked for are attached from now on, and dlopen's in every library known already;
  // `known_too`: and those of every other image known. Blocks.
  struct WantedMarks {
    bool startup = false;
    bool dlopen = false;
    bool functions = false;
    friend bool operator==(const WantedMarks&, const WantedMarks&) = default;
  };
  void WantMarks(const WantedMarks& wanted, bool known_too);

  struct KnownImage {
    std::shared_ptr<const ImageFacts> facts;
    uint32_t attached_marks = 0;
    std::string error;
  };
  [[nodiscard]] std::vector<KnownImage> Known() const;

  struct Counts {
    uint64_t requests = 0;  // of files and of functions
    uint64_t refused = 0;   // too many waited
    uint64_t looked_up = 0;  // files, on behalf of a process
    uint64_t not_opened = 0;
    uint64_t admitted = 0;
    uint64_t evicted = 0;  // gave way to others
  };
  [[nodiscard]] Counts counts() const;

 private:
  struct Image {
    uint32_t number = 0;
    OpenedFile file;
    std::shared_ptr<const ImageFacts> facts;
    ProbeAttacher::MarkResult marks;
    uint64_t attached_boottime_ns = 0;
    bool never_probe = false;
    int inotify_watch = -1;
    std::list<FileId>::iterator recency;
  };

  // Where a file was found.
  struct Origin {
    std::shared_ptr<const UniqueFd> root;  // null or invalid: ours
    std::string path;                      // below it
  };

  void ResolverLoop();
  void Resolve(const ProbeRequest& request);
  void Resolve(const SymbolRequest& request);
  FileToInspect ToInspect(const OpenedFile& file, const Origin& origin);
  // The root directory of a process, or else of its parent, whose root often is the same; invalid:
  // both are gone. Resolver thread only.
  std::shared_ptr<const UniqueFd> RootOf(uint32_t pid, uint32_t parent_pid);
  [[nodiscard]] uint32_t WantedKinds() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool ShouldAttach(const Image& image) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void ForgetModifiedFiles() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The facts of an opened file, inspected if new, its marks attached if wanted; published if they
  // changed. Not `may_attach`: nobody has executed this very file, as far as is known. Takes as long
  // as the inspector may.
  std::shared_ptr<const ImageFacts> Admit(OpenedFile file, const Origin& origin, Role role,
                                          bool publish_anyway, bool may_attach = true)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The same of a file that is known; null: it is not, or it has become another.
  std::shared_ptr<const ImageFacts> AdmitKnown(const OpenedFile& file, Role role,
                                               bool publish_anyway, bool may_attach)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Attach(Image& image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Attaches the wanted marks of the libraries that an executable needs, as far as they are known from
  // earlier starts, by their names.
  void AttachKnownNeeds(const ImageFacts& executable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Detach(Image& image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Detach(const std::vector<Image*>& images) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish(const Image& image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<OpenedFile> OpenFor(const FileViewer& viewer, const std::string& path);
  void PublishFailure(const ProbeRequest& request, const absl::Status& status);

  const ImageRegistryOptions options_;
  Inspector* const inspector_;
  ProbeAttacher* const attacher_;
  const std::function<void(const ImageEvent&)> publish_;
  const std::function<void(const SymbolsEvent&)> publish_symbols_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<FileId, std::unique_ptr<Image>> images_ ABSL_GUARDED_BY(mutex_);
  std::list<FileId> recency_ ABSL_GUARDED_BY(mutex_);  // the most recent first
  uint32_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> asked_{0};
  std::atomic<uint64_t> looked_up_{0};
  std::atomic<uint64_t> not_opened_{0};
  WantedMarks wanted_ ABSL_GUARDED_BY(mutex_);

  // Roots of processes met a moment ago: what is asked for next is below the same one, and the
  // process may be gone by then. Held only so long, because an open root keeps a mount busy.
  struct RecentRoot {
    uint32_t pid = 0;
    uint64_t opened_boottime_ns = 0;
    std::shared_ptr<const UniqueFd> root;
  };
  std::list<RecentRoot> recent_roots_;  // the resolver thread's; the most recent first

  PatientOpener opener_;
  PatientOpener debug_opener_;
  DebugFinder debug_finder_;
  UniqueFd inotify_;
  BoundedQueue<std::variant<ProbeRequest, SymbolRequest>> requests_;
  std::thread resolver_;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_PROBE_IMAGE_REGISTRY_H_
