#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# instrumented_abseil.sh DIRECTORY: the Abseil that is installed, from its Debian source package, built
# with ThreadSanitizer as static libraries in DIRECTORY/lib. With the same version and options it takes
# the place of Debian's libraries for all that is linked, gRPC included: a lock that ThreadSanitizer does
# not see protects nothing in its eyes. Sources come from where this machine's packages come from; its
# list of packages stays as it is.

set -eu

prefix=$1
version=$(dpkg-query -W -f '${source:Version}' libabsl-dev)
if [ "$(cat "$prefix/version" 2>/dev/null)" = "$version" ]; then exit 0; fi
rm -rf "$prefix"
mkdir -p "$prefix/source" "$prefix/apt/sources" "$prefix/apt/state/lists/partial" \
  "$prefix/apt/cache/archives/partial"
cd "$prefix/source"

# Of the sources of binary packages that this machine has, those of source packages.
for list in /etc/apt/sources.list.d/*.sources; do
  [ -e "$list" ] && sed 's/^Types:.*/Types: deb-src/' "$list" >"$prefix/apt/sources/${list##*/}"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$list" ] && sed -n 's/^deb\(-src\)\{0,1\}\([[:space:]]\)/deb-src\2/p' "$list" \
    >"$prefix/apt/sources/${list##*/}.list"
done
private_apt() {
  apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$prefix/apt/sources" \
    -o Dir::State="$prefix/apt/state" -o Dir::State::status=/var/lib/dpkg/status \
    -o Dir::Cache="$prefix/apt/cache" -o APT::Sandbox::User=root "$@"
}
private_apt update
private_apt source "abseil=$version"

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
