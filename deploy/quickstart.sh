#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# quickstart.sh [-- COMMAND…]: on Debian 12, as root: installs what the build needs, builds, and prints
# the startup breakdown of a command (default: /bin/ls), traced live.

set -eu

fail() {
  echo "quickstart: $1" >&2
  exit 1
}

[ "${1:-}" = "--" ] && shift
[ $# -gt 0 ] || set -- /bin/ls
root=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" -eq 0 ] || fail "tracing needs root; run it with sudo"
[ -r /sys/kernel/btf/vmlinux ] ||
  fail "/sys/kernel/btf/vmlinux is not there: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which startscope needs"

"$root/deploy/install_packages.sh" "$root/deploy/packages.txt"
cmake -S "$root" -B "$root/build" -G Ninja -DSTARTSCOPE_TESTS="${STARTSCOPE_TESTS:-OFF}" >&2
cmake --build "$root/build" --target startscope startscoped >&2
exec "$root/build/bin/startscope" run -- "$@"
