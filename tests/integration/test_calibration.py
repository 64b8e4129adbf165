# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The daemon measures at its start what its probes cost, and startups say what they have paid."""

import unittest

import harness
from rpc import Rpc, startup_service_pb2


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

    def test_it_can_be_left_out(self):
        with harness.Daemon("--no-calibration") as daemon:
            self.assertFalse(status(daemon).HasField("calibration"))
            startup, = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
            self.assertNotIn("estimated_cost_ns", startup["observer"])


if __name__ == "__main__":
    unittest.main()
