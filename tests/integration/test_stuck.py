# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Startups that go on for long: told while they do, with where they are and what they wait for."""

import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

import harness
from rpc import Rpc

PRECISIONS = ("PRECISION_EXACT", "PRECISION_UNPERTURBED")
LIBRARY = "libstalling.so"


def stalled(rpc, how, *, on_stuck=None, environment=None, **options):
    """The program whose library's constructor stalls as `how` says."""
    popen = {"env": dict(os.environ, STALL=how, **(environment or {}))}
    options.setdefault("stuck_after_ms", 200)
    options.setdefault("until", "UNTIL_MAIN")
    return rpc.run([harness.program("stalling")], popen=popen, on_stuck=on_stuck, **options)


class Stuck(unittest.TestCase):
    def check(self, traced, phase, activity):
        """What every such message says; returns the first."""
        self.assertTrue(traced.stuck, traced.events)
        startup, = traced.startups
        for stuck in traced.stuck:
            self.assertEqual(stuck["startup_id"], startup["startup_id"])
            self.assertEqual(stuck["process"]["pid"], startup["process"]["pid"])
            self.assertEqual(stuck["phase"], "PHASE_" + phase)
            self.assertNotEqual(stuck["phase_source"], "BOUNDARY_SOURCE_UNSPECIFIED")
            self.assertGreaterEqual(int(stuck["elapsed_ns"]), 200_000_000)
            self.assertLessEqual(int(stuck["phase_elapsed_ns"]), int(stuck["elapsed_ns"]))
        first = traced.stuck[0]
        self.assertEqual(first["activity"], "STUCK_ACTIVITY_" + activity)
        # The startup is delivered as usual, last, and agrees on where it was.
        self.assertEqual(traced.events[-1], "startup_finished")
        harness.check_startup(self, startup)
        longest = max(startup["phases"], key=lambda p: int(p["duration_ns"]))
        self.assertEqual(longest["phase"], first["phase"])
        return first

    def test_a_constructor_that_sleeps(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for precision in PRECISIONS:
                with self.subTest(precision=precision):
                    first = self.check(stalled(rpc, "sleep:700", precision=precision),
                                       "CONSTRUCTORS", "BLOCKED_OTHER")
                    self.assertEqual(pathlib.Path(first["object"]).name, LIBRARY)
                    self.assertIn("nanosleep", first["system_call"])
                    self.assertEqual(first["file"], "")

    def test_a_constructor_that_spins(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for precision in PRECISIONS:
                with self.subTest(precision=precision):
                    traced = stalled(rpc, "spin:700", precision=precision)
                    activity = traced.stuck[0]["activity"]
                    # On a busy machine it may have had no CPU just then.
                    self.assertIn(activity, ("STUCK_ACTIVITY_RUNNING", "STUCK_ACTIVITY_RUNNABLE"))
                    first = self.check(traced, "CONSTRUCTORS", activity[len("STUCK_ACTIVITY_"):])
                    self.assertEqual(pathlib.Path(first["object"]).name, LIBRARY)
                    self.assertEqual(first["system_call"], "")

    def test_a_constructor_that_reads_a_fifo_until_it_is_fed(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            fifo = os.path.join(directory, "fifo")
            os.mkfifo(fifo)

            def feed(_, traced):
                if len(traced.stuck) == 2:
                    with open(fifo, "wb") as pipe:
                        pipe.write(b"x")

            traced = stalled(rpc, "read:" + fifo, on_stuck=feed)
            first = self.check(traced, "CONSTRUCTORS", "BLOCKED_OTHER")
            self.assertEqual(first["system_call"], "read")
            self.assertEqual(first["file"], fifo)
            self.assertEqual(traced.startups[0]["outcome"], "OUTCOME_REACHED")

    def test_a_library_that_cannot_be_opened_yet(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            os.mkfifo(os.path.join(directory, LIBRARY))
            for precision in PRECISIONS:
                with self.subTest(precision=precision):
                    traced = stalled(rpc, "", precision=precision, on_stuck=lambda p, _: p.kill(),
                                     environment={"LD_LIBRARY_PATH": directory})
                    startup, = traced.startups
                    self.assertEqual(startup["outcome"], "OUTCOME_KILLED")
                    first = traced.stuck[0]
                    # Nothing of it was mapped yet, which is how mapping shows without marks.
                    phases = ["PHASE_DEPENDENCY_MAPPING"]
                    if precision == "PRECISION_UNPERTURBED":
                        phases.append("PHASE_LOADER_BOOTSTRAP")
                    self.assertIn(first["phase"], phases)
                    self.assertEqual(first["activity"], "STUCK_ACTIVITY_BLOCKED_OTHER")
                    self.assertEqual(first["system_call"], "openat")

    def test_a_start_that_is_stopped(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = stalled(rpc, "stop:",
                             on_stuck=lambda process, _: process.send_signal(signal.SIGCONT))
            self.check(traced, "CONSTRUCTORS", "STOPPED")
            self.assertEqual(traced.startups[0]["outcome"], "OUTCOME_REACHED")

    def test_it_is_told_again_each_time_the_time_doubles(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = stalled(rpc, "sleep:1500", stuck_after_ms=100)
            elapsed = [int(s["elapsed_ns"]) // 1_000_000 for s in traced.stuck]
            self.assertEqual(len(elapsed), 4, elapsed)
            for moment, now in zip((100, 200, 400, 800), elapsed):
                self.assertGreaterEqual(now, moment)
                self.assertLess(now, moment * 2)

    def test_not_of_fast_starts_nor_unless_asked_for(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            fast = rpc.run(["/bin/true"], stuck_after_ms=5000)
            self.assertEqual(fast.stuck, [])
            self.assertEqual(stalled(rpc, "sleep:500", stuck_after_ms=None).stuck, [])

    def test_others_do_not_learn_of_it(self):
        binaries = harness.public_binaries()
        self.addCleanup(subprocess.run, ["rm", "-r", binaries])
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            script = (
                "import os, sys; sys.path.insert(0, os.environ['TESTS'])\n"
                "from rpc import *\n"
                "import harness\n"
                "class At: address = sys.argv[1]\n"
                "request = startup_service_pb2.WatchStartupsRequest(until='UNTIL_MAIN')\n"
                "request.stuck_after.FromMilliseconds(100)\n"
                "with Rpc(At) as rpc:\n"
                "    for m in rpc.stub.WatchStartups(request, timeout=2):\n"
                "        print(m.WhichOneof('event'), flush=True)\n")
            environment = dict(os.environ, TESTS=str(pathlib.Path(__file__).parent))
            other = subprocess.Popen(["/usr/bin/python3", "-c", script, daemon.address],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                     env=environment, preexec_fn=harness.as_nobody)
            self.assertEqual(other.stdout.readline(), "armed\n")
            traced = stalled(rpc, "sleep:500")
            self.assertTrue(traced.stuck)
            heard = other.communicate()[0].split()
            self.assertNotIn("startup_stuck", heard)


if __name__ == "__main__":
    unittest.main()
