#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# Builds the fuzzers with clang and runs each for SECONDS: run.sh SECONDS [FUZZER …].
# BUILD is an ordinary build of the tests, for seeds; FUZZ_BUILD is where the fuzzers are built and what
# they find is kept. Fails when one of them finds something.

set -eu
if [ $# -lt 1 ]; then
  echo "usage: $0 SECONDS [FUZZER ...]" >&2
  exit 2
fi
seconds=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$root/build}
fuzz_build=${FUZZ_BUILD:-$root/build-fuzz}

mkdir -p "$fuzz_build"
"$root/tests/fuzz/instrumented_civetweb.sh" "$fuzz_build/civetweb"
# Its source package has all its code in the header, to be instrumented with ours.
httplib=$fuzz_build/httplib-$(dpkg-query -W -f '${source:Version}' libcpp-httplib-dev)
ls "$httplib"/source/cpp-httplib-*/httplib.h >/dev/null 2>&1 ||
  "$root/tests/debian_source.sh" "$httplib" cpp-httplib "${httplib#"$fuzz_build"/httplib-}"
cmake -S "$root" -B "$fuzz_build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DSTARTSCOPE_FUZZ=ON -DSTARTSCOPE_TESTS=ON \
  -DSTARTSCOPE_FUZZED_CIVETWEB="$fuzz_build/civetweb/lib/libcivetweb.a" \
  -DSTARTSCOPE_FUZZED_HTTPLIB="$(echo "$httplib"/source/cpp-httplib-*/)" >"$fuzz_build/configure.log" 2>&1 || {
  cat "$fuzz_build/configure.log" >&2
  exit 1
}
nice -n 19 cmake --build "$fuzz_build" --target fuzzers
python3 "$root/tests/fuzz/make_corpus.py" "$build" "$fuzz_build/seeds"

if [ $# -eq 0 ]; then
  set -- $(tr ';' ' ' <"$fuzz_build/fuzzers.txt")
fi
# A hang is told by the clock: other work on the machine is to be none.
hang_seconds=60
found=0
for fuzzer in "$@"; do
  work=$fuzz_build/fuzz/$fuzzer
  mkdir -p "$work/corpus" "$work/artifacts" "$fuzz_build/seeds/$fuzzer"
  status=0
  nice -n 19 "$fuzz_build/bin/$fuzzer" -max_total_time="$seconds" -max_len=98304 \
    -timeout=$hang_seconds -report_slow_units=$hang_seconds -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$work/artifacts/" "$work/corpus" \
    "$fuzz_build/seeds/$fuzzer" >"$work/log" 2>&1 || status=$?
  count() { find "$work/artifacts" -name "$1-*" | wc -l; }
  figure() { sed -n "s/^stat::$1: *//p" "$work/log" | tail -1; }
  echo "$fuzzer: $(figure number_of_executed_units) executions," \
    "$(find "$work/corpus" -type f | wc -l) inputs kept, $(count crash) crashes, $(count leak) leaks," \
    "$(count timeout) hangs, $(count oom) out of memory, slowest $(figure slowest_unit_time_sec) s," \
    "at most $(figure peak_rss_mb) MiB (log: $work/log)"
  if [ $status -ne 0 ] || [ -n "$(ls -A "$work/artifacts")" ]; then found=1; fi
done
exit $found
