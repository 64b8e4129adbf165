# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Huge and hostile processes: everything stays counted, and the daemon's memory bounded."""

import os
import pathlib
import re
import tempfile
import unittest

import harness
from rpc import Rpc

MIB = 1 << 20


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def degradations(startup):
    return {d["kind"].replace("DEGRADATION_KIND_", "") for d in startup["degradations"]}


class Huge(unittest.TestCase):
    def test_two_hundred_objects_and_a_hundred_thousand_faults(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            before = resident_bytes(daemon.process.pid)
            command = [harness.program("huge_libraries"), "100000"]
            for level in ("LEVEL_PHASES", "LEVEL_OBJECTS", "LEVEL_PAGES"):
                with self.subTest(level=level):
                    traced = rpc.run(command, level=level)
                    startup = traced.startups[0]
                    harness.check_startup(self, startup)
                    self.assertGreater(int(startup["faults"]["minor"]), 100000)
                    if "RECORDS_LOST" in degradations(startup):
                        self.assertGreater(int(startup["degradations"][0]["count"]), 0)
                        continue
                    if level == "LEVEL_PHASES":
                        continue
                    self.assertGreater(len(startup["objects"]), 200)
                    anonymous, = [o for o in startup["objects"]
                                  if o["kind"] == "OBJECT_KIND_ANONYMOUS"]
                    self.assertGreaterEqual(int(anonymous["minor_faults"]), 100000)
            self.assertLess(resident_bytes(daemon.process.pid) - before, 250 * MIB)

    def test_faults_beyond_the_bound_are_counted(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = rpc.run([harness.program("touch_pages"), "300000"])
            startup = traced.startups[0]
            harness.check_startup(self, startup)
            self.assertGreaterEqual(int(startup["faults"]["kernel_minor"]), 300000)
            # What is not attributed for want of room is said to be so.
            self.assertGreater(int(startup["unattributed"]["minor"]), 0)
            self.assertTrue({"LIMIT_REACHED", "RECORDS_LOST"} & degradations(startup))
            self.assertLess(resident_bytes(daemon.process.pid), 400 * MIB)

    def test_a_timeline_is_cut_where_asked_and_says_so(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            command = [harness.program("touch_pages"), "5000"]
            whole = rpc.run(command, level="LEVEL_PAGES", stream_timeline=True)
            entries = [e for c in whole.chunks for e in c["entries"]]
            startup = whole.startups[0]
            self.assertEqual(startup["timeline"], [])
            self.assertEqual(startup["timeline_omitted"], "0")
            self.assertGreater(len(entries), 5000)
            self.assertEqual([int(c["first"]) for c in whole.chunks],
                             [sum(len(c["entries"]) for c in whole.chunks[:i])
                              for i in range(len(whole.chunks))])
            offsets = [int(e["offset_ns"]) for e in entries]
            self.assertEqual(offsets, sorted(offsets))
            faults = sum("fault" in e for e in entries)
            # Faults of the kernel's own, to place breakpoints, raise no exception.
            self.assertEqual(faults + int(startup["observer"]["added_minor_faults"]),
                             int(startup["faults"]["minor"]) + int(startup["faults"]["major"]))
            cut = rpc.run(command, level="LEVEL_PAGES", timeline_limit=100).startups[0]
            self.assertEqual(len(cut["timeline"]), 100)
            self.assertAlmostEqual(int(cut["timeline_omitted"]), len(entries) - 100, delta=100)
            harness.check_startup(self, cut)

    def test_maps_and_unmaps_in_a_loop(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            paths = [os.path.join(directory, name) for name in ("one", "other")]
            for path in paths:
                pathlib.Path(path).write_bytes(os.urandom(4096))
            turns = 500
            for level in ("LEVEL_OBJECTS", "LEVEL_PAGES"):
                with self.subTest(level=level):
                    startup = rpc.run([harness.program("map_loop"), str(turns), *paths],
                                      level=level).startups[0]
                    harness.check_startup(self, startup)
                    self.assertFalse({"RECORDS_LOST"} & degradations(startup), startup["degradations"])
                    counts = {o["path"]: int(o["minor_faults"]) + int(o["major_faults"])
                              for o in startup["objects"]}
                    self.assertEqual([counts[p] for p in paths], [turns, turns])
                    pages = {o["path"]: int(o["pages_touched"]) for o in startup["objects"]}
                    self.assertEqual([pages[p] for p in paths], [1, 1])

    def test_exit_amid_faults(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for level in ("LEVEL_PHASES", "LEVEL_OBJECTS", "LEVEL_PAGES"):
                with self.subTest(level=level):
                    startup = rpc.run([harness.program("exit_in_fault")], level=level).startups[0]
                    harness.check_startup(self, startup)
                    self.assertEqual(startup["outcome"], "OUTCOME_REACHED")
                    self.assertEqual(int(startup["threads_created"]), 4)


if __name__ == "__main__":
    unittest.main()
