# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# Everything we link, as targets named deps::*. gRPC and Abseil are linked statically: a client that
# loads gRPC dynamically maps 57 objects and starts in 8 ms, linked statically in 2 ms.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# One link item that holds a whole group of archives, whatever their order: CMake must neither reorder
# nor deduplicate what is inside.
function(startscope_archive_group target)
  string(JOIN "," joined ${ARGN})
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(${target} INTERFACE "-Wl,--start-group,${joined},--end-group"
                                            Threads::Threads rt dl)
endfunction()

function(startscope_find_archives output)
  set(archives)
  foreach(name IN LISTS ARGN)
    find_library(LIB_${name} NAMES lib${name}.a REQUIRED)
    list(APPEND archives ${LIB_${name}})
  endforeach()
  set(${output} ${archives} PARENT_SCOPE)
endfunction()

find_library(LIB_absl_base NAMES libabsl_base.a REQUIRED)
get_filename_component(ABSL_LIBRARY_DIR ${LIB_absl_base} DIRECTORY)
file(GLOB ABSL_ARCHIVES ${ABSL_LIBRARY_DIR}/libabsl_*.a)
list(FILTER ABSL_ARCHIVES EXCLUDE REGEX "libabsl_flags|_test_util")
startscope_archive_group(deps::absl ${ABSL_ARCHIVES})

startscope_find_archives(GRPC_ARCHIVES grpc++_reflection grpc++ grpc gpr upb address_sorting re2
                         cares ssl crypto z protobuf)
startscope_archive_group(deps::grpc ${GRPC_ARCHIVES} ${ABSL_ARCHIVES})

pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf>=1.1)
add_library(deps::libbpf ALIAS PkgConfig::LIBBPF)

find_package(LibLZMA REQUIRED)
add_library(deps::lzma INTERFACE IMPORTED GLOBAL)
target_link_libraries(deps::lzma INTERFACE LibLZMA::LibLZMA)

find_package(zydis REQUIRED)
add_library(deps::zydis INTERFACE IMPORTED GLOBAL)
target_link_libraries(deps::zydis INTERFACE Zydis)

pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
add_library(deps::seccomp ALIAS PkgConfig::SECCOMP)

find_package(CLI11 REQUIRED)

find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_program(CLANG NAMES clang clang-14 REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
