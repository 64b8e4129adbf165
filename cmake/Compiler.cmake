# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# Compiler flags for all of our own code, and ccache where it is installed.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
add_compile_options(-Wall -Wextra -Wno-unused-parameter)
add_compile_definitions(_FORTIFY_SOURCE=2)
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,-z,relro,-z,now)

# The libraries that we link are not instrumented; tests/sanitize.sh knows what follows from that.
if(STARTSCOPE_SANITIZE)
  add_compile_options(-fsanitize=${STARTSCOPE_SANITIZE} -O1 -fno-omit-frame-pointer
                      -U_FORTIFY_SOURCE)
  add_link_options(-fsanitize=${STARTSCOPE_SANITIZE})
endif()

# startscope_library(NAME SOURCES … LINK …): one stage, one static library, included from the root.
function(startscope_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()
