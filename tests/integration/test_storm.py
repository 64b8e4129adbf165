# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Many startups at the machine's own rate: each is reported once, or its loss is stated exactly; and the daemon
does not grow with them.

STARTSCOPE_LONG=1: ten minutes of a storm instead of 20 seconds."""

import json
import os
import re
import subprocess
import time
import unittest

import harness

EACH = 1000
STORM_S = 600 if os.environ.get("STARTSCOPE_LONG") else 20
WARM_UP_S = STORM_S / 2


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


class Storm(unittest.TestCase):
    def test_two_thousand_startups_from_two_shells(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon:
            watch = harness.Watch(daemon, "--exe", hello, "--until", "exit", "--level", "objects",
                                  "--limit", str(2 * EACH))
            watch.wait_armed()
            shells = [subprocess.Popen([harness.program("fork_storm"), str(EACH), hello],
                                       stdout=subprocess.PIPE, text=True) for _ in range(2)]
            pids = []
            for shell in shells:
                out, _ = shell.communicate(timeout=120)
                self.assertEqual(shell.returncode, 0)
                pids += [int(line) for line in out.split()]
            self.assertEqual(len(pids), 2 * EACH)
            # If some were lost, it does not end by itself, and the loss must be stated.
            startups, errors = watch.finish(patience_s=20)
            lost = sum(int(n) for n in re.findall(r"lost (\d+)", errors))
            self.assertEqual(len({s["startup_id"] for s in startups}), len(startups))
            self.assertEqual(len(startups) + lost, 2 * EACH, errors)
            self.assertEqual(sorted(s["process"]["pid"] for s in startups), sorted(pids))
            for startup in startups:
                harness.check_startup(self, startup)

    def test_memory_is_flat_over_a_storm(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon("--keep", "256", "--cgroup-rate", "0") as daemon:
            watch = subprocess.Popen(
                [str(harness.CLIENT), "--address", daemon.address, "watch", "--format", "json",
                 "--exe", hello, "--level", "objects"], stdout=subprocess.DEVNULL)
            harness.wait_for(lambda: "on_process_exec" in harness.attached_programs(), "the watch")
            begin, starts, warm, readings = time.monotonic(), 0, None, []
            while time.monotonic() < begin + STORM_S:
                subprocess.run([harness.program("fork_storm"), "200", hello], check=True,
                               stdout=subprocess.DEVNULL)
                starts += 200
                if time.monotonic() < begin + WARM_UP_S:
                    warm = resident_kib(daemon.process.pid)
                else:
                    readings.append(resident_kib(daemon.process.pid))
            watch.terminate()
            watch.wait(timeout=harness.WAIT_S)
            status = harness.client("status", "--format", "json", address=daemon.address)
            seen = int(json.loads(status.stdout)["startups_seen"])
            self.assertGreater(seen, 0.9 * starts)
            print(f"{starts} starts: {warm} KiB after warm-up, then at most {max(readings)} KiB")
            self.assertLess(max(readings), 1.05 * warm)


if __name__ == "__main__":
    unittest.main()
