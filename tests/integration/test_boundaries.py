# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Boundaries against independent witnesses: ldd, strace, LD_DEBUG, and the other precision."""

import os
import re
import shutil
import subprocess
import unittest

import harness

DYNAMIC = [["/bin/ls", "/"], ["git", "--version"], ["perl", "-e", "1"], ["bash", "-c", ":"],
           [None]]


def libraries_by_ldd(path):
    out = subprocess.check_output(["ldd", path], text=True)
    paths = re.findall(r"(?:=> )?(/\S+) \(0x", out)
    return {os.path.realpath(p) for p in paths}


def on_cpu_ns(startup, phase):
    return harness.number(harness.phase_of(startup, phase), "on_cpu_ns")


class Boundaries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def commands(self):
        for command in DYNAMIC:
            if command[0] is None:
                yield [harness.program("many_libraries")]
            else:
                yield [shutil.which(command[0]), *command[1:]]

    def one(self, command, *flags):
        done = harness.client("run", "--format", "json", *flags, "--", *command,
                              address=self.daemon.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        return harness.json.loads(done.stdout.splitlines()[0])

    def test_mapped_libraries_equal_ldd(self):
        for command in self.commands():
            with self.subTest(command=command):
                startup = self.one(command, "--level", "objects")
                ours = {os.path.realpath(o["path"]) for o in startup["objects"]
                        if o["kind"] in ("OBJECT_KIND_LIBRARY", "OBJECT_KIND_LOADER")}
                self.assertEqual(ours, libraries_by_ldd(command[0]))

    def test_dependencies_are_mapped_in_the_order_strace_sees(self):
        command = [harness.program("many_libraries")]
        startup = self.one(command, "--level", "objects")
        ours = sorted((harness.number(o, "map_offset_ns"), os.path.basename(o["path"]))
                      for o in startup["objects"] if o["kind"] == "OBJECT_KIND_LIBRARY")
        trace = subprocess.run(["strace", "-f", "-e", "trace=openat,mmap", "-y", *command],
                               capture_output=True, text=True).stderr
        theirs = []
        for line in trace.splitlines():
            found = re.search(r"mmap\(NULL, .*<(/[^>]*\.so[^>]*)>", line)
            if found and "ld.so.cache" not in found[1]:
                name = os.path.basename(found[1])
                if name not in theirs:
                    theirs.append(name)
        self.assertEqual([name for _, name in ours], theirs)
        begin = harness.phase_of(startup, "DEPENDENCY_MAPPING")
        end = harness.number(begin, "offset_ns") + harness.number(begin, "duration_ns")
        for offset, name in ours:
            self.assertGreaterEqual(offset, harness.number(begin, "offset_ns"), name)
            self.assertLessEqual(offset, end, name)

    def test_relocation_is_the_loaders_own_figure(self):
        # LD_DEBUG=statistics counts cycles of its relocation; the phase must hold at least that part
        # of the time, and a program with 60 libraries must spend more of it than one with one.
        many, single = (min(on_cpu_ns(self.one([harness.program(name)]), "RELOCATION") for _ in range(5))
                        for name in ("many_libraries", "hello_glibc_dynamic"))
        ratio = many / single
        out = subprocess.run([harness.program("many_libraries")], capture_output=True, text=True,
                             env={"LD_DEBUG": "statistics"}).stderr
        counted = int(re.search(r"number of relocations: (\d+)", out)[1])
        self.assertGreater(counted, 60)
        self.assertGreater(ratio, 2)

    def test_unperturbed_finds_the_same_phases(self):
        command = [harness.program("many_libraries")]
        exact, inferred = ([self.one(command, "--precision", precision) for _ in range(9)]
                           for precision in ("exact", "unperturbed"))
        for startup in exact + inferred:
            self.assertEqual([p["phase"] for p in startup["phases"]],
                             [p["phase"] for p in exact[0]["phases"]])
        uprobes = {"BOUNDARY_SOURCE_SYMBOL_UPROBE", "BOUNDARY_SOURCE_CALL_SITE_UPROBE",
                   "BOUNDARY_SOURCE_ENTRY_UPROBE", "BOUNDARY_SOURCE_DEBUG_FILE_UPROBE"}
        self.assertFalse({p["begin_source"] for s in inferred for p in s["phases"]} & uprobes)
        # The fastest ones: those that had to wait for a CPU say little.
        fastest = [min(startups, key=lambda s: harness.number(s, "total_ns"))
                   for startups in (exact, inferred)]
        for name in ("DEPENDENCY_MAPPING", "RELOCATION"):
            share = [harness.number(harness.phase_of(s, name), "duration_ns") /
                     harness.number(s, "total_ns") for s in fastest]
            self.assertAlmostEqual(share[0], share[1], delta=0.15, msg=name)

    def test_total_is_within_what_the_shell_sees(self):
        # An outer bound by a clock of our own.
        import time
        begin = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        startup = self.one([harness.program("slow_constructor")], "--until", "exit")
        end = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.assertGreaterEqual(harness.number(startup, "begin_boottime_ns"), begin)
        self.assertLessEqual(harness.number(startup, "begin_boottime_ns") +
                             harness.number(startup, "total_ns"), end)


if __name__ == "__main__":
    unittest.main()
