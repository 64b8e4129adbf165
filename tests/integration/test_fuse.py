# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Programs on file systems that answer everybody but the daemon, or do so at first: nothing waits for them for
long, no breakpoint is placed there, where the kernel itself would wait, and the daemon ends as ever."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import fuse
import harness
from rpc import Rpc, as_dict, startup_service_pb2

PROGRAM = "hello_glibc_dynamic"
# Whoever executes it, and the program itself: /proc/PID/comm has 15 bytes.
FRIENDS = ("python3", PROGRAM[:15])
STOP_S = 3
MAX_STUCK = 8  # PatientOpenerOptions


def openers(daemon):
    """Processes that open files for the daemon, as ps has them: (pid, state)."""
    listed = subprocess.run(["ps", "-o", "pid=,state=,comm=", "-s", str(opener_session(daemon))],
                            capture_output=True, text=True).stdout
    return [line.split()[:2] for line in listed.splitlines() if line.split()[2] == "opener"]


def opener_session(daemon):
    found, = [child for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()
              for child in (task / "children").read_text().split()
              if pathlib.Path(f"/proc/{child}/comm").read_text() == "opener-start\n"]
    return found


class Fuse(unittest.TestCase):
    def run_on_fuse(self, rpc, path, runs=1):
        """Startups of the program, told while the file system is as it is."""
        startups = []
        for _ in range(runs):
            traced = rpc.run([path], prepare=[], patience_s=30)
            self.assertEqual(traced.output, "hello\n")
            startups += traced.startups
        for startup in startups:
            harness.check_startup(self, startup)
            self.assertEqual(startup["process"]["executable"], path)
            self.assertEqual(startup["outcome"], "OUTCOME_REACHED")
        return startups

    def stop_in_time(self, daemon):
        begin = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - begin, STOP_S)

    def test_programs_on_it_are_told_of_whatever_it_leaves_unanswered(self):
        for silent in ("LOOKUP", "GETATTR", "STATFS", "OPEN", "READ", "FLUSH"):
            with self.subTest(silent=silent), \
                    fuse.mounted(harness.program(PROGRAM), [silent], FRIENDS) as path, \
                    harness.Daemon() as daemon, Rpc(daemon) as rpc:
                def is_told():
                    startup, = self.run_on_fuse(rpc, path)
                    why = " ".join(d["detail"] for d in startup["degradations"])
                    self.assertRegex(why, r"FUSE|does not answer|gone|not yet known")
                    return re.search(r"FUSE|does not answer|gone", why)

                # A start may be over, and told, before its file was given up.
                harness.wait_for(is_told, "the reason")
                # What is elsewhere is looked at as ever.
                startup, = harness.run(["/bin/true"], daemon=daemon)
                self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")
                self.stop_in_time(daemon)

    def test_nothing_waits_for_a_file_that_never_opens(self):
        with fuse.mounted(harness.program(PROGRAM), ["LOOKUP", "STATFS"], ["nobody"]) as path, \
                harness.Daemon() as daemon:
            took = []

            def prepare():
                with Rpc(daemon) as rpc:
                    begin = time.monotonic()
                    stream = rpc.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                        descendants_of_caller=True, prepare_executables=[path]), timeout=60)
                    self.assertEqual(next(iter(stream)).WhichOneof("event"), "armed")
                    took.append(time.monotonic() - begin)
                    stream.cancel()

            preparing = [threading.Thread(target=prepare) for _ in range(3)]
            for one in preparing:
                one.start()
            harness.wait_for(lambda: any(state == "D" for _, state in openers(daemon)), "one to hang")
            # Meanwhile others' files are opened.
            startup, = harness.run(["/bin/true"], daemon=daemon)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")
            for one in preparing:
                one.join()
            print(f"armed after {max(took):.2f} s at most", end=" ")
            # Killed, they hang on, and the daemon ends even so.
            self.assertTrue(any(state == "D" for _, state in openers(daemon)))
            self.stop_in_time(daemon)

    def test_many_that_never_open_keep_no_others_from_it(self):
        with fuse.mounted(harness.program(PROGRAM), ["LOOKUP", "STATFS"], ["nobody"]) as path, \
                tempfile.TemporaryDirectory(dir="/var/tmp") as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            for _ in range(2 * MAX_STUCK):
                stream = rpc.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                    descendants_of_caller=True, prepare_executables=[path]), timeout=60)
                self.assertEqual(next(stream).WhichOneof("event"), "armed")
                stream.cancel()
            hanging = [state for _, state in openers(daemon)].count("D")
            self.assertGreaterEqual(hanging, MAX_STUCK)
            self.assertLess(hanging, 2 * MAX_STUCK)
            # None of these was seen before.
            for name in (PROGRAM, "hello_musl_static", "hello_go"):
                fresh = shutil.copy(harness.program(name), directory)
                startup, = harness.run([fresh], daemon=daemon)
                known = startup["runtime"]
                self.assertNotEqual((known["libc"], known["language"]),
                                    ("LIBC_UNSPECIFIED", "LANGUAGE_UNSPECIFIED"), startup["degradations"])
            self.stop_in_time(daemon)

    def test_one_that_is_killed_is_gone_at_once(self):
        with fuse.mounted(harness.program(PROGRAM), ["STATFS"], FRIENDS) as path, \
                harness.Daemon() as daemon, Rpc(daemon) as rpc:
            self.run_on_fuse(rpc, path)
            stream = rpc.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest())
            next(stream)
            self.assertTrue(harness.attached_programs())
            self.assertTrue(openers(daemon))
            daemon.kill()
            harness.wait_for(lambda: not harness.attached_programs(), "its probes to be gone",
                             timeout_s=STOP_S)

    def test_no_breakpoint_is_placed_there_even_if_it_answers(self):
        with fuse.mounted(harness.program(PROGRAM)) as path, \
                tempfile.TemporaryDirectory() as merged, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                            f"lowerdir={os.path.dirname(path)}:{merged}", merged], check=True)
            try:
                for executed in (path, os.path.join(merged, PROGRAM)):
                    with self.subTest(executed=executed):
                        for startup in self.run_on_fuse(rpc, executed, runs=2):
                            why = " ".join(d["detail"] for d in startup["degradations"])
                            self.assertIn("FUSE", why)
                        status = as_dict(rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest()))
                        self.assertEqual([i for i in status["images"] if PROGRAM in i["path"]], [])
            finally:
                subprocess.run(["umount", "-l", merged], check=True)


if __name__ == "__main__":
    unittest.main()
