# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""A recording replays, without privileges, to the very startups that were seen live."""

import os
import shutil
import subprocess
import unittest

import harness


class Replay(unittest.TestCase):
    def test_replay_equals_live(self):
        names = ["hello_glibc_dynamic", "hello_musl_dynamic", "hello_glibc_static", "hello_go",
                 "freestanding_c", "killed_at_start"]
        live = {}
        with harness.Daemon(expect_ready=False) as daemon:
            recording = os.path.join(daemon.directory, "recording")
            daemon.options = ("--record", recording)
            daemon.start()
            for name in names:
                startup, = harness.run([harness.program(name)], "--level", "objects",
                                       daemon=daemon, expect=None)
                live[startup["startup_id"]] = startup
            self.assertEqual(daemon.stop(), 0, daemon.log())
            os.chmod(daemon.directory, 0o777)
            os.chmod(recording, 0o644)
            os.unlink(daemon.log_path)

            public = harness.public_binaries()
            self.addCleanup(shutil.rmtree, public)
            replay = subprocess.Popen(
                [public + "/startscoped", "--replay", recording, "--listen", daemon.address, "--seccomp",
                 harness.SECCOMP],
                stderr=subprocess.PIPE, text=True, preexec_fn=harness.as_nobody)
            try:
                self.assertIn("ready", replay.stderr.readline())
                for startup_id, seen in live.items():
                    done = harness.client("show", startup_id, "--format", "json",
                                          address=daemon.address)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    again = harness.json.loads(done.stdout)
                    # The wall clock is read when reported; `run` leaves out the time that its child
                    # waited for the watch.
                    for volatile in ("exec_time", "spawn_ns"):
                        seen.pop(volatile, None)
                        again.pop(volatile, None)
                    for one in (seen, again):
                        one["process"].pop("cgroup_path", None)
                    self.assertEqual(again, seen)
            finally:
                replay.terminate()
                replay.wait(timeout=harness.WAIT_S)


if __name__ == "__main__":
    unittest.main()
