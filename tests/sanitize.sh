#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# sanitize.sh unit|integration [NAME …]: builds with AddressSanitizer and UndefinedBehaviorSanitizer in a
# directory of its own, and runs the unit tests (those whose names match NAME), or, as root, the
# integration tests. What cannot run in such a build is named, with the reason. Ends with one line,
# "N passed, N failed".
#
# There is no ThreadSanitizer here: all our locks are Abseil's, and Debian's Abseil is not instrumented, so
# that whatever a lock protects would be told of as a race.

set -u

root=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-unit}
case $what in
  unit | integration) ;;
  *)
    echo "usage: $0 unit|integration [NAME ...]" >&2
    exit 2
    ;;
esac
[ $# -gt 0 ] && shift
build=${SANITIZE_BUILD:-$root/build-sanitize}

cmake -S "$root" -B "$build" -G Ninja -DSTARTSCOPE_TESTS=ON -DSTARTSCOPE_SANITIZE=ON \
  >"$build.configure.log" 2>&1 || {
  cat "$build.configure.log" >&2
  exit 1
}
nice -n 19 cmake --build "$build" ${SANITIZE_TARGETS:+--target $SANITIZE_TARGETS} || exit 1

reports=$build/reports
rm -rf "$reports"
mkdir -p "$reports"
# A report must fail the test that it is about, also where it comes from a program that the test starts.
export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:strict_string_checks=1"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1:halt_on_error=1"
export LSAN_OPTIONS="suppressions=$root/tests/sanitize.supp:print_suppressions=0"

# Tests that such a build cannot run: a pattern for ctest -E, and why.
left_out() {
  echo "left out: $1: $2"
  excluded=${excluded:+$excluded|}$1
}
excluded=
left_out 'SandboxTest|InspectorTest|InspectTest' \
  "the sandbox bounds address space and system calls, of which a sanitizer's runtime needs others; the fuzzers run the same code with AddressSanitizer"

if [ "$what" = unit ]; then
  log=$build/unit.log
  nice -n 19 ctest --test-dir "$build" -L unit -E "$excluded" ${1:+-R "$(echo "$@" | tr ' ' '|')"} \
    --output-on-failure --timeout 600 -j "$(nproc)" | tee "$log"
  total=$(sed -n 's/.* tests failed out of \([0-9]*\)$/\1/p' "$log")
  failed=$(sed -n 's/.* passed, \([0-9]*\) tests failed out of .*/\1/p' "$log")
  passed=$((${total:-0} - ${failed:-0}))
  [ -n "$total" ] || failed=1
else
  echo "left out: the inspector: as above; it is taken from an ordinary build (BUILD)"
  cp "${BUILD:-$root/build}/bin/startscope-inspector" "$build/bin/startscope-inspector" || exit 1
  log=$build/integration.log
  # The filter of system calls knows what the daemon calls, not what a sanitizer's runtime does.
  STARTSCOPE_SECCOMP=off /usr/bin/python3 "$root/tests/integration/run.py" --build "$build" "$@" 2>&1 | tee "$log"
  counts=$(sed -n 's/^integration: \([0-9]*\) passed, \([0-9]*\) failed\r*$/\1 \2/p' "$log" | tail -n 1)
  passed=${counts% *}
  failed=${counts#* }
  [ -n "$counts" ] || failed=1
fi
found=$(find "$reports" -type f | wc -l)
for report in $(find "$reports" -type f | head -n 5); do
  echo "--- $report"
  head -n 60 "$report"
done
echo "$found reports ($reports)"
echo "${passed:-0} passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$found" -eq 0 ] && [ "${passed:-0}" -gt 0 ]
