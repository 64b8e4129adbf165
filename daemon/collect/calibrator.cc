// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/calibrator.h"

#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "daemon/base/clock.h"
#include "daemon/base/errno_status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/collect/sideband.h"

namespace startscope {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kFaults = 64;
constexpr size_t kMappings = 16;
constexpr size_t kHits = 16;
// Each is measured so often, and the least counts: what disturbs only adds.
constexpr int kRepetitions = 4;
constexpr int kAnswerMs = 500;
constexpr size_t kMostDisturbedBytes = 2 << 20;
constexpr size_t kLineBytes = 64;
constexpr uint32_t kImage = 0xffffff;  // no image of the registry has this number
constexpr uint32_t kSmallRingPages = 16;
constexpr uint32_t kSmallRingBytes = 256 << 10;
// What is attached for it.
constexpr absl::string_view kPrograms[] = {"on_fault_user", "on_fault_kernel", "on_fault_minor",
                                           "on_fault_major", "on_mark"};

enum class Work : uint8_t { kFaults, kMappings, kHits, kCodePages };

// The breakpoint goes to the push, which the kernel emulates as it does the instructions that marks are
// put on.
extern "C" void startscope_calibration_target();
asm(R"(
  .pushsection .text.startscope_calibration, "ax", @progbits
  .balign 4096
  .globl startscope_calibration_target
  .hidden startscope_calibration_target
  .type startscope_calibration_target, @function
startscope_calibration_target:
  push %rbp
  pop %rbp
  ret
  .size startscope_calibration_target, .-startscope_calibration_target
  .popsection
)");

// A starting program runs a few microseconds, and the kernel for it, between two probes: what a probe runs
// and reads has then left the nearer caches for the most part, and costs twice what it does in a tight loop.
// With as much memory used in between as the second-level cache holds, the sum comes close to what starts are
// seen to take longer (tests/bench/startup_overhead.py).
void LeaveCaches(int program) {
  static char memory[kMostDisturbedBytes];
  static const size_t bytes = [] {
    const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
    std::memset(memory, 1, sizeof(memory));  // or all of it would be one page of zeros
    return cache > 0 ? std::min(static_cast<size_t>(cache), sizeof(memory)) : sizeof(memory) / 2;
  }();
  const volatile char* lines = memory;
  for (size_t i = 0; i < bytes; i += kLineBytes) (void)lines[i];
  [[maybe_unused]] const ssize_t ignored = pread(program, memory, kPageBytes, 0);
  [[maybe_unused]] const int also_ignored = access("/", R_OK);
}

// What the middle one of so many steps takes. 0: one failed.
template <size_t kCount, typename Step>
uint64_t TimeSteps(int program, Step step) {
  std::array<uint64_t, kCount> took_ns;
  for (size_t i = 0; i < kCount; ++i) {
    LeaveCaches(program);
    const uint64_t begin_ns = BoottimeNs();
    if (!step(i)) return 0;
    took_ns[i] = BoottimeNs() - begin_ns;
  }
  std::nth_element(took_ns.begin(), took_ns.begin() + kCount / 2, took_ns.end());
  return took_ns[kCount / 2];
}

uint64_t TouchPages(int program) {
  auto* pages = static_cast<volatile char*>(mmap(nullptr, kFaults * kPageBytes, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (pages == MAP_FAILED) return 0;
  madvise(const_cast<char*>(pages), kFaults * kPageBytes, MADV_NOHUGEPAGE);
  const uint64_t took_ns = TimeSteps<kFaults>(program, [&](size_t i) {
    pages[i * kPageBytes] = 1;
    return true;
  });
  munmap(const_cast<char*>(pages), kFaults * kPageBytes);
  return took_ns;
}

// Maps a page of our own program so often.
uint64_t MapPages(int program, off_t offset, int protection) {
  return TimeSteps<kMappings>(program, [&](size_t) {
    void* page = mmap(nullptr, kPageBytes, protection, MAP_PRIVATE, program, offset);
    return page != MAP_FAILED && munmap(page, kPageBytes) == 0;
  });
}

uint64_t CallTarget(int program) {
  return TimeSteps<kHits>(program, [](size_t) {
    startscope_calibration_target();
    return true;
  });
}

uint64_t Perform(Work work, int program, off_t target_page) {
  switch (work) {
    case Work::kFaults:
      return TouchPages(program);
    case Work::kMappings:
      return MapPages(program, 0, PROT_READ);
    case Work::kHits:
      return CallTarget(program);
    case Work::kCodePages:
      return MapPages(program, target_page, PROT_READ | PROT_EXEC);
  }
  return 0;
}

// Where the target lies in the file that we run.
std::optional<uint64_t> TargetOffset() {
  struct Search {
    uint64_t address;
    std::optional<uint64_t> offset;
  } search{reinterpret_cast<uint64_t>(&startscope_calibration_target), std::nullopt};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto* wanted = static_cast<Search*>(data);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          const uint64_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type != PT_LOAD || wanted->address < begin ||
              wanted->address - begin >= segment.p_filesz) {
            continue;
          }
          wanted->offset = segment.p_offset + (wanted->address - begin);
        }
        return 1;  // the program itself comes first
      },
      &search);
  return search.offset;
}

