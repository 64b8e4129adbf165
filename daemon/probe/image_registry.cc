// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/probe/image_registry.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"

namespace startscope {
namespace {

// A script's interpreter may be a script; the kernel follows five levels (fs/exec.c).
constexpr int kMaxInterpreters = 5;
constexpr absl::Duration kModificationCheck = absl::Milliseconds(200);
constexpr size_t kMaxRecentRoots = 16;
constexpr uint64_t kRootHeldNs = 1'000'000'000;

// Shares nothing with `file`, which may be closed meanwhile.
OpenedFile Duplicate(const OpenedFile& file) {
  OpenedFile copy;
  copy.fd.Reset(fcntl(file.fd.get(), F_DUPFD_CLOEXEC, 0));
  copy.id = file.id;
  copy.stamp = file.stamp;
  copy.owner = file.owner;
  copy.mode = file.mode;
  return copy;
}

// Kinds of the sites that a file has; bit per MarkKind.
uint32_t KindsOf(const ImageFacts& facts) {
  uint32_t kinds = 0;
  for (const MarkSite& site : facts.sites) kinds |= 1u << static_cast<unsigned>(site.kind);
  for (const InitFunction& function : facts.init_functions) {
    if (function.site.kind == MarkKind::kNone) continue;
    kinds |= 1u << static_cast<unsigned>(function.site.kind);
  }
  return kinds;
}

// Null: its process is gone, or may not be looked into.
std::shared_ptr<const UniqueFd> RootSeenBy(const FileViewer& viewer) {
  absl::StatusOr<UniqueFd> root = OpenRootOf(viewer.pid);
  return root.ok() ? std::make_shared<const UniqueFd>(*std::move(root)) : nullptr;
}

}  // namespace

ImageRegistry::ImageRegistry(const ImageRegistryOptions& options, Launcher* openers,
                             Inspector* inspector, ProbeAttacher* attacher,
                             std::function<void(const ImageEvent&)> publish,
                             std::function<void(const SymbolsEvent&)> publish_symbols)
    : options_(options),
      inspector_(inspector),
      attacher_(attacher),
      publish_(std::move(publish)),
      publish_symbols_(std::move(publish_symbols)),
      opener_(openers, {}),
      debug_opener_(openers, {}),
      debug_finder_(options.debug_files,
                    [this](const OpenRequest& request) { return debug_opener_.Open(request); }),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      requests_(options.max_waiting),
      resolver_([this] { ResolverLoop(); }) {}

ImageRegistry::~ImageRegistry() {
  requests_.Close();
  resolver_.join();
}

bool ImageRegistry::Request(const ProbeRequest& request) {
  ++asked_;
  return requests_.TryPush(request);
}

bool ImageRegistry::Request(const SymbolRequest& request) {
  ++asked_;
  return requests_.TryPush(request);
}

ImageRegistry::Counts ImageRegistry::counts() const {
  absl::MutexLock lock(&mutex_);
  return {.requests = asked_,
          .refused = requests_.dropped(),
          .looked_up = looked_up_,
          .not_opened = not_opened_,
          .admitted = next_number_ - 1,
          .evicted = evicted_};
}

FileToInspect ImageRegistry::ToInspect(const OpenedFile& file, const Origin& origin) {
  FileToInspect wanted = {file.fd.get(), origin.path, file.stamp, file.owner, file.mode, {}};
  const DebuggedImage image = {wanted.fd, origin.path, origin.root, file.owner, file.mode};
  wanted.open_debug_candidates = [this, image](const DebugReference& reference) {
    return debug_finder_.Find(reference, image);
  };
  return wanted;
}

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
    if (request) {
      std::visit([this](const auto& one) { Resolve(one); }, *request);
    } else {
      inspector_->Tend();
    }
  }
}

std::shared_ptr<const UniqueFd> ImageRegistry::RootOf(uint32_t pid, uint32_t parent_pid) {
  for (const uint32_t process : {pid, parent_pid}) {
    const auto recent =
        std::find_if(recent_roots_.begin(), recent_roots_.end(),
                     [process](const RecentRoot& one) { return one.pid == process; });
    absl::StatusOr<UniqueFd> root = OpenRootOf(process);
    if (!root.ok()) {
      if (recent != recent_roots_.end()) return recent->root;
      continue;
    }
    // It may have another root by now (chroot, pivot_root).
    if (recent != recent_roots_.end()) recent_roots_.erase(recent);
    if (recent_roots_.size() >= kMaxRecentRoots) recent_roots_.pop_back();
    recent_roots_.push_front(
        {process, BoottimeNs(), std::make_shared<const UniqueFd>(*std::move(root))});
    return recent_roots_.front().root;
  }
  return std::make_shared<const UniqueFd>();
}

