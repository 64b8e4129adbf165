# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Phases and faults add up, for every runtime, level and precision, and for real programs."""

import shutil
import unittest

import harness

TARGETS = ["hello_glibc_dynamic", "hello_glibc_static", "hello_glibc_static_pie",
           "hello_musl_dynamic", "hello_musl_static", "freestanding_c", "freestanding_rust",
           "hello_rust", "hello_go", "many_libraries", "slow_constructor", "threads_before_main"]
REAL = [["/bin/ls", "/"], ["python3", "-c", "pass"], ["git", "--version"], ["perl", "-e", "1"],
        ["bash", "-c", ":"], ["node", "-v"]]


class SumRules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def check(self, command, level, precision, until):
        startups = harness.run(command, "--level", level, "--precision", precision, "--until", until,
                               daemon=self.daemon)
        self.assertEqual(len(startups), 1, command)
        harness.check_startup(self, startups[0])
        return startups[0]

    def test_every_target_level_and_precision(self):
        for name in TARGETS:
            for level in ("phases", "objects"):
                for precision in ("exact", "unperturbed"):
                    for until in ("main", "exit"):
                        with self.subTest(name=name, level=level, precision=precision, until=until):
                            self.check([harness.program(name)], level, precision, until)

    def test_real_programs(self):
        for command in REAL:
            path = shutil.which(command[0])
            self.assertIsNotNone(path, command)
            for until in ("main", "exit"):
                with self.subTest(command=command, until=until):
                    done = harness.client("run", "--format", "json", "--level", "objects", "--until",
                                          until, "--", path, *command[1:],
                                          address=self.daemon.address)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    startups = [harness.json.loads(l) for l in done.stdout.splitlines() if l]
                    self.assertGreaterEqual(len(startups), 1)
                    for startup in startups:
                        harness.check_startup(self, startup)

    def test_exact_boundaries_come_from_marks(self):
        startup = self.check([harness.program("hello_glibc_dynamic")], "objects", "exact", "main")
        names = [p["phase"] for p in startup["phases"]]
        self.assertEqual(names, ["PHASE_KERNEL_EXEC", "PHASE_LOADER_BOOTSTRAP",
                                 "PHASE_DEPENDENCY_MAPPING", "PHASE_RELOCATION",
                                 "PHASE_CONSTRUCTORS", "PHASE_RUNTIME_INIT"])
        self.assertEqual(harness.phase_of(startup, "DEPENDENCY_MAPPING")["begin_source"],
                         "BOUNDARY_SOURCE_CALL_SITE_UPROBE")
        self.assertEqual(startup["milestones"][0]["kind"], "MILESTONE_KIND_MAIN")
        self.assertEqual(harness.number(startup["milestones"][0], "offset_ns"),
                         harness.number(startup, "total_ns"))
        self.assertFalse(startup.get("degradations"), startup.get("degradations"))

    def test_musl_runs_constructors_after_the_entry_point(self):
        startup = self.check([harness.program("hello_musl_dynamic")], "objects", "exact", "main")
        names = [p["phase"] for p in startup["phases"]]
        self.assertLess(names.index("PHASE_RUNTIME_INIT"), names.index("PHASE_CONSTRUCTORS"))

    def test_slow_constructors_are_where_they_belong(self):
        # The spinning constructor spins by the clock, so a busy machine turns its CPU time into waiting
        # for the CPU; the sleep is a sleep. Of several runs one shows both in full.
        seen = []
        for _ in range(10):
            startup = self.check([harness.program("slow_constructor")], "objects", "exact", "main")
            phase = harness.phase_of(startup, "CONSTRUCTORS")
            self.assertGreaterEqual(harness.number(phase, "duration_ns"), 70_000_000)
            blocked = harness.number(phase, "blocked_ns")
            spun = harness.number(phase, "on_cpu_ns") + harness.number(phase, "runqueue_ns")
            seen.append((blocked, spun))
            if 49_000_000 <= blocked <= 52_000_000 and 18_000_000 <= spun:
                return
        self.fail(f"(blocked, on CPU or waiting for it) of ten runs: {seen}")

    def test_phases_level_lists_no_objects_and_no_fault_time(self):
        startup = self.check([harness.program("hello_glibc_dynamic")], "phases", "exact", "main")
        self.assertFalse(startup["objects"])
        self.assertNotIn("unattributed", startup)
        self.assertNotIn("fault_ns", startup["faults"])


if __name__ == "__main__":
    unittest.main()
