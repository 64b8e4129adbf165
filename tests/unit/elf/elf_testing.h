// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// What the tests of the elf stage share: inspecting a file by path, and binutils as the independent
// witness of what is in it.

#ifndef STARTSCOPE_TESTS_UNIT_ELF_ELF_TESTING_H_
#define STARTSCOPE_TESTS_UNIT_ELF_ELF_TESTING_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/elf/image_inspector.h"
#include "tests/unit/elf/debug_candidates.h"

namespace startscope {

inline constexpr char kGlibcLoader[] = "/lib64/ld-linux-x86-64.so.2";
inline constexpr char kMuslLoader[] = "/lib/ld-musl-x86_64.so.1";

// One of tests/programs, and one of the samples built beside these tests.
inline std::string Program(const std::string& name) {
  return std::string(STARTSCOPE_PROGRAMS) + "/" + name;
}
inline std::string Sample(const std::string& name) {
  return std::string(STARTSCOPE_ELF_SAMPLES) + "/" + name;
}

inline ImageFacts Inspect(const std::string& path, bool debug_files = true) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  EXPECT_TRUE(fd.valid()) << path;
  InspectOptions options;
  options.path_label = path;
  DebugCandidates debug(fd, path);
  if (debug_files) options.debug_candidates = debug.sources();
  return InspectImage(fd.get(), options);
}

inline ImageFacts InspectLibrary(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  EXPECT_TRUE(fd.valid()) << path;
  InspectOptions options;
  options.path_label = path;
  options.is_library = true;
  return InspectImage(fd.get(), options);
}

// Programs and libraries of this machine, of the test programs and of the samples: from several
// compilers, linkers, languages and C libraries, for tests that hold for all of them.
inline std::vector<std::string> ManyFiles() {
  std::vector<std::string> paths = {"/bin/ls",
                                    "/bin/bash",
                                    "/usr/bin/perl",
                                    "/usr/bin/git",
                                    "/usr/bin/python3",
                                    "/usr/bin/node",
                                    "/usr/bin/gdb",
                                    "/lib/x86_64-linux-gnu/libc.so.6",
                                    "/lib/x86_64-linux-gnu/libm.so.6",
                                    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
                                    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
                                    "/usr/lib/x86_64-linux-gnu/libprotobuf.so.32",
                                    "/lib/x86_64-linux-gnu/libz.so.1",
                                    kGlibcLoader,
                                    kMuslLoader};
  for (const char* name : {"hello_glibc_dynamic", "hello_glibc_static", "hello_glibc_static_pie",
                           "hello_musl_static", "hello_rust", "freestanding_c"}) {
    paths.push_back(Program(name));
  }
  for (const char* name :
       {"go_pie", "go_external", "rust_static", "rust_static_pie", "musl_static_pie"}) {
    paths.push_back(Sample(name));
  }
  for (const char* name :
       {"linked_pie", "linked_relr", "linked_now", "linked_norelro", "linked_static",
        "linked_static_pie", "linked_copy", "linked_sysv_hash", "linked_both_hashes",
        "linked_one_segment", "linked_gold", "linked_execstack", "linked_rpath", "linked_runpath",
        "linked_emit_relocs", "linked_library.so", "linked_tlsdesc.so", "linked_relr_library.so",
        "linked_textrel.so"}) {
    paths.push_back(Sample(name));
    paths.push_back(Sample(name) + "_stripped");
  }
  return paths;
}

inline const MarkSite* Site(const ImageFacts& facts, MarkKind kind) {
  for (const MarkSite& site : facts.sites) {
    if (site.kind == kind) return &site;
  }
  return nullptr;
}

inline std::string Output(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
    text += buffer.data();
  }
  if (pipe != nullptr) pclose(pipe);
  return text;
}

struct Extent {
  uint64_t address = 0;
  uint64_t size = 0;
};

// The first symbol whose name, without version, is or (with `part`) contains `name`, as readelf
// prints it.
inline std::optional<Extent> ReadelfSymbol(const std::string& path, const std::string& name,
                                           bool part = false) {
  std::istringstream lines(Output("readelf -sW " + path + " 2>/dev/null"));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string index, value, size, type, bind, visibility, section, symbol;
    fields >> index >> value >> size >> type >> bind >> visibility >> section >> symbol;
    const std::string bare = symbol.substr(0, symbol.find('@'));
    if (section == "UND" || !(part ? bare.find(name) != std::string::npos : bare == name)) continue;
    return Extent{std::stoull(value, nullptr, 16), std::stoull(size, nullptr, 0)};
  }
  return std::nullopt;
}

inline std::vector<uint8_t> FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace startscope

#endif  // STARTSCOPE_TESTS_UNIT_ELF_ELF_TESTING_H_