void ImageRegistry::Resolve(const ProbeRequest& request) {
  ++looked_up_;
  {
    // Known since it was asked for: as the loader of an executable, for example.
    absl::MutexLock lock(&mutex_);
    const auto known = images_.find(request.file);
    // One that could not be read may have changed.
    if (known != images_.end() && known->second->facts->error.empty() &&
        (request.is_library || known->second->facts->kind != ImageKind::kLibrary)) {
      if (ShouldAttach(*known->second)) Attach(*known->second);
      return Publish(*known->second);
    }
  }
  // A short-lived process is gone at any moment: its root, once open, stays.
  const std::shared_ptr<const UniqueFd> root = RootOf(request.pid, request.parent_pid);
  OpenRequest wanted;
  wanted.how = OpenRequest::How::kMapped;
  wanted.path = request.path;
  wanted.root = root;
  wanted.expected = {request.file, request.file};
  if (request.map_address == 0) {
    wanted.how = OpenRequest::How::kExecutableOf;
    wanted.pid = request.pid;
    wanted.expected.mapped = request.mapped_file;
  }
  absl::StatusOr<OpenedFile> file = opener_.Open(wanted);
  if (!file.ok()) return PublishFailure(request, file.status());
  const Role role = request.is_loader    ? Role::kLoader
                    : request.is_library ? Role::kLibrary
                                         : Role::kExecutable;
  const std::shared_ptr<const ImageFacts> facts =
      Admit(*std::move(file), {root, request.path}, role, /*publish_anyway=*/true);
  const std::string loader_path =
      facts->kind == ImageKind::kExecutable ? facts->interpreter : std::string();
  if (loader_path.empty() || !root->valid()) return;
  // The loader is asked for separately, when the process may be gone. What is in its place by now need
  // not be what was executed: its marks are placed when the kernel has told of its mapping.
  OpenRequest below;
  below.how = OpenRequest::How::kBelow;
  below.path = loader_path;
  below.root = root;
  absl::StatusOr<OpenedFile> loader = opener_.Open(below);
  // A name that the file alone states must not lead to what the kernel would never execute.
  if (!loader.ok() || (loader->mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) return;
  Admit(*std::move(loader), {root, loader_path}, Role::kLoader, /*publish_anyway=*/false,
        /*may_attach=*/false);
}

void ImageRegistry::Resolve(const SymbolRequest& request) {
  OpenedFile file;
  const std::shared_ptr<const UniqueFd> root = RootOf(request.pid, request.parent_pid);
  {
    absl::MutexLock lock(&mutex_);
    const auto known = images_.find(request.file);
    if (known != images_.end()) file = Duplicate(known->second->file);
  }
  if (!file.fd.valid()) {
    OpenRequest wanted;
    wanted.how = OpenRequest::How::kMapped;
    wanted.path = request.path;
    wanted.root = root;
    wanted.expected = {request.file, request.file};
    absl::StatusOr<OpenedFile> opened = opener_.Open(wanted);
    if (opened.ok()) file = *std::move(opened);
  }
  SymbolsEvent event;
  event.file = request.file;
  if (file.fd.valid()) {
    const std::vector<std::string> names =
        inspector_->FindFunctions(ToInspect(file, {root, request.path}), request.file_offsets);
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
         (wanted_.dlopen ? kDlopenKinds : 0u) | (wanted_.functions ? kFunctionMarks : 0u);
}

// Some site of it is wanted and not in place.
bool ImageRegistry::ShouldAttach(const Image& image) const {
  if (image.attached_boottime_ns != 0 || image.never_probe) return false;
  return (KindsOf(*image.facts) & WantedKinds()) != 0;
}

void ImageRegistry::PublishFailure(const ProbeRequest& request, const absl::Status& status) {
  ++not_opened_;
  auto facts = std::make_shared<ImageFacts>();
  facts->file = request.file;
  facts->path = request.path;
  facts->error = std::string(status.message());
  ImageEvent event;
  event.facts = std::move(facts);
  publish_(event);
}

std::shared_ptr<const ImageFacts> ImageRegistry::AdmitKnown(const OpenedFile& file, Role role,
                                                            bool publish_anyway, bool may_attach) {
  const auto found = images_.find(file.id);
  if (found == images_.end()) return nullptr;
  Image& image = *found->second;
  const bool is_more_than_library =
      role != Role::kLibrary && image.facts->kind == ImageKind::kLibrary;
  const bool may_be_readable_now = !image.facts->error.empty() && image.file.stamp != file.stamp;
  if (is_more_than_library || may_be_readable_now) {
    Detach(image);
    recency_.erase(image.recency);
    images_.erase(found);
    return nullptr;
  }
  recency_.splice(recency_.begin(), recency_, image.recency);
  const bool attach = may_attach && ShouldAttach(image);
  if (attach) Attach(image);
  if (attach || publish_anyway) Publish(image);
  return image.facts;
}

std::shared_ptr<const ImageFacts> ImageRegistry::Admit(OpenedFile file, const Origin& origin,
                                                       Role role, bool publish_anyway,
                                                       bool may_attach) {
  {
    absl::MutexLock lock(&mutex_);
    if (auto facts = AdmitKnown(file, role, publish_anyway, may_attach)) return facts;
  }
  const std::string& path = origin.path;
  std::string label = path;
  if (role == Role::kLoader && !file.name.empty()) {
    // What loaders are called by is a link; the file's own name may tell the version.
    label = absl::StrCat(path.substr(0, path.rfind('/') + 1), file.name);
  }
  Inspector::Result result = inspector_->Inspect(ToInspect(file, {origin.root, label}),
                                                 {role == Role::kLoader, role == Role::kLibrary});
  result.facts.file = file.id;
  std::erase_if(result.facts.sites, [this](const MarkSite& site) {
    return (options_.needless_marks & (1u << static_cast<unsigned>(site.kind))) != 0;
  });
  auto facts = std::make_shared<const ImageFacts>(std::move(result.facts));
  if (result.passing) {
    // Said of this start, and asked again for the next.
    ImageEvent event;
    event.facts = facts;
    publish_(event);
    return facts;
  }
  absl::MutexLock lock(&mutex_);
  // Somebody else may have been quicker.
  if (auto known = AdmitKnown(file, role, publish_anyway, may_attach)) return known;
  Evict();
  auto image = std::make_unique<Image>();
  image->never_probe = options_.never_probe.ExcludesFile(file.fd.get(), path, facts->build_id);
  if (image->never_probe) image->marks.error = absl::StrCat(path, ": not probed (--never-probe)");
  const FileId id = file.id;
  image->number = next_number_++;
  image->file = std::move(file);
  image->facts = facts;
  recency_.push_front(id);
  image->recency = recency_.begin();
  if (may_attach && ShouldAttach(*image)) Attach(*image);
  Publish(*image);
  images_.emplace(id, std::move(image));
  return facts;
}

void ImageRegistry::Attach(Image& image) {
  if (KindsOf(*image.facts) == 0) return;
  const int fd = image.file.fd.get();
  // Breakpoints are computed from the bytes that were read. When the file is written to, they must
  // go before anybody executes the new bytes.
  if (image.inotify_watch < 0) {
    image.inotify_watch =
        inotify_add_watch(inotify_.get(), absl::StrCat("/proc/self/fd/", fd).c_str(), IN_MODIFY);
  }
  // Written to after it was opened and before it was watched.
  struct stat status {};
  if (fstat(fd, &status) != 0 || FileStamp::Of(status).size_bytes != image.file.stamp.size_bytes ||
      FileStamp::Of(status).modified_ns != image.file.stamp.modified_ns) {
    image.marks.error = absl::StrCat(image.facts->path, ": was written to while it was looked at");
    return;
  }
  image.marks = attacher_->AttachMarks(image.number, fd, *image.facts, WantedKinds());
  image.attached_boottime_ns = image.marks.attached_marks != 0 ? BoottimeNs() : 0;
}

void ImageRegistry::AttachKnownNeeds(const ImageFacts& executable) {
  absl::flat_hash_map<std::string, Image*> by_name;
  for (const FileId& id : recency_) {
    Image* image = images_.at(id).get();
    if (image->facts->kind != ImageKind::kLibrary) continue;
    const std::string& path = image->facts->path;
    by_name.try_emplace(path.substr(path.rfind('/') + 1), image);
    if (!image->facts->soname.empty()) by_name.try_emplace(image->facts->soname, image);
  }
  absl::flat_hash_set<std::string> seen;
  std::vector<std::string> names = executable.needed;
  while (!names.empty()) {
    const std::string name = std::move(names.back());
    names.pop_back();
    const auto found = by_name.find(name);
    if (found == by_name.end() || !seen.insert(name).second) continue;
    Image& image = *found->second;
    names.insert(names.end(), image.facts->needed.begin(), image.facts->needed.end());
    if (!ShouldAttach(image)) continue;
    Attach(image);
    Publish(image);
  }
}

void ImageRegistry::Detach(Image& image) { Detach(std::vector<Image*>{&image}); }

void ImageRegistry::Detach(const std::vector<Image*>& images) {
  std::vector<uint32_t> numbers;
  for (Image* image : images) {
    if (image->inotify_watch >= 0) inotify_rm_watch(inotify_.get(), image->inotify_watch);
    image->inotify_watch = -1;
    if (image->attached_boottime_ns == 0) continue;
    numbers.push_back(image->number);
    image->marks = {};
    image->attached_boottime_ns = 0;
  }
  attacher_->DetachMarks(numbers);
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
    ++evicted_;
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

absl::StatusOr<OpenedFile> ImageRegistry::OpenFor(const FileViewer& viewer,
                                                  const std::string& path) {
  OpenRequest request;
  request.how = OpenRequest::How::kAsViewer;
  request.path = path;
  request.viewer = viewer;
  return opener_.Open(request);
}

absl::Status ImageRegistry::Prepare(const FileViewer& viewer, const std::string& path) {
  std::string next = path;
  const std::shared_ptr<const UniqueFd> root = RootSeenBy(viewer);
  for (int depth = 0; depth <= kMaxInterpreters; ++depth) {
    absl::StatusOr<OpenedFile> file = OpenFor(viewer, next);
    if (!file.ok()) return file.status();
    {
      absl::MutexLock lock(&mutex_);
      ForgetModifiedFiles();
    }
    const std::shared_ptr<const ImageFacts> facts =
        Admit(*std::move(file), {root, next}, Role::kExecutable, /*publish_anyway=*/false);
    {
      absl::MutexLock lock(&mutex_);
      if (wanted_.functions) AttachKnownNeeds(*facts);
    }
    if (!facts->error.empty()) return absl::InvalidArgumentError(facts->error);
    if (facts->interpreter.empty()) return absl::OkStatus();
    if (facts->kind == ImageKind::kScript) {
      next = facts->interpreter;
      continue;
    }
    next = facts->interpreter;
    absl::StatusOr<OpenedFile> loader = OpenFor(viewer, next);
    if (!loader.ok()) return loader.status();
    Admit(*std::move(loader), {root, facts->interpreter}, Role::kLoader, /*publish_anyway=*/false);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": more than ", kMaxInterpreters, " interpreters deep"));
}

absl::Status ImageRegistry::PrepareLibrary(const FileViewer& viewer, const std::string& path) {
  absl::StatusOr<OpenedFile> file = OpenFor(viewer, path);
  if (!file.ok()) return file.status();
  const std::shared_ptr<const ImageFacts> facts =
      Admit(*std::move(file), {RootSeenBy(viewer), path}, Role::kLibrary, /*publish_anyway=*/false);
  return facts->error.empty() ? absl::OkStatus() : absl::InvalidArgumentError(facts->error);
}

absl::Status ImageRegistry::PrepareOwn(const std::string& path, Role role) {
  OpenRequest request;
  request.path = path;
  absl::StatusOr<OpenedFile> file = opener_.Open(request);
  if (!file.ok()) return file.status();
  Admit(*std::move(file), {nullptr, path}, role, /*publish_anyway=*/false);
  return absl::OkStatus();
}

void ImageRegistry::WantMarks(const WantedMarks& wanted, bool known_too) {
  absl::MutexLock lock(&mutex_);
  const bool changed = wanted != wanted_;
  const uint32_t before = WantedKinds();
  wanted_ = wanted;
  std::vector<Image*> attached;
  for (auto& [id, image] : images_) {
    // Marks that are in place stay so where nothing of theirs changes.
    const uint32_t kinds = KindsOf(*image->facts);
    if (image->attached_boottime_ns != 0 && changed && (kinds & before) != (kinds & WantedKinds())) {
      attached.push_back(image.get());
    }
  }
  Detach(attached);
  for (Image* image : attached) {
    if (ShouldAttach(*image)) Attach(*image);
    Publish(*image);
  }
  for (auto& [id, image] : images_) {
    if (image->attached_boottime_ns != 0) continue;
    const bool wanted_here =
        known_too || (wanted.dlopen && image->facts->kind == ImageKind::kLibrary);
    if (!wanted_here || !ShouldAttach(*image)) continue;
    Attach(*image);
    Publish(*image);
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
