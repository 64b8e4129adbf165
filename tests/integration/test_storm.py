# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Many startups at the machine's own rate: each is reported once, or its loss is stated exactly."""

import re
import subprocess
import unittest

import harness

EACH = 1000


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


if __name__ == "__main__":
    unittest.main()
