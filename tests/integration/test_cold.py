# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Cold and warm starts: major faults, pages read and waiting, against what the kernel accounts to the
process (wait4) and what is in the page cache."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from rpc import Rpc

PAGE = 4096
BLOCK = 512  # of ru_inblock


def evict(paths):
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


class Cold(unittest.TestCase):
    """A program and a library of its own, which nobody else has mapped, on a real disk."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="startscope-cold-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.program = os.path.join(self.directory, "cold_program")
        self.dependency = os.path.join(self.directory, "libcold.so")
        source = os.path.join(self.directory, "cold.c")
        # 4 MiB of tables in each, of which the program reads a few pages.
        pathlib.Path(source).write_text(
            '#include <stddef.h>\n'
            'const char table[4 << 20] = {1, 2, 3};\n'
            'int SumTable(void) { int sum = 0;\n'
            '  for (size_t at = 0; at < sizeof(table); at += 1 << 20) sum += table[at];\n'
            '  return sum; }\n')
        main = os.path.join(self.directory, "main.c")
        pathlib.Path(main).write_text(
            'extern int SumTable(void); static const volatile char own[4 << 20] = {4, 5, 6};\n'
            'int main(void) { return SumTable() + own[1 << 20] + own[3 << 20] == -1; }\n')
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", self.dependency, source], check=True)
        subprocess.run(["gcc", "-O1", "-o", self.program, main, "-L" + self.directory, "-lcold",
                        "-Wl,-rpath," + self.directory], check=True)

    def run_once(self, rpc, cold=True, **options):
        # The daemon reads the program when it prepares for it, so eviction comes after that.
        before = (lambda: evict([self.program, self.dependency])) if cold else (lambda: None)
        return rpc.run([self.program], before=before, **options)

    def test_pages_and_majors_are_the_kernels(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            self.run_once(rpc, cold=False)  # libc and the loader are in memory from here on
            for level in ("LEVEL_OBJECTS", "LEVEL_PAGES"):
                for precision in ("PRECISION_EXACT", "PRECISION_UNPERTURBED"):
                    with self.subTest(level=level, precision=precision):
                        traced = self.run_once(rpc, level=level, precision=precision, waits=True)
                        startup = traced.startups[0]
                        harness.check_startup(self, startup)
                        storage = startup["storage"]
                        self.assertEqual(startup["faults"]["major"], str(traced.usage.ru_majflt))
                        self.assertGreater(int(startup["faults"]["major"]), 0)
                        # wait4's figure begins with the fork and ends with the exit.
                        read = traced.usage.ru_inblock * BLOCK
                        self.assertEqual(int(storage["pages"]) * PAGE, read)
                        # The kernel read the beginning of the program before the point of no return.
                        self.assertLessEqual(int(storage["bytes"]), read)
                        self.assertGreater(int(storage["bytes"]), read // 2)
                        by_file = {f["path"]: f for f in storage["files"]}
                        self.assertIn(self.program, by_file)
                        self.assertIn(self.dependency, by_file)
                        self.assertEqual(sum(int(f["pages"]) for f in storage["files"]),
                                         int(storage["pages"]))
                        for one in startup["objects"]:
                            if one["path"] in by_file:
                                self.assertEqual(one["pages_read"], by_file[one["path"]]["pages"])
                        blocked = {b["object"]: int(b["duration_ns"]) for b in startup["blame"]
                                   if b["reason"] == "TIME_REASON_BLOCKED_IO"}
                        self.assertIn(self.dependency, blocked)
                        self.assertEqual(sum(blocked.values()), int(storage["wait_ns"]))

    def test_temperature(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            self.run_once(rpc, cold=False)
            cold = self.run_once(rpc).startups[0]
            self.assertEqual(cold["temperature"], "START_TEMPERATURE_COLD", cold["temperature_evidence"])
            self.assertIn("libcold.so", cold["temperature_evidence"])
            for path in (self.program, self.dependency):
                pathlib.Path(path).read_bytes()
            warm = self.run_once(rpc, cold=False)
            self.assertEqual(warm.usage.ru_inblock, 0, "something else evicted the files")
            self.assertEqual(warm.startups[0]["temperature"], "START_TEMPERATURE_WARM")
            self.assertEqual(warm.startups[0]["storage"]["bytes"], "0")
            partly = rpc.run([self.program], before=lambda: evict([self.dependency])).startups[0]
            self.assertEqual(partly["temperature"], "START_TEMPERATURE_PARTLY_COLD",
                             partly["temperature_evidence"])
        # Of its own, lest a watch that just ended still has more measured.
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            told = self.run_once(rpc, level="LEVEL_PHASES").startups[0]
            self.assertEqual(told["temperature"], "START_TEMPERATURE_NOT_WARM")

    def test_without_waits_nothing_is_guessed(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = self.run_once(rpc).startups[0]
            self.assertNotIn("wait_ns", startup["storage"])
            for blame in startup["blame"]:
                if blame["reason"] == "TIME_REASON_BLOCKED_IO":  # inside a major fault, so it is known
                    self.assertIn(blame["object"], (self.program, self.dependency))


class SparseFile(unittest.TestCase):
    def test_a_file_of_holes(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            path = os.path.join(directory, "sparse")
            with open(path, "wb") as file:
                file.truncate(1 << 40)
            traced = rpc.run([harness.program("touch_file"), path, "5", "100000000"], deadline_s=1.5,
                             level="LEVEL_PAGES", while_alive=lambda process, _: process.kill())
            startup = traced.startups[0]
            harness.check_startup(self, startup)
            one, = [o for o in startup["objects"] if o["path"] == path]
            self.assertEqual(int(one["pages_touched"]), 2)
            self.assertEqual([int(p["file_offset"]) for p in one["pages"]],
                             [5 * PAGE, 100000000 * PAGE])
            # Holes are filled with zeroes in the page cache, and not read from anywhere.
            self.assertEqual(int(startup["storage"]["bytes"]), 0)


if __name__ == "__main__":
    unittest.main()
