#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# instrumented_abseil.sh DIRECTORY: the Abseil that is installed, from its Debian source package, built
# with ThreadSanitizer as static libraries in DIRECTORY/lib. With the same version and options it takes
# the place of Debian's libraries for all that is linked, gRPC included: a lock that ThreadSanitizer does
# not see protects nothing in its eyes.

set -eu

prefix=$1
version=$(dpkg-query -W -f '${source:Version}' libabsl-dev)
if [ "$(cat "$prefix/version" 2>/dev/null)" = "$version" ]; then exit 0; fi
"$(dirname "$0")/debian_source.sh" "$prefix" abseil "$version"

# The options of Debian's static libraries, and the sanitizer.
cmake -S "$prefix"/source/abseil-*/ -B "$prefix/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_CXX_STANDARD=17 -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
  -DCMAKE_CXX_FLAGS="-fsanitize=thread -O1 -g1 -fno-omit-frame-pointer" -DABSL_ENABLE_INSTALL=ON \
  -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)"
nice -n 19 cmake --build "$prefix/build" --target install -j "$(nproc)"
# The headers are the installed ones, which are the same.
rm -rf "$prefix/include" "$prefix/build"
echo "$version" >"$prefix/version"
