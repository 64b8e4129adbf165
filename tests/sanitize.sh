#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# sanitize.sh address|thread unit|integration [NAME …]: builds with AddressSanitizer and
# UndefinedBehaviorSanitizer, or with ThreadSanitizer, in a directory of its own, and runs the unit tests
# (all, or the programs NAME), or, as root, the integration tests (all, or run.py's NAME). What does not run
# as in other builds is named, with the reason. Ends with one line, "N passed, N failed"; a report of a
# sanitizer from whatever program makes it fail.
#
# SANITIZE_BUILD is where to build, STARTSCOPE_WAIT_FACTOR by how much longer tests wait than elsewhere.

set -u

root=$(cd "$(dirname "$0")/.." && pwd)
sanitizer=${1:-}
what=${2:-}
case $sanitizer:$what in
  address:unit | address:integration | thread:unit | thread:integration) ;;
  *)
    echo "usage: $0 address|thread unit|integration [NAME ...]" >&2
    exit 2
    ;;
esac
shift 2
build=${SANITIZE_BUILD:-$root/build-$sanitizer}
mkdir -p "$build"

# configure_and_build DIRECTORY TARGETS OPTION …: TARGETS as one word.
configure_and_build() {
  directory=$1
  targets=$2
  shift 2
  mkdir -p "$directory"
  cmake -S "$root" -B "$directory" -G Ninja -DSTARTSCOPE_TESTS=ON "$@" >"$directory/configure.log" 2>&1 || {
    cat "$directory/configure.log" >&2
    exit 1
  }
  # shellcheck disable=SC2086
  nice -n 19 cmake --build "$directory" --target $targets || exit 1
}

case $sanitizer in
  address)
    configure_and_build "$build" "all" -DSTARTSCOPE_SANITIZE=address,undefined
    ;;
  thread)
    # Every lock of ours and of gRPC's is Abseil's.
    "$root/tests/instrumented_abseil.sh" "$build/abseil" || exit 1
    configure_and_build "$build" "all" -DSTARTSCOPE_SANITIZE=thread -DCMAKE_PREFIX_PATH="$build/abseil"
    ;;
esac

# What is for the sandbox, where no sanitizer's runtime can be: checks for undefined behaviour that need
# none, and end the process.
confined=$root/build-undefined
sandboxed='InspectorTest.*:SandboxTest.*:*ForbiddenTest.*'
confined_targets=startscope-inspector
[ "$what" = unit ] && confined_targets="$confined_targets inspect_test"
configure_and_build "$confined" "$confined_targets" -DSTARTSCOPE_SANITIZE=undefined \
  -DCMAKE_CXX_FLAGS=-fsanitize-undefined-trap-on-error
echo "otherwise: the inspector and the tests of its sandbox: with UndefinedBehaviorSanitizer alone, without" \
  "its runtime: the sandbox bounds address space and system calls, of which a runtime needs others; the" \
  "fuzzers run the same code with AddressSanitizer"
started_s=$(cut -d ' ' -f 1 /proc/uptime)

# left_out WHY TEST …: of the integration tests.
without=
left_out() {
  why=$1
  shift
  for test in "$@"; do
    echo "left out: $test: $why"
    without="$without --without $test"
  done
}

reports=$build/reports
rm -rf "$reports"
mkdir -p "$reports"
# Programs that gave up their privileges report too.
chmod 1777 "$reports"
# A report must fail the test that it is about, also where it comes from a program that the test starts.
export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=64"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1:halt_on_error=1"
export LSAN_OPTIONS="suppressions=$root/tests/sanitize_leaks.supp:print_suppressions=0"
# Which of its reports count is known only when they are read (race_reports.py).
export TSAN_OPTIONS="log_path=$reports/tsan:second_deadlock_stack=1:exitcode=0:abort_on_error=1"
export STARTSCOPE_WAIT_FACTOR="${STARTSCOPE_WAIT_FACTOR:-4}"

passed=0
failed=0

# run_tests DIRECTORY FILTER PROGRAM …: adds to passed and failed. A program is run once for all its tests: in
# such a build its start takes longer than most of them.
run_tests() {
  directory=$1
  filter=$2
  shift 2
  for name in "$@"; do
    log=$directory/$name.log
    nice -n 19 timeout 1800 "$directory/tests/$name" --gtest_filter="$filter" >"$log" 2>&1
    status=$?
    good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log")
    bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log")
    # One that ended before its last test.
    if [ $status -ne 0 ] && [ -z "$bad" ]; then bad=1; fi
    echo "$name: ${good:-0} passed, ${bad:-0} failed"
    [ -z "$bad" ] || grep -v '^\[ RUN \|^\[       OK ' "$log" | tail -n 40
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
  done
}

