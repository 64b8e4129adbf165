#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# instrumented_civetweb.sh DIRECTORY: the CivetWeb that is installed, from its Debian source package and
# with Debian's options, built with AddressSanitizer and for libFuzzer as DIRECTORY/lib/libcivetweb.a.

set -eu

prefix=$1
version=$(dpkg-query -W -f '${source:Version}' libcivetweb-dev)
if [ "$(cat "$prefix/version" 2>/dev/null)" = "$version" ]; then exit 0; fi
"$(dirname "$0")/../debian_source.sh" "$prefix" civetweb "$version"
cmake -S "$prefix"/source/civetweb-*/ -B "$prefix/build" -G Ninja -DCMAKE_BUILD_TYPE=None \
  -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS="-fsanitize=fuzzer-no-link,address -O1 -g1" \
  -DBUILD_SHARED_LIBS=OFF -DCIVETWEB_BUILD_TESTING=OFF -DCIVETWEB_ENABLE_SERVER_EXECUTABLE=OFF \
  -DCIVETWEB_ENABLE_WEBSOCKETS=ON -DCIVETWEB_SOVERSION=1 -DCMAKE_INSTALL_PREFIX="$prefix" \
  -DCMAKE_INSTALL_LIBDIR=lib
nice -n 19 cmake --build "$prefix/build" --target install
# The headers are the installed ones, which are the same.
rm -rf "$prefix/include" "$prefix/build"
echo "$version" >"$prefix/version"