// A child that does what it is told to, and says how long one piece of it took.
class Worker {
 public:
  static absl::StatusOr<Worker> Start(int program, uint64_t target_offset) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      return ErrnoStatus(errno, "calibration: making a socket pair");
    }
    UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    const pid_t pid = fork();
    if (pid < 0) return ErrnoStatus(errno, "calibration: forking a child");
    if (pid == 0) {
      // Only what is safe in the child of a process with threads. It ends with its other end.
      close(ours.get());
      Work work{};
      while (read(theirs.get(), &work, sizeof(work)) == sizeof(work)) {
        const auto page = static_cast<off_t>(target_offset & ~(kPageBytes - 1));
        const uint64_t took_ns = Perform(work, program, page);
        if (write(theirs.get(), &took_ns, sizeof(took_ns)) != sizeof(took_ns)) break;
      }
      _exit(0);
    }
    return Worker(pid, std::move(ours));
  }
  Worker(Worker&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), socket_(std::move(other.socket_)) {}
  Worker& operator=(Worker&&) = delete;
  ~Worker() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  // The least of some repetitions; 0: it did not answer.
  uint64_t Least(Work work) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < kRepetitions; ++i) {
      uint64_t took_ns = 0;
      pollfd answer{socket_.get(), POLLIN, 0};
      if (write(socket_.get(), &work, sizeof(work)) != sizeof(work) ||
          poll(&answer, 1, kAnswerMs) != 1 ||
          read(socket_.get(), &took_ns, sizeof(took_ns)) != sizeof(took_ns) || took_ns == 0) {
        return 0;
      }
      least = std::min(least, took_ns);
    }
    return least;
  }

 private:
  Worker(pid_t pid, UniqueFd socket) : pid_(pid), socket_(std::move(socket)) {}

  pid_t pid_;
  UniqueFd socket_;
};

uint64_t Difference(uint64_t with, uint64_t without) {
  return without != 0 && with > without ? with - without : 0;
}

ImageFacts TargetFacts(uint64_t target_offset) {
  ImageFacts facts;
  facts.path = "/proc/self/exe";
  MarkSite site;
  site.kind = MarkKind::kDependenciesBegin;
  site.file_offset = target_offset;
  facts.sites.push_back(site);
  return facts;
}

}  // namespace

absl::StatusOr<ProbeCosts> CalibrateProbes(BpfObject* object, ProbeAttacher* attacher) {
  const UniqueFd program(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const std::optional<uint64_t> target = TargetOffset();
  if (!program.valid() || !target) return ErrnoStatus(errno, "calibration: opening /proc/self/exe");
  SS_ASSIGN_OR_RETURN(Worker worker, Worker::Start(program.get(), *target));
  const uint64_t fault_before = worker.Least(Work::kFaults);
  const uint64_t mapping = worker.Least(Work::kMappings);
  const uint64_t call = worker.Least(Work::kHits);
  const uint64_t code_page = worker.Least(Work::kCodePages);

  ProbeCosts costs;
  SS_RETURN_IF_ERROR(object->FollowForCalibration(worker.pid(), SS_LEVEL_PHASES));
  ProbeNeeds needs;
  needs.fault_entries = true;
  absl::Status status = attacher->SetNeeds(needs);
  const uint64_t recorded_fault = worker.Least(Work::kFaults);
  if (status.ok()) status = object->FollowForCalibration(worker.pid(), SS_LEVEL_OBJECTS);
  needs.fault_completions = true;
  if (status.ok()) status = attacher->SetNeeds(needs);
  const uint64_t completed_fault = status.ok() ? worker.Least(Work::kFaults) : 0;
  attacher->SetNeeds({}).IgnoreError();
  // A fault takes many times what is looked for, and the machine may have changed its pace meanwhile.
  const uint64_t fault = std::min(fault_before, worker.Least(Work::kFaults));
  costs.record_ns = Difference(recorded_fault, fault);
  costs.completed_fault_ns = Difference(completed_fault, fault);

  if (auto sideband = Sideband::Open(kSmallRingPages); sideband.ok()) {
    costs.mapping_ns = Difference(worker.Least(Work::kMappings), mapping);
  }

  const uint32_t kinds = 1u << static_cast<unsigned>(MarkKind::kDependenciesBegin);
  const auto marks = attacher->AttachMarks(kImage, program.get(), TargetFacts(*target), kinds);
  if (marks.attached_marks != 0) {
    costs.uprobe_hit_ns = Difference(worker.Least(Work::kHits), call);
    costs.breakpoint_page_ns = Difference(worker.Least(Work::kCodePages), code_page);
  }
  attacher->DetachMarks(kImage);
  object->ForgetCalibration();
  return status.ok() ? absl::StatusOr<ProbeCosts>(costs) : status;
}

absl::StatusOr<ProbeCosts> CalibrateProbesApart(const KernelFeatures& features,
                                                const BpfObjectOptions& options) {
  BpfObjectOptions own = options;
  own.ring_bytes = kSmallRingBytes;
  for (int i = 0; i < kBpfProgramCount; ++i) {
    const char* const name = kBpfPrograms[i];
    const bool needed = std::find(std::begin(kPrograms), std::end(kPrograms), name) != std::end(kPrograms);
    if (!needed && !IsEssentialProgram(name)) own.unwanted_programs.insert(name);
  }
  SS_ASSIGN_OR_RETURN(const std::unique_ptr<BpfObject> object, BpfObject::Load(features, own));
  ProbeAttacher attacher(object.get());
  return CalibrateProbes(object.get(), &attacher);
}

}  // namespace startscope