if [ "$what" = unit ]; then
  programs=$*
  if [ -z "$programs" ]; then
    programs=$(cd "$build/tests" && ls -d -- *_test)
    run_tests "$confined" "$sandboxed" inspect_test
  fi
  except=$sandboxed
  if [ "$sanitizer" = thread ]; then
    timed=LimitsTest.AGiantOfOneInstructionIsScannedInBoundedTime
    filtered=SyscallFilterTest.RefusesWhatTheDaemonNeverDoes
    echo "left out: $timed: bounds time, of which ThreadSanitizer takes a multiple"
    echo "left out: $filtered: the filter of system calls meets what ThreadSanitizer's runtime calls"
    except=$except:$timed:$filtered
  fi
  # shellcheck disable=SC2086
  run_tests "$build" "-$except" $programs
else
  cp "$confined/bin/startscope-inspector" "$build/bin/startscope-inspector" || exit 1
  echo "otherwise: the daemon's filter of system calls is off: it knows what the daemon calls, not what a" \
    "sanitizer's runtime does"
  export STARTSCOPE_SECCOMP=off STARTSCOPE_PRIVATE_DAEMON="$build/private_daemon"
  printf '#!/bin/sh\nexec "%s" --seccomp off "$@"\n' "$build/bin/startscoped" >"$STARTSCOPE_PRIVATE_DAEMON"
  chmod 755 "$STARTSCOPE_PRIVATE_DAEMON"
  left_out "a sanitizer's runtime makes system calls that the filter and the unit do not allow" \
    test_privileges.Dropped.test_all_threads_have_only_what_the_status_says \
    test_privileges.Unit.test_the_unit_allows_the_calls_that_the_daemon_makes \
    test_service.Service.test_it_starts_traces_and_comes_back
  left_out "reads all of the daemon's memory, or bounds it, which is a sanitizer's for the most part" \
    test_isolation.Isolation.test_a_planted_secret_is_nowhere \
    test_storm.Storm.test_memory_is_flat_over_a_storm
  left_out "a storm as fast as the machine can, faster than an instrumented daemon can tell of" \
    test_limits_clients.Limits.test_half_of_two_hundred_never_read_and_the_others_lose_nothing
  left_out "loads a library before the sanitizer that the client is linked with" \
    test_libcs.Libcs.test_ways_to_link_and_to_load
  if [ "$sanitizer" = thread ]; then
    left_out "bounds the daemon's memory, of which ThreadSanitizer takes a multiple" \
      test_limits.Huge.test_two_hundred_objects_and_a_hundred_thousand_faults
  fi
  log=$build/integration.log
  # shellcheck disable=SC2086
  /usr/bin/python3 "$root/tests/integration/run.py" --build "$build" $without "$@" 2>&1 | tee "$log"
  counts=$(sed -n 's/^integration: \([0-9]*\) passed, \([0-9]*\) failed\r*$/\1 \2/p' "$log" | tail -n 1)
  passed=${counts% *}
  failed=${counts#* }
  if [ -z "$counts" ]; then passed=0 failed=1; fi
fi
trapped=$(dmesg 2>/dev/null | awk -F '[][ ]+' -v from="$started_s" \
  '/inspect.* trap invalid opcode/ && $2 > from { n++ } END { print n + 0 }')
if [ "$sanitizer" = thread ]; then
  "$root/tests/race_reports.py" "$reports" >"$build/races.log"
  head -n 300 "$build/races.log"
  echo "the others are gRPC's, which is not instrumented: tests/race_reports.py"
  found=$(sed -n '$s/ of .*//p' "$build/races.log")
else
  found=$(find "$reports" -type f | wc -l)
  for report in $(find "$reports" -type f | head -n 5); do
    echo "--- $report"
    head -n 60 "$report"
  done
fi
echo "$found reports ($reports), $trapped inspectors ended by undefined behaviour (dmesg)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$found" -eq 0 ] && [ "$trapped" -eq 0 ] && [ "$passed" -gt 0 ]
