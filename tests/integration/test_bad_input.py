# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What goes wrong is said clearly: object, cause, remedy, and a documented exit code."""

import os
import shutil
import subprocess
import tempfile
import unittest

import harness

NO_DAEMON, USAGE, NOT_FOUND, LOST = 3, 2, 6, 5
UNSUPPORTED, NOT_PERMITTED = 4, 3


class BadInput(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def test_no_such_command_is_127(self):
        done = harness.client("run", "--", "/no/such/command")
        self.assertEqual(done.returncode, 127)
        self.assertIn("/no/such/command", done.stderr)

    def test_not_executable_is_126(self):
        with open(self.path("plain"), "w") as plain:
            plain.write("text\n")
        done = harness.client("run", "--", self.path("plain"))
        self.assertEqual(done.returncode, 126)
        self.assertIn(self.path("plain"), done.stderr)

    def test_unknown_flag_is_2(self):
        done = harness.client("run", "--no-such-flag", "--", "/bin/true")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("--no-such-flag", done.stderr)
        for bad in (["--until", "lunch"], ["--level", "everything"], ["--format", "xml"]):
            done = harness.client("run", *bad, "--", "/bin/true")
            self.assertEqual(done.returncode, USAGE, bad)
            self.assertIn(bad[1], done.stderr)

    def test_the_commands_own_exit_code_passes_through(self):
        done = harness.client("run", "--", "/bin/sh", "-c", "exit 42")
        self.assertEqual(done.returncode, 42, done.stderr)

    def test_no_privilege_and_no_daemon(self):
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        done = harness.client("run", "--", "/bin/true", preexec_fn=harness.as_nobody,
                              binary=public + "/startscope",
                              env={"STARTSCOPE_DAEMON": public + "/startscoped"})
        self.assertEqual(done.returncode, NO_DAEMON, done.stderr)
        self.assertIn("root", done.stderr)
        done = subprocess.run([public + "/startscoped", "--listen", "unix://" + self.path("sock")],
                              preexec_fn=harness.as_nobody, capture_output=True, text=True,
                              timeout=60)
        self.assertIn(done.returncode, (NOT_PERMITTED, UNSUPPORTED))
        self.assertIn("root", done.stderr)

    def test_socket_in_use(self):
        with harness.Daemon() as daemon:
            done = subprocess.run([str(harness.DAEMON), "--listen", daemon.address],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn(daemon.socket, done.stderr)
            self.assertIn("running daemon", done.stderr)
            self.assertEqual(harness.client("status", address=daemon.address).returncode, 0)

    def test_a_file_in_the_sockets_place_is_left_alone(self):
        with open(self.path("file"), "w") as file:
            file.write("precious")
        done = subprocess.run([str(harness.DAEMON), "--listen", "unix://" + self.path("file")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a socket", done.stderr)
        with open(self.path("file")) as file:
            self.assertEqual(file.read(), "precious")

    def test_no_daemon_at_the_given_address(self):
        done = harness.client("status", address="unix://" + self.path("nobody"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(self.path("nobody"), done.stderr)

    def test_unknown_startup(self):
        with harness.Daemon() as daemon:
            done = harness.client("show", "1-2-3", address=daemon.address)
            self.assertEqual(done.returncode, NOT_FOUND)
            self.assertIn("1-2-3", done.stderr)

    def test_corrupt_executables_are_run_as_the_kernel_would(self):
        with open(harness.program("hello_glibc_static"), "rb") as good:
            image = good.read()
        for size in (4, 64, 200, 4096):
            with self.subTest(size=size):
                with open(self.path("cut"), "wb") as cut:
                    cut.write(image[:size])
                os.chmod(self.path("cut"), 0o755)
                done = harness.client("run", "--format", "json", "--", self.path("cut"),
                                      cwd=self.directory)
                self.assertIn(done.returncode, (126, 128 + 9, 128 + 11), done.stderr)
                self.assertEqual(os.listdir(self.directory), ["cut"])
                self.assertTrue(done.stderr.strip() or done.stdout.strip())
        harness.wait_for(lambda: not harness.loaded_programs(), "programs to be unloaded")

    def test_unreadable_executable_still_starts_and_says_so(self):
        shutil.copy(harness.program("hello_glibc_dynamic"), self.path("secret"))
        os.chmod(self.path("secret"), 0o711)
        os.chmod(self.directory, 0o755)
        with harness.Daemon() as daemon:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            public = harness.public_binaries()
            self.addCleanup(shutil.rmtree, public)
            done = harness.client("run", "--format", "json", "--", self.path("secret"),
                                  address=daemon.address, preexec_fn=harness.as_nobody,
                                  binary=public + "/startscope")
            self.assertEqual(done.returncode, 0, done.stderr)
            startup = harness.json.loads(done.stdout.splitlines()[0])
            harness.check_startup(self, startup)
            self.assertEqual(startup["process"]["uid"], 65534)

    def test_a_refused_program_does_not_take_the_others_down(self):
        with harness.Daemon("--without-probe", "on_mark", "--without-probe",
                            "on_fault_major") as daemon:
            startups = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
            harness.check_startup(self, startups[0])
            kinds = [d["kind"] for d in startups[0]["degradations"]]
            self.assertTrue(kinds)
            status = harness.client("status", "--format", "json", address=daemon.address)
            probes = {p["name"]: p for p in harness.json.loads(status.stdout)["probes"]}
            self.assertEqual(probes["on_mark"]["state"], "PROBE_STATE_UNAVAILABLE")
            self.assertIn("--without-probe", probes["on_mark"]["detail"])
            harness.wait_for(lambda: not harness.attached_programs(), "probes to be detached")


if __name__ == "__main__":
    unittest.main()
