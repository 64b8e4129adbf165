#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# debian_source.sh DIRECTORY SOURCE VERSION: a Debian source package, unpacked in DIRECTORY/source. Sources
# come from where this machine's packages come from; its list of packages stays as it is.

set -eu

prefix=$1
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
private_apt source "$2=$3"
