// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/image_registry.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/elf/image_inspector.h"
#include "daemon/elf/symbolizer.h"
#include "daemon/inspect/debug_opener.h"

namespace startscope {
namespace {

// A script's interpreter may be a script; the kernel follows five levels (fs/exec.c).
constexpr int kMaxInterpreters = 5;
constexpr absl::Duration kModificationCheck = absl::Milliseconds(200);
constexpr size_t kMaxRecentRoots = 16;
constexpr uint64_t kRootHeldNs = 1'000'000'000;

uint64_t SizeOf(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

// What may be the separate debug file of an image, opened.
class DebugCandidates {
 public:
  DebugCandidates(int image_fd, const std::string& path) {
    FdByteSource image(image_fd, SizeOf(image_fd));
    const std::optional<DebugReference> wanted = WantedDebugFile(&image);
    if (!wanted) return;
    files_ = OpenDebugCandidates(*wanted, path);
    for (const UniqueFd& fd : files_) readers_.emplace_back(fd.get(), SizeOf(fd.get()));
  }

  [[nodiscard]] std::vector<ByteSource*> sources() {
    std::vector<ByteSource*> all;
    for (FdByteSource& reader : readers_) all.push_back(&reader);
    return all;
  }

 private:
  std::vector<UniqueFd> files_;
  std::list<FdByteSource> readers_;
};

}  // namespace

ImageRegistry::ImageRegistry(const ImageRegistryOptions& options, ProbeAttacher* attacher,
                             std::function<void(const ImageEvent&)> publish,
                             std::function<void(const SymbolsEvent&)> publish_symbols)
    : options_(options),
      attacher_(attacher),
      publish_(std::move(publish)),
      publish_symbols_(std::move(publish_symbols)),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      requests_(options.max_waiting),
      resolver_([this] { ResolverLoop(); }) {}

ImageRegistry::~ImageRegistry() {
  requests_.Close();
  resolver_.join();
}

bool ImageRegistry::Request(const ProbeRequest& request) { return requests_.TryPush(request); }

bool ImageRegistry::Request(const SymbolRequest& request) { return requests_.TryPush(request); }

void ImageRegistry::ResolverLoop() {
  while (true) {
    const std::optional<std::variant<ProbeRequest, SymbolRequest>> request =
        requests_.Pop(kModificationCheck);
    if (!request && requests_.closed()) return;
    {
      absl::MutexLock lock(&mutex_);
      ForgetModifiedFiles();
    }
    const uint64_t now = BoottimeNs();
    recent_roots_.remove_if(
        [now](const RecentRoot& one) { return one.opened_boottime_ns + kRootHeldNs <= now; });
    if (request) std::visit([this](const auto& one) { Resolve(one); }, *request);
  }
}

const UniqueFd& ImageRegistry::RootOf(uint32_t pid, uint32_t parent_pid) {
  static const UniqueFd none;
  for (const uint32_t process : {pid, parent_pid}) {
    for (const RecentRoot& recent : recent_roots_) {
      if (recent.pid == process) return recent.root;
    }
    absl::StatusOr<UniqueFd> root = OpenRootOf(process);
    if (!root.ok()) continue;
    if (recent_roots_.size() >= kMaxRecentRoots) recent_roots_.pop_back();
    recent_roots_.push_front({process, BoottimeNs(), *std::move(root)});
    return recent_roots_.front().root;
  }
  return none;
}

void ImageRegistry::Resolve(const ProbeRequest& request) {
  {
    // Known since it was asked for: as the loader of an executable, for example.
    absl::MutexLock lock(&mutex_);
    const auto known = images_.find(request.file);
    if (known != images_.end() &&
        (request.is_library || known->second->facts->kind != ImageKind::kLibrary)) {
      if (ShouldAttach(*known->second)) Attach(*known->second);
      return Publish(*known->second);
    }
  }
  // A short-lived process is gone at any moment: its root, once open, stays.
  const UniqueFd& root = RootOf(request.pid, request.parent_pid);
  absl::StatusOr<OpenedFile> file =
      request.map_address == 0
          ? OpenExecutableOf(request.pid, root, request.path, {request.file, request.mapped_file})
          : OpenMapped(root, request.path, {request.file, request.file});
  if (!file.ok()) return PublishFailure(request, file.status());
  std::string loader_path;
  {
    absl::MutexLock lock(&mutex_);
    const Image& image =
        Admit(*std::move(file), request.path,
              request.is_loader    ? Role::kLoader
              : request.is_library ? Role::kLibrary
                                   : Role::kExecutable,
              /*publish_anyway=*/true);
    if (image.facts->kind == ImageKind::kExecutable) loader_path = image.facts->interpreter;
  }
  if (loader_path.empty() || !root.valid()) return;
  // The loader is asked for separately, when the process may be gone.
  absl::StatusOr<OpenedFile> loader = OpenBelow(root, loader_path);
  if (!loader.ok()) return;
  absl::MutexLock lock(&mutex_);
  Admit(*std::move(loader), loader_path, Role::kLoader, /*publish_anyway=*/false);
}

void ImageRegistry::Resolve(const SymbolRequest& request) {
  UniqueFd fd;
  {
    absl::MutexLock lock(&mutex_);
    const auto known = images_.find(request.file);
    if (known != images_.end()) fd.Reset(fcntl(known->second->fd.get(), F_DUPFD_CLOEXEC, 0));
  }
  if (!fd.valid()) {
    absl::StatusOr<OpenedFile> file = OpenMapped(RootOf(request.pid, request.parent_pid),
                                                 request.path, {request.file, request.file});
    if (file.ok()) fd = std::move(file->fd);
  }
  SymbolsEvent event;
  event.file = request.file;
  if (fd.valid()) {
    SymbolizeOptions options;
    DebugCandidates debug(fd.get(), request.path);
    options.debug_candidates = debug.sources();
    const std::vector<std::string> names = FindFunctions(fd.get(), request.file_offsets, options);
    for (size_t i = 0; i < names.size(); ++i) {
      event.symbols.push_back({request.file_offsets[i], names[i]});
    }
  }
  publish_symbols_(event);
}

uint32_t ImageRegistry::WantedKinds() const {
  constexpr uint32_t kDlopenKinds = 1u << static_cast<unsigned>(MarkKind::kDlopen) |
                                    1u << static_cast<unsigned>(MarkKind::kDlclose);
  return (wanted_.startup ? ~(kDlopenKinds | kFunctionMarks) : 0u) |
         (wanted_.dlopen ? kDlopenKinds : 0u);
}

// Some site of it is wanted and not in place.
bool ImageRegistry::ShouldAttach(const Image& image) const {
  if (image.attached_boottime_ns != 0 || image.never_probe) return false;
  const uint32_t kinds = WantedKinds();
  for (const MarkSite& site : image.facts->sites) {
    if ((kinds & (1u << static_cast<unsigned>(site.kind))) != 0) return true;
  }
  return false;
}

void ImageRegistry::PublishFailure(const ProbeRequest& request, const absl::Status& status) {
  auto facts = std::make_shared<ImageFacts>();
  facts->file = request.file;
  facts->path = request.path;
  facts->error = std::string(status.message());
  ImageEvent event;
  event.facts = std::move(facts);
  publish_(event);
}

const ImageRegistry::Image& ImageRegistry::Admit(OpenedFile file, const std::string& path,
                                                 Role role, bool publish_anyway) {
  const FileId id = file.id;
  auto found = images_.find(id);
  if (found != images_.end() && role != Role::kLibrary &&
      found->second->facts->kind == ImageKind::kLibrary) {
    // It turned out to be more than a library: looked at anew.
    Detach(*found->second);
    recency_.erase(found->second->recency);
    images_.erase(found);
    found = images_.end();
  }
  if (found != images_.end()) {
    Image& image = *found->second;
    recency_.splice(recency_.begin(), recency_, image.recency);
    const bool attach = ShouldAttach(image);
    if (attach) Attach(image);
    if (attach || publish_anyway) Publish(image);
    return image;
  }
  Evict();
  auto image = std::make_unique<Image>();
  InspectOptions inspect;
  inspect.path_label = path;
  if (role == Role::kLoader && !file.name.empty()) {
    // What loaders are called by is a link; the file's own name may tell the version.
    inspect.path_label = absl::StrCat(path.substr(0, path.rfind('/') + 1), file.name);
  }
  inspect.is_loader_hint = role == Role::kLoader;
  inspect.is_library = role == Role::kLibrary;
  DebugCandidates debug(file.fd.get(), path);
  inspect.debug_candidates = debug.sources();
  auto facts = std::make_shared<ImageFacts>(InspectImage(file.fd.get(), inspect));
  facts->file = id;
  image->never_probe =
      options_.never_probe.ExcludesFile(file.fd.get(), path, facts->build_id);
  if (image->never_probe) image->marks.error = absl::StrCat(path, ": not probed (--never-probe)");
  image->number = next_number_++;
  image->fd = std::move(file.fd);
  image->facts = std::move(facts);
  recency_.push_front(id);
  image->recency = recency_.begin();
  if (ShouldAttach(*image)) Attach(*image);
  Publish(*image);
  return *images_.emplace(id, std::move(image)).first->second;
}

void ImageRegistry::Attach(Image& image) {
  if (image.facts->sites.empty()) return;
  // Breakpoints are computed from the bytes that were read. When the file is written to, they must
  // go before anybody executes the new bytes.
  if (image.inotify_watch < 0) {
    image.inotify_watch = inotify_add_watch(
        inotify_.get(), absl::StrCat("/proc/self/fd/", image.fd.get()).c_str(), IN_MODIFY);
  }
  image.marks = attacher_->AttachMarks(image.number, image.fd.get(), *image.facts, WantedKinds());
  image.attached_boottime_ns = image.marks.attached_marks != 0 ? BoottimeNs() : 0;
}

void ImageRegistry::Detach(Image& image) {
  if (image.inotify_watch >= 0) inotify_rm_watch(inotify_.get(), image.inotify_watch);
  image.inotify_watch = -1;
  if (image.attached_boottime_ns == 0) return;
  attacher_->DetachMarks(image.number);
  image.marks = {};
  image.attached_boottime_ns = 0;
}

void ImageRegistry::ForgetModifiedFiles() {
  alignas(inotify_event) char buffer[4096];
  ssize_t size = 0;
  while ((size = read(inotify_.get(), buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      __builtin_memcpy(&event, buffer + at, sizeof(event));
      at += static_cast<ssize_t>(sizeof(event) + event.len);
      if ((event.mask & IN_MODIFY) == 0) continue;
      for (auto it = images_.begin(); it != images_.end(); ++it) {
        Image& image = *it->second;
        if (image.inotify_watch != event.wd) continue;
        Detach(image);
        ImageEvent forgotten;
        forgotten.image = image.number;
        forgotten.facts = image.facts;
        forgotten.forgotten = true;
        publish_(forgotten);
        recency_.erase(image.recency);
        images_.erase(it);
        break;
      }
    }
  }
}

void ImageRegistry::Evict() {
  while (images_.size() >= options_.max_images && !recency_.empty()) {
    const auto oldest = images_.find(recency_.back());
    Detach(*oldest->second);
    ImageEvent forgotten;
    forgotten.image = oldest->second->number;
    forgotten.facts = oldest->second->facts;
    forgotten.forgotten = true;
    publish_(forgotten);
    images_.erase(oldest);
    recency_.pop_back();
  }
}

void ImageRegistry::Publish(const Image& image) {
  ImageEvent event;
  event.image = image.number;
  event.facts = image.facts;
  event.attached_marks = image.marks.attached_marks;
  event.attached_boottime_ns = image.attached_boottime_ns;
  event.attach_error = image.marks.error;
  publish_(event);
}

absl::Status ImageRegistry::Prepare(const FileViewer& viewer, const std::string& path) {
  std::string next = path;
  for (int depth = 0; depth <= kMaxInterpreters; ++depth) {
    absl::StatusOr<OpenedFile> file = OpenAsViewer(viewer, next);
    if (!file.ok()) return file.status();
    std::shared_ptr<const ImageFacts> facts;
    {
      absl::MutexLock lock(&mutex_);
      ForgetModifiedFiles();
      facts = Admit(*std::move(file), next, Role::kExecutable, /*publish_anyway=*/false).facts;
    }
    if (!facts->error.empty()) return absl::InvalidArgumentError(facts->error);
    if (facts->interpreter.empty()) return absl::OkStatus();
    if (facts->kind == ImageKind::kScript) {
      next = facts->interpreter;
      continue;
    }
    absl::StatusOr<OpenedFile> loader = OpenAsViewer(viewer, facts->interpreter);
    if (!loader.ok()) return loader.status();
    absl::MutexLock lock(&mutex_);
    Admit(*std::move(loader), facts->interpreter, Role::kLoader, /*publish_anyway=*/false);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": more than ", kMaxInterpreters, " interpreters deep"));
}

absl::Status ImageRegistry::PrepareOwn(const std::string& path, Role role) {
  absl::StatusOr<OpenedFile> file = OpenOwn(path);
  if (!file.ok()) return file.status();
  absl::MutexLock lock(&mutex_);
  Admit(*std::move(file), path, role, /*publish_anyway=*/false);
  return absl::OkStatus();
}

void ImageRegistry::WantMarks(const WantedMarks& wanted, bool known_too) {
  absl::MutexLock lock(&mutex_);
  const bool changed = wanted != wanted_;
  wanted_ = wanted;
  for (auto& [id, image] : images_) {
    if (image->attached_boottime_ns != 0 && changed) {
      Detach(*image);
      if (ShouldAttach(*image)) Attach(*image);
      Publish(*image);
    } else if ((known_too || (wanted.dlopen && image->facts->kind == ImageKind::kLibrary)) &&
               ShouldAttach(*image)) {
      Attach(*image);
      Publish(*image);
    }
  }
}

std::vector<ImageRegistry::KnownImage> ImageRegistry::Known() const {
  absl::MutexLock lock(&mutex_);
  std::vector<KnownImage> known;
  for (const FileId& id : recency_) {
    const Image& image = *images_.at(id);
    known.push_back({image.facts, image.marks.attached_marks,
                     image.facts->error.empty() ? image.marks.error : image.facts->error});
  }
  return known;
}

}  // namespace startscope
