#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# run.sh [unit|integration|all]: installs what it needs (as root), builds, and runs the tests. `unit`
# needs no privileges; `integration` traces for real and fails where it cannot; `all` also measures what a
# traced start costs, within bounds that only a gross regression meets. Ends with one line, "N passed, N failed".

set -u

root=$(cd "$(dirname "$0")/.." && pwd)
build=${STARTSCOPE_BUILD:-$root/build}
what=${1:-all}
passed=0
failed=0

case $what in
  unit | integration | all) ;;
  *)
    echo "run.sh: $what: must be unit, integration or all" >&2
    exit 2
    ;;
esac

"$root/deploy/install_packages.sh" "$root/deploy/packages.txt" "$root/tests/packages.txt" || exit 1
cmake -S "$root" -B "$build" -G Ninja -DSTARTSCOPE_TESTS=ON || exit 1
cmake --build "$build" || exit 1

run_unit() {
  log=$build/unit.log
  ctest --test-dir "$build" -L unit --output-on-failure -j "$(nproc)" | tee "$log"
  # "98% tests passed, 2 tests failed out of 100"
  total=$(sed -n 's/.* tests failed out of \([0-9]*\)$/\1/p' "$log")
  bad=$(sed -n 's/.* passed, \([0-9]*\) tests failed out of .*/\1/p' "$log")
  if [ -z "$total" ]; then
    failed=$((failed + 1))
    return
  fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
}

can_trace() { [ -r /sys/kernel/btf/vmlinux ] && "$build/tests/can_use_bpf"; }

run_integration() {
  log=$build/integration.log
  if [ "$(id -u)" -ne 0 ]; then
    echo "run.sh: the integration tests trace for real and need root" >&2
    failed=$((failed + 1))
    return
  fi
  if can_trace; then
    /usr/bin/python3 "$root/tests/integration/run.py" --build "$build" 2>&1 | tee "$log"
  else
    echo "run.sh: this kernel offers no BPF; running the integration tests in a virtual machine" >&2
    "$root/tests/vm/run_guest.sh" "$root" "$build" 2>&1 | tee "$log"
  fi
  counts=$(sed -n 's/^integration: \([0-9]*\) passed, \([0-9]*\) failed\r*$/\1 \2/p' "$log" | tail -n 1)
  if [ -z "$counts" ]; then
    failed=$((failed + 1))
    return
  fi
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
}

# Gross regressions of what a traced start costs; figures come from tests/bench/run.sh. A virtual machine
# inside this one would say nothing of them.
run_overhead() {
  if /usr/bin/python3 "$root/tests/bench/startup_overhead.py" --build "$build" --rounds 4 --starts 30 \
    --programs glibc,go --tracers startscope --gate; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

[ "$what" = integration ] || run_unit
[ "$what" = unit ] || run_integration
[ "$what" != all ] || ! can_trace || run_overhead
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
