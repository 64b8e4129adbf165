# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The daemon measures at its start, and when it is asked to, what its probes cost; startups say what they paid."""

import json
import os
import shutil
import subprocess
import unittest

import harness
from rpc import Rpc, startup_service_pb2


STARTS = 500


def status(daemon):
    with Rpc(daemon) as rpc:
        return rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest(), timeout=30)


class Calibration(unittest.TestCase):
    def test_costs_are_known_and_stated(self):
        with harness.Daemon() as daemon:
            known = status(daemon)
            # A breakpoint is an exception: far dearer than the call without it, on any machine.
            self.assertGreater(known.calibration.uprobe_hit_ns, 50)
            startup, = harness.run([harness.program("hello_glibc_dynamic")], "--level", "objects",
                                   daemon=daemon)
            observer = startup["observer"]
            if "estimated_cost_ns" in observer:
                self.assertGreaterEqual(int(observer["estimated_cost_ns"]),
                                        int(observer["probe_hits"]) * known.calibration.uprobe_hit_ns)
            else:  # noise swallowed a difference: which one, the status says
                self.assertIn(0, [known.calibration.completed_fault_ns, known.calibration.mapping_ns,
                                  known.calibration.breakpoint_page_ns, known.calibration.record_ns])

    def test_nothing_of_it_stays(self):
        with harness.Daemon() as daemon:
            self.assertEqual(harness.attached_programs(), [])
            for loss in status(daemon).losses:
                self.assertEqual((loss.produced, loss.lost), (0, 0), loss.name)

    def test_it_is_done_again_on_request_beside_a_watch_that_misses_nothing(self):
        program = harness.program("hello_musl_static")
        with harness.Daemon("--cgroup-rate", "0", "--user", "nobody") as daemon, Rpc(daemon) as rpc:
            request = startup_service_pb2.WatchStartupsRequest(
                level="LEVEL_OBJECTS", allow=[{"executable": [program]}])
            stream = rpc.stub.WatchStartups(request, timeout=120)
            self.assertTrue(next(stream).HasField("armed"))
            before = sorted(harness.loaded_programs())
            storm = subprocess.Popen([harness.program("fork_storm"), str(STARTS), program],
                                     stdout=subprocess.DEVNULL)
            asked = harness.client("doctor", "--calibrate", "--format", "json", address=daemon.address)
            self.assertEqual(storm.wait(), 0)
            said, = (f for f in json.loads(asked.stdout)["findings"] if f["subject"] == "calibration")
            self.assertRegex(said["what"], r"^measured in .* per probe hit")
            seen = 0
            while seen < STARTS:
                message = next(stream)
                self.assertFalse(message.HasField("records_lost"), message)
                seen += message.HasField("startup_finished")
            self.assertGreater(status(daemon).calibration.uprobe_hit_ns, 50)
            harness.wait_for(lambda: sorted(harness.loaded_programs()) == before, "its own programs to go")
            stream.cancel()

    def test_who_may_not_or_too_often_is_told(self):
        with harness.Daemon() as daemon:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            binaries = harness.public_binaries()
            self.addCleanup(shutil.rmtree, binaries)
            refused = harness.client("doctor", "--calibrate", address=daemon.address,
                                     binary=f"{binaries}/startscope", preexec_fn=harness.as_nobody)
            self.assertIn("root and members of the admin group", refused.stdout)
            self.assertEqual(harness.client("doctor", "--calibrate", address=daemon.address).returncode, 0)
            again = harness.client("doctor", "--calibrate", address=daemon.address)
            self.assertNotEqual(again.returncode, 0)
            self.assertIn("ask again in", again.stdout)
            self.assertIn("per probe hit", again.stdout)

    def test_it_can_be_left_out(self):
        with harness.Daemon("--no-calibration") as daemon:
            self.assertFalse(status(daemon).HasField("calibration"))
            startup, = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
            self.assertNotIn("estimated_cost_ns", startup["observer"])


if __name__ == "__main__":
    unittest.main()
