# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Fault counts equal what the kernel reports to an independent program.

The witness (tests/programs/fault_witness.c) reads its child's counters right before execve and the
total from wait4. Between that reading and exec's point of no return the kernel copies the arguments
into the new image, which faults too: the watch's own begin counts say how many, and the witness's
figure must exceed the startup's by exactly those."""

import json
import subprocess
import unittest

import harness

TARGETS = ["hello_glibc_dynamic", "hello_glibc_static", "hello_musl_dynamic", "hello_musl_static",
           "freestanding_c", "hello_rust", "many_libraries"]


def traced_with_witness(daemon, path, precision):
    """One run of `path` under the witness, traced by pid: (startup, witness minor, witness major)."""
    witness = subprocess.Popen([harness.program("fault_witness"), path], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    pid = int(witness.stderr.readline())
    watch = harness.Watch(daemon, "--pid", str(pid), "--until", "exit", "--level", "objects",
                          "--precision", precision, "--limit", "1")
    watch.wait_armed()
    witness.stdin.write("x")
    witness.stdin.close()
    minor, major = (int(n) for n in witness.stderr.readline().split())
    witness.wait(timeout=harness.WAIT_S)
    startups, errors = watch.finish(patience_s=10)
    if len(startups) != 1:
        raise AssertionError(f"{len(startups)} startups of pid {pid}: {errors}")
    return startups[0], minor, major


class KernelCounts(unittest.TestCase):
    def test_unperturbed_counts_equal_the_witness(self):
        with harness.Daemon() as daemon:
            for name in TARGETS:
                with self.subTest(program=name):
                    overheads = []
                    for _ in range(3):
                        startup, minor, major = traced_with_witness(
                            daemon, harness.program(name), "unperturbed")
                        harness.check_startup(self, startup)
                        faults = startup["faults"]
                        ours = harness.number(faults, "minor") + harness.number(faults, "major")
                        overheads.append(minor + major - ours)
                        self.assertEqual(harness.number(startup["observer"], "added_minor_faults"), 0)
                    # What execve faults before the point of no return does not depend on the program,
                    # only on its one argument: the same small number every time.
                    self.assertTrue(all(0 <= o <= 3 for o in overheads), overheads)

    def test_exact_states_the_faults_it_added(self):
        with harness.Daemon() as daemon:
            path = harness.program("hello_glibc_dynamic")
            plain, _, _ = traced_with_witness(daemon, path, "unperturbed")
            exact, _, _ = traced_with_witness(daemon, path, "exact")
            added = harness.number(exact["observer"], "added_minor_faults")
            self.assertGreater(added, 0)
            total = [sum(harness.number(s["faults"], k) for k in ("minor", "major"))
                     for s in (plain, exact)]
            self.assertGreater(total[1], total[0])
            self.assertLessEqual(total[1] - total[0], added + 2)


if __name__ == "__main__":
    unittest.main()
