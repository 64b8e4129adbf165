# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Every way a startup can go ends in the right outcome, with the right identity."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
import unittest

import harness


class Outcomes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def run_one(self, command, *flags, expect=0):
        startups = harness.run(command, *flags, daemon=self.daemon, expect=expect)
        for startup in startups:
            harness.check_startup(self, startup)
        return startups

    def test_killed_in_a_constructor(self):
        startup, = self.run_one([harness.program("killed_at_start")], expect=128 + 9)
        self.assertEqual(startup["outcome"], "OUTCOME_KILLED")
        self.assertEqual(startup["exit_status"] & 0x7f, 9)
        self.assertIsNone(harness.phase_of(startup, "MAIN"))

    def test_segmentation_fault_in_a_constructor(self):
        startup, = self.run_one([harness.program("segv_at_start")], expect=128 + 11)
        self.assertEqual(startup["outcome"], "OUTCOME_KILLED")
        self.assertEqual(startup["exit_status"] & 0x7f, 11)

    def test_exit_in_a_constructor(self):
        startup, = self.run_one([harness.program("exit_in_constructor")], expect=7)
        self.assertEqual(startup["outcome"], "OUTCOME_EXITED")
        self.assertEqual(startup["exit_status"] >> 8, 7)

    def test_exec_chain_closes_one_and_opens_the_next(self):
        startups = self.run_one([harness.program("exec_chain"), "3"], "--until", "exit")
        self.assertEqual([s["outcome"] for s in startups], ["OUTCOME_REPLACED"] * 3 +
                         ["OUTCOME_REACHED"])
        ids = [int(s["process"]["exec_id"]) for s in startups]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(len({s["process"]["pid"] for s in startups}), 1)
        self.assertEqual(len({s["startup_id"] for s in startups}), 4)
        ends = [harness.number(s, "begin_boottime_ns") + harness.number(s, "total_ns")
                for s in startups]
        begins = [harness.number(s, "begin_boottime_ns") for s in startups]
        self.assertEqual(ends[:-1], begins[1:])

    def test_scripts_name_script_and_interpreter(self):
        startup, = self.run_one([harness.program("script.sh")])
        process = startup["process"]
        self.assertEqual(process["executable"], os.path.realpath("/bin/sh"))
        self.assertEqual(process["filename"], harness.program("script.sh"))
        self.assertEqual(process["interpreter"], "/bin/sh")
        self.assertEqual(startup["outcome"], "OUTCOME_REACHED")

    def test_env_script_is_two_startups(self):
        startups = self.run_one([harness.program("script_env.sh")])
        self.assertEqual([os.path.basename(s["process"]["executable"]) for s in startups],
                         ["env", os.path.basename(os.path.realpath("/bin/sh"))])

    def children_of(self, *command):
        """Startups of a command's descendants, the command itself left out."""
        watch = harness.Watch(self.daemon, "--exe", harness.program("hello_glibc_dynamic"),
                              "--limit", "1")
        watch.wait_armed()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        startups, errors = watch.finish(patience_s=10)
        self.assertEqual(len(startups), 1, errors)
        harness.check_startup(self, startups[0])
        return startups[0]

    def test_vfork_posix_spawn_and_clone3(self):
        hello = harness.program("hello_glibc_dynamic")
        for command in ([harness.program("vfork_exec"), hello],
                        [harness.program("clone3_exec"), hello],
                        [harness.program("fork_storm"), "1", hello]):
            with self.subTest(command=command[0]):
                startup = self.children_of(*command)
                self.assertEqual(startup["outcome"], "OUTCOME_REACHED")
                self.assertGreater(harness.number(startup, "spawn_ns"), 0)

    def test_exec_from_a_thread_takes_the_leaders_identity(self):
        startups = self.run_one([harness.program("thread_exec"),
                                 harness.program("hello_glibc_dynamic")], "--until", "exit")
        self.assertEqual([s["outcome"] for s in startups],
                         ["OUTCOME_REPLACED", "OUTCOME_REACHED"])
        self.assertEqual(len({(s["process"]["pid"], s["process"]["start_boottime_ns"])
                              for s in startups}), 1)

    def test_huge_arguments(self):
        startups = self.run_one([harness.program("huge_argv"),
                                 harness.program("hello_glibc_dynamic")])
        self.assertEqual(len(startups), 2)
        self.assertEqual(startups[1]["outcome"], "OUTCOME_REACHED")

    def test_threads_before_main_are_counted_with_their_faults(self):
        startup, = self.run_one([harness.program("threads_before_main")], "--level", "objects")
        self.assertEqual(startup["threads_created"], 4)
        # The threads' pages are faults of the process, as its own rusage has them.
        alone = harness.run([harness.program("hello_glibc_dynamic")], daemon=self.daemon)[0]
        self.assertGreater(harness.number(startup["faults"], "minor"),
                           harness.number(alone["faults"], "minor") + 8)

    def test_setuid_is_marked_secure(self):
        directory = tempfile.mkdtemp()
        try:
            path = os.path.join(directory, "setuid_hello")
            shutil.copy(harness.program("hello_glibc_dynamic"), path)
            os.chown(path, 65534, 65534)
            os.chmod(path, 0o755 | stat.S_ISUID)
            os.chmod(directory, 0o755)
            startup, = self.run_one([path])
            self.assertTrue(startup["process"]["secure"])
            self.assertEqual(startup["outcome"], "OUTCOME_REACHED")
        finally:
            shutil.rmtree(directory)

    def known_files(self):
        done = harness.client("status", "--format", "json", address=self.daemon.address)
        return [image["path"] for image in json.loads(done.stdout).get("images", [])]

    def test_first_start_of_an_unknown_loader_still_has_phases(self):
        # A loader that no watch has prepared for: a copy of the usual one under another inode.
        directory = tempfile.mkdtemp()
        try:
            loader = os.path.join(directory, "ld-linux-copy.so.2")
            shutil.copy(os.path.realpath("/lib64/ld-linux-x86-64.so.2"), loader)
            path = os.path.join(directory, "hello")
            subprocess.run(["gcc", str(harness.SOURCE / "tests/programs/hello.c"), "-o", path,
                            "-Wl,--dynamic-linker=" + loader], check=True)
            watch = harness.Watch(self.daemon, "--exe", path, "--until", "exit", "--limit", "2")
            watch.wait_armed()
            for count in (1, 2):
                subprocess.run([path], check=True, stdout=subprocess.DEVNULL)
                # Time for the file to be inspected and marked between the two starts.
                harness.wait_for(lambda: loader in self.known_files(), "the new loader to be known")
            startups, errors = watch.finish(patience_s=10)
            self.assertEqual(len(startups), 2, errors)
            first, second = startups
            harness.check_startup(self, first)
            harness.check_startup(self, second)
            self.assertIn("DEGRADATION_KIND_FIRST_SEEN",
                          [d["kind"] for d in first["degradations"]])
            self.assertIsNotNone(harness.phase_of(first, "RELOCATION"))
            self.assertFalse(second.get("degradations"), second.get("degradations"))
            self.assertEqual(harness.phase_of(second, "DEPENDENCY_MAPPING")["begin_source"],
                             "BOUNDARY_SOURCE_CALL_SITE_UPROBE")
        finally:
            shutil.rmtree(directory)

    def test_a_loader_inside_another_mount_namespace_is_found(self):
        # Copies of loader and libc that have the usual paths only below another root.
        jail = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, jail)
        program = harness.program("hello_glibc_dynamic")
        listed = subprocess.check_output(["ldd", program], text=True)
        files = [word for word in listed.split() if word.startswith("/")]
        for file in files:
            os.makedirs(jail + os.path.dirname(file), exist_ok=True)
            shutil.copy(os.path.realpath(file), jail + file)
        shutil.copy(program, os.path.join(jail, "jailed_hello"))
        watch = harness.Watch(self.daemon, "--comm", "jailed_hello", "--until", "exit", "--level",
                              "objects")
        watch.wait_armed()
        for _ in range(5):
            subprocess.run(["unshare", "-m", "chroot", jail, "/jailed_hello"], check=True,
                           stdout=subprocess.DEVNULL)
            time.sleep(0.2)  # as long as it takes a person to look; the daemon needs far less
        startups, errors = watch.finish(patience_s=1)
        self.assertEqual(len(startups), 5, errors)
        for startup in startups:
            harness.check_startup(self, startup)
            self.assertEqual(startup["process"]["executable"], "/jailed_hello")
            self.assertIn("/lib64/ld-linux-x86-64.so.2", [o["path"] for o in startup["objects"]])
        last = startups[-1]
        self.assertFalse(last.get("degradations"), last.get("degradations"))
        self.assertEqual(harness.phase_of(last, "DEPENDENCY_MAPPING")["begin_source"],
                         "BOUNDARY_SOURCE_CALL_SITE_UPROBE")


if __name__ == "__main__":
    unittest.main()
