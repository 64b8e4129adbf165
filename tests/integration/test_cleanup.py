# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Nothing stays behind: no probe, no socket, no process, whoever dies and whenever."""

import glob
import os
import subprocess
import time
import unittest

import harness


class Cleanup(unittest.TestCase):
    def assert_nothing_attached(self):
        harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")

    def test_nothing_is_attached_without_a_subscriber(self):
        with harness.Daemon() as daemon:
            self.assertEqual(harness.attached_programs(), [])
            watch = harness.Watch(daemon)
            watch.wait_armed()
            self.assertIn("on_process_exec", harness.attached_programs())
            watch.finish()
            self.assert_nothing_attached()
            # And it can be armed again.
            startups = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
            self.assertEqual(len(startups), 1)
        harness.wait_for(lambda: not harness.loaded_programs(), "programs to be unloaded")

    def test_nothing_that_a_level_does_not_need_is_attached(self):
        """Bystanders pay for what is attached: nothing for their calls and switches below level pages."""
        calls_and_switches = {"on_syscall_entry", "on_syscall_exit", "on_switch", "on_waking", "on_sample"}
        ends_of_faults = {"on_fault_kernel", "on_fault_minor", "on_fault_major"}
        with harness.Daemon() as daemon:
            for level, absent, present in (
                    ("phases", calls_and_switches | ends_of_faults, {"on_fault_user"}),
                    ("objects", calls_and_switches, {"on_fault_user"} | ends_of_faults)):
                watch = harness.Watch(daemon, "--level", level)
                watch.wait_armed()
                attached = set(harness.attached_programs())
                self.assertFalse(attached & absent, level)
                self.assertLessEqual(present, attached, level)
                watch.finish()
                self.assert_nothing_attached()

    def test_killed_client_leaves_nothing(self):
        with harness.Daemon() as daemon:
            for delay in (0.0, 0.02, 0.05, 0.1, 0.3):
                watch = harness.Watch(daemon)
                time.sleep(delay)  # the moment of death, not a synchronisation
                watch.process.kill()
                watch.process.wait()
                self.assert_nothing_attached()
            self.assertEqual(len(harness.run([harness.program("hello_go")], daemon=daemon)), 1)

    def test_killed_daemon_leaves_nothing_and_the_next_one_starts(self):
        with harness.Daemon() as daemon:
            for delay in (0.0, 0.05, 0.2, 0.4):
                watch = harness.Watch(daemon)
                time.sleep(delay)
                daemon.kill()
                _, errors = watch.finish(patience_s=harness.WAIT_S)
                self.assertNotEqual(watch.process.returncode, 0)
                self.assertTrue(errors.strip())
                self.assert_nothing_attached()
                harness.wait_for(lambda: not harness.loaded_programs(), "programs to be unloaded")
                daemon.start()  # over the stale socket
            startups = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
            self.assertFalse(startups[0].get("degradations"), startups[0].get("degradations"))

    def test_stopped_daemon_removes_its_socket_quickly(self):
        with harness.Daemon() as daemon:
            watch = harness.Watch(daemon)
            watch.wait_armed()
            begin = time.monotonic()
            self.assertEqual(daemon.stop(), 0)
            self.assertLess(time.monotonic() - begin, 10)
            self.assertFalse(os.path.exists(daemon.socket))
            _, errors = watch.finish(patience_s=harness.WAIT_S)
            self.assertTrue(errors.strip())
        self.assert_nothing_attached()

    def test_private_daemon_ends_with_its_client(self):
        for _ in range(2):
            process = subprocess.Popen(
                [str(harness.CLIENT), "run", "--until", "exit", "--", "/bin/sleep", "30"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=dict(os.environ, STARTSCOPE_DAEMON=harness.PRIVATE_DAEMON))
            harness.wait_for(lambda: "on_process_exec" in harness.attached_programs(), "arming")
            process.kill()
            process.wait()
            self.assert_nothing_attached()
            harness.wait_for(lambda: not harness.loaded_programs(), "the private daemon's end")
        subprocess.run(["pkill", "-x", "-f", "/bin/sleep 30"])
        self.assertEqual(glob.glob("/tmp/startscope*sock*"), [])


if __name__ == "__main__":
    unittest.main()
