# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Many startups at the machine's own rate: each is reported once, or its loss is stated exactly; and the daemon
does not grow with them.

STARTSCOPE_LONG=1: ten minutes of a storm instead of 20 seconds, and one at 500 a second instead of five seconds."""

import json
import os
import pathlib
import re
import subprocess
import time
import unittest

import harness

EACH = 1000
STORM_S = 600 if os.environ.get("STARTSCOPE_LONG") else 20
WARM_UP_S = STORM_S / 2
PACED_S = 60 if os.environ.get("STARTSCOPE_LONG") else 5


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


def bpf_map_bytes(pid):
    """Of all maps that the process holds, as the kernel accounts for them."""
    sizes = {}
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        if "map_id" in fields:
            sizes[int(fields["map_id"])] = int(fields["memlock"])
    return sum(sizes.values())


def status_of(daemon):
    return json.loads(harness.client("status", "--format", "json", address=daemon.address).stdout)


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

    def test_five_hundred_a_second_lose_nothing_with_defaults(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon:
            watch = harness.Watch(daemon, "--exe", hello, "--level", "objects", "--limit",
                                  str(PACED_S * 500))
            watch.wait_armed()
            begin, started = time.monotonic(), 0
            while started < PACED_S * 500:
                subprocess.run([harness.program("fork_storm"), "50", hello], check=True,
                               stdout=subprocess.DEVNULL)
                started += 50
                time.sleep(max(0, begin + started / 500 - time.monotonic()))
            rate = started / (time.monotonic() - begin)
            startups, errors = watch.finish(patience_s=harness.WAIT_S)
            # What other programs of the machine mapped may have given way: that is no startup's loss.
            losses = {l["stage"]: l["lost"] for l in status_of(daemon)["losses"]
                      if l["stage"] != "LOSS_STAGE_KEPT"
                      and not (l["stage"] == "LOSS_STAGE_EARLY" and l.get("eviction"))}
        print(f"{started} starts at {rate:.0f} a second", end=" ")
        self.assertEqual(len(startups), started, errors)
        self.assertNotIn("lost", errors)
        self.assertEqual(set(losses.values()), {"0"}, losses)

    def test_memory_is_flat_over_a_storm(self):
        """As fast as two shells start programs; the client keeps up with what is followed of them."""
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon:
            watch = subprocess.Popen(
                [str(harness.CLIENT), "--address", daemon.address, "watch", "--exe", hello, "--level",
                 "objects"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            harness.wait_for(lambda: "on_process_exec" in harness.attached_programs(), "the watch")
            begin, starts, warm, readings = time.monotonic(), 0, None, []
            while time.monotonic() < begin + STORM_S:
                shells = [subprocess.Popen([harness.program("fork_storm"), "200", hello],
                                           stdout=subprocess.DEVNULL) for _ in range(2)]
                self.assertEqual([shell.wait() for shell in shells], [0, 0])
                starts += 400
                if time.monotonic() < begin + WARM_UP_S:
                    warm = resident_kib(daemon.process.pid)
                else:
                    readings.append(resident_kib(daemon.process.pid))
            maps = bpf_map_bytes(daemon.process.pid)
            watch.terminate()
            watch.wait(timeout=harness.WAIT_S)

            lost = {l["stage"].removeprefix("LOSS_STAGE_"): int(l["lost"])
                    for l in status_of(daemon)["losses"] if l["lost"] != "0"}
            print(f"{starts} starts: {warm} KiB after warm-up, then at most {max(readings)} KiB; "
                  f"BPF maps {maps >> 10} KiB; lost {lost}", end=" ")
            self.assertLess(max(readings), 1.05 * warm)
            self.assertLessEqual(max(readings), 64 << 10)
            self.assertLessEqual(maps, 16 << 20)


if __name__ == "__main__":
    unittest.main()
