# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Process ids that are used again and again, within the millisecond: each start is told of once, as what
it was itself, below the parent that it had.

STARTSCOPE_LONG=1: 20,000 starts instead of 3,000."""

import os
import re
import subprocess
import unittest

import harness

STARTS = 20000 if os.environ.get("STARTSCOPE_LONG") else 3000
IDS = 12
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def free_range():
    """The first of some ids in a row that nobody has."""
    with open("/proc/sys/kernel/pid_max") as file:
        most = int(file.read())
    taken = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    for first in range(most - 2 * IDS, 400, -IDS):
        if not taken & set(range(first, first + IDS)):
            return first
    raise AssertionError("no range of process ids is free")


class PidReuse(unittest.TestCase):
    def test_every_start_once_and_below_its_own_parent(self):
        program = harness.program("pid_reuse")
        first = free_range()
        with harness.Daemon("--keep", "16") as daemon:
            watch = harness.Watch(daemon, "--exe", program, "--until", "exit",
                                  "--limit", str(STARTS + 1))
            watch.wait_armed()
            driver = subprocess.Popen([program, str(STARTS), str(first), str(IDS)],
                                      stdout=subprocess.PIPE, text=True)
            out, _ = driver.communicate(timeout=600)
            self.assertEqual(driver.returncode, 0)
            startups, errors = watch.finish(patience_s=30)
        self.assertEqual(re.findall(r"lost (\d+)", errors), [], errors)
        witnessed = {}
        for line in out.splitlines():
            name, *numbers = line.split()
            self.assertNotIn(name, witnessed)
            witnessed[name] = tuple(int(n) for n in numbers)
        self.assertEqual(len(witnessed), STARTS)
        pids = {pid for pid, _, _ in witnessed.values()}
        self.assertLess(len(pids), 2 * IDS, "the ids were not used again")

        told = {s["process"]["argv"][0]: s for s in startups}
        driver_start = told.pop(program)
        self.assertEqual(driver_start["process"]["pid"], driver.pid)
        self.assertEqual(len(startups), STARTS + 1)
        self.assertEqual(len({s["startup_id"] for s in startups}), STARTS + 1)
        self.assertEqual(set(told), set(witnessed))
        for name, startup in told.items():
            process = startup["process"]
            pid, parent, ticks = witnessed[name]
            self.assertEqual((process["pid"], process["parent_pid"]), (pid, parent), name)
            self.assertEqual(harness.number(process, "start_boottime_ns") // TICK_NS, ticks, name)
            self.assertEqual(startup["outcome"], "OUTCOME_REACHED", name)
            harness.check_startup(self, startup)
        print(f"{STARTS} starts with {len(pids)} process ids")


if __name__ == "__main__":
    unittest.main()
