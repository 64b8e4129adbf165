// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#include "daemon/collect/perf_event.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "daemon/base/errno_status.h"

namespace startscope {

absl::StatusOr<UniqueFd> OpenPerfEvent(const perf_event_attr& attributes, int cpu) {
  perf_event_attr copy = attributes;
  copy.size = sizeof(copy);
  const long fd =
      syscall(SYS_perf_event_open, &copy, /*pid=*/-1, cpu, /*group_fd=*/-1, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(errno, absl::StrCat("perf_event_open on CPU ", cpu),
                       "needs CAP_PERFMON, and CAP_SYS_ADMIN where "
                       "/proc/sys/kernel/perf_event_paranoid is 3");
  }
  return UniqueFd(static_cast<int>(fd));
}

std::vector<int> OnlineCpus() {
  std::vector<int> cpus;
  FILE* file = std::fopen("/sys/devices/system/cpu/online", "re");
  if (file != nullptr) {
    int first = 0;
    while (std::fscanf(file, "%d", &first) == 1) {
      int last = first;
      int separator = std::fgetc(file);
      if (separator == '-') {
        if (std::fscanf(file, "%d", &last) != 1) break;
        separator = std::fgetc(file);
      }
      for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
      if (separator != ',') break;
    }
    std::fclose(file);
  }
  if (cpus.empty()) {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace startscope
