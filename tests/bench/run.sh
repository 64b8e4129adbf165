#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# run.sh [short|full]: installs the peers, builds, and measures startscope beside them. `short` takes a minute,
# leaves the peers out and fails on gross regressions only; `full` (the default) takes far longer and prints
# what docs/performance.md holds. Needs root. On a machine that does nothing else.

set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
build=${STARTSCOPE_BUILD:-$root/build}
what=${1:-full}

case $what in
  short | full) ;;
  *)
    echo "run.sh: $what: must be short or full" >&2
    exit 2
    ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  echo "run.sh: measuring traced starts needs root" >&2
  exit 1
fi

if [ -z "${STARTSCOPE_BENCH_MOUNTED:-}" ]; then
  "$root/deploy/install_packages.sh" "$root/deploy/packages.txt" "$root/tests/packages.txt" \
    "$root/tests/bench/packages.txt"
  cmake -S "$root" -B "$build" -G Ninja -DSTARTSCOPE_TESTS=ON >/dev/null
  cmake --build "$build" >/dev/null
  # Some peers find tracepoints through these; mounted for this run alone.
  exec env STARTSCOPE_BENCH_MOUNTED=1 unshare --mount --propagation private "$0" "$what"
fi
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing
[ -d /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug

echo "## $(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo
case $what in
  short)
    /usr/bin/python3 "$root/tests/bench/startup_overhead.py" --build "$build" --rounds 8 --starts 36 \
      --programs glibc,go --tracers startscope --gate
    /usr/bin/python3 "$root/tests/bench/bystanders.py" --build "$build" --rounds 6 \
      --rows phases-following,objects-following --gate
    "$build/bench/model_throughput" 3 "$root"/tests/data/*.rec
    /usr/bin/python3 "$root/tests/bench/daemon_figures.py" --build "$build" --storm-seconds 5 --gate
    ;;
  full)
    /usr/bin/python3 "$root/tests/bench/startup_overhead.py" --build "$build" --details
    /usr/bin/python3 "$root/tests/bench/cost_told.py" --build "$build"
    /usr/bin/python3 "$root/tests/bench/bystanders.py" --build "$build"
    /usr/bin/python3 "$root/tests/bench/bystanders.py" --build "$build" --programs
    "$build/bench/model_throughput" 20 "$root"/tests/data/*.rec
    /usr/bin/python3 "$root/tests/bench/daemon_figures.py" --build "$build" --storm-seconds 60
    ;;
esac
