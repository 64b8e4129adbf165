# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Fault counts equal what the kernel reports to an independent program.

The witness (tests/programs/fault_witness.c) reads its child's counters right before execve and the
total from wait4. Between that reading and exec's point of no return the kernel copies the arguments
into the new image, which faults too: the watch's own begin counts say how many, and the witness's
figure must exceed the startup's by exactly those."""

import statistics
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


def witness_counts(path, runs):
    """The witness's total of each of some runs."""
    counts = []
    for _ in range(runs):
        done = subprocess.run([harness.program("fault_witness"), path], input="x",
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        counts.append(sum(int(n) for n in done.stderr.splitlines()[1].split()))
    return counts


def greatest_distance(one, other):
    """Of the two distribution functions (Kolmogorov and Smirnov)."""
    return max(abs(sum(v <= x for v in one) / len(one) - sum(v <= x for v in other) / len(other))
               for x in set(one + other))


class Distribution(unittest.TestCase):
    """200 runs untraced and 200 traced, by turns: address randomisation makes the count vary by itself."""

    BLOCKS = 4
    RUNS = 50

    def compare(self, name, precision):
        path = harness.program(name)
        untraced, traced, startups = [], [], []
        with harness.Daemon() as daemon:
            # The program's own faults depend on how it lies in the page cache: settled from here on.
            witness_counts(path, 5)
            for _ in range(self.BLOCKS):
                untraced += witness_counts(path, self.RUNS)
                watch = harness.Watch(daemon, "--exe", path, "--until", "exit", "--level", "pages",
                                      "--precision", precision, "--limit", str(self.RUNS + 1))
                watch.wait_armed()
                witness_counts(path, 1)  # what is seen first is measured before its marks are placed
                traced += witness_counts(path, self.RUNS)
                seen, errors = watch.finish(patience_s=harness.WAIT_S)
                self.assertEqual(len(seen), self.RUNS + 1, errors)
                startups += seen[1:]
                harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")
        return untraced, traced, startups

    def test_unperturbed_leaves_the_distribution_as_it_was(self):
        for name in ("hello_glibc_dynamic", "hello_musl_static"):
            with self.subTest(program=name):
                untraced, traced, startups = self.compare(name, "unperturbed")
                added = {harness.number(s["observer"], "added_minor_faults") for s in startups}
                self.assertEqual(added, {0})
                # One in ten thousand for samples of 200 from one distribution.
                self.assertLess(greatest_distance(untraced, traced), 0.22)
                self.assertLess(abs(statistics.mean(traced) - statistics.mean(untraced)), 0.5)

    def test_exact_adds_what_it_states(self):
        untraced, traced, startups = self.compare("hello_glibc_dynamic", "exact")
        added = [harness.number(s["observer"], "added_minor_faults") for s in startups]
        difference = statistics.mean(traced) - statistics.mean(untraced)
        self.assertGreater(difference, 1)
        # It states what it added; a page that it touched first may spare the program's own fault on it.
        self.assertLessEqual(difference, statistics.mean(added) + 0.3)
        self.assertGreaterEqual(difference, statistics.mean(added) - 3)


def faults_of(startup):
    return sum(harness.number(startup["faults"], kind) for kind in ("minor", "major"))


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
            # Where the stack lies is drawn anew each time, and moves the count by one or two: the least of some.
            plain = min((traced_with_witness(daemon, path, "unperturbed")[0] for _ in range(8)), key=faults_of)
            marked = []  # the first ones, of files that are not known yet, have no breakpoints
            while len(marked) < 8:
                startup = traced_with_witness(daemon, path, "exact")[0]
                marked += [startup] if not startup["degradations"] else []
            exact = min(marked, key=faults_of)
            added = harness.number(exact["observer"], "added_minor_faults")
            self.assertGreater(added, 0)
            self.assertGreater(faults_of(exact), faults_of(plain))
            self.assertLessEqual(faults_of(exact) - faults_of(plain), added + 2)


if __name__ == "__main__":
    unittest.main()
