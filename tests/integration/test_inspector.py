# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Files are read in a sandboxed child: what it may do, what happens when it is killed, and that no file
can take the daemon along.

STARTSCOPE_LONG=1: 100,000 mutants of ELF files instead of 1,020."""

import itertools
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from rpc import Rpc, startup_service_pb2

MUTANTS = 33340 if os.environ.get("STARTSCOPE_LONG") else 340  # of each of three programs
MUTANTS_AT_ONCE = 340  # on disk


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


def fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}


def launcher(daemon):
    found, = [pid for pid in children(daemon.process.pid) if fields(pid)["Name"] == ["inspector-start"]]
    return found


def inspectors(daemon):
    return [pid for pid in children(launcher(daemon)) if fields(pid)["State"][0] != "Z"]


def inspector_status(daemon):
    with Rpc(daemon) as rpc:
        return rpc.stub.GetStatus(startup_service_pb2.GetStatusRequest(), timeout=30).inspector


class Sandbox(unittest.TestCase):
    def test_the_child_has_nothing(self):
        with harness.Daemon() as daemon:
            child, = inspectors(daemon)
            status = fields(child)
            self.assertEqual(status["NoNewPrivs"], ["1"])
            self.assertEqual(status["Seccomp"], ["2"])
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[name][0], 16), 0, name)
            self.assertNotIn("0", status["Uid"] + status["Gid"])
            self.assertEqual(status["Groups"], [])
            self.assertEqual(os.listdir(f"/proc/{child}/root"), [])
            self.assertEqual(sorted(os.listdir(f"/proc/{child}/fd")), ["0", "1", "2", "3"])
            for name in ("user", "net", "mnt", "ipc"):
                self.assertNotEqual(os.readlink(f"/proc/{child}/ns/{name}"),
                                    os.readlink(f"/proc/{daemon.process.pid}/ns/{name}"), name)
            self.assertIn("seccomp", inspector_status(daemon).sandbox)

    def test_without_it_the_daemon_does_not_start(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        daemon = shutil.copy(harness.DAEMON, directory)
        done = subprocess.run([daemon, "--listen", f"unix://{directory}/sock"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("startscope-inspector: not found", done.stderr)
        self.assertIn("install startscope-inspector", done.stderr)
        self.assertFalse(os.path.exists(f"{directory}/sock"))


class Killing(unittest.TestCase):
    def test_killed_fifty_times_under_load_loses_no_startup(self):
        directory = tempfile.mkdtemp(dir="/var/tmp")
        self.addCleanup(shutil.rmtree, directory)
        kills = 50
        killed = set()  # one that is killed may still be seen alive a moment later
        done = threading.Event()
        with harness.Daemon() as daemon:
            def kill_all():
                while len(killed) < kills and not done.is_set():
                    for pid in inspectors(daemon):
                        try:
                            os.kill(pid, signal.SIGKILL)
                            killed.add(pid)
                        except ProcessLookupError:
                            pass
                    time.sleep(0.01)

            killer = threading.Thread(target=kill_all)
            # New files each time, so that each is looked at.
            script = (f"for i in $(seq 60); do cp {harness.program('hello_musl_static')} "
                      f"{directory}/f$i; {directory}/f$i >/dev/null; done")
            killer.start()
            with Rpc(daemon) as rpc:
                startups = rpc.run(["/bin/sh", "-c", script], until="UNTIL_MAIN", linger_s=2).startups
            killer.join(timeout=60)
            done.set()
            self.assertFalse(killer.is_alive())
            seen = {s["process"]["executable"] for s in startups}
            missing = [i for i in range(1, 61) if f"{directory}/f{i}" not in seen]
            self.assertEqual(missing, [])
            self.assertIsNone(daemon.process.poll())
            status = harness.wait_for(
                lambda: (lambda s: s if s.running else None)(inspector_status(daemon)),
                "the inspector to run again")
            # One that is killed before it has said that it is there is not told apart from one
            # that could not be started twice in a row.
            self.assertGreaterEqual(status.restarts, len(killed) // 2)
            for startup in startups:
                harness.check_startup(self, startup)
            # What was not looked at is said.
            for startup in startups:
                if not startup["process"]["executable"].startswith(directory):
                    continue
                kinds = {d["kind"] for d in startup.get("degradations", [])}
                known = startup.get("runtime", {}).get("libc") == "LIBC_MUSL"
                self.assertTrue(known or kinds, startup["process"]["executable"])


def mutants(whole, count, seed):
    """Headers and tables changed, and files cut off: what a reader trusts most."""
    rng = random.Random(seed)
    for _ in range(count):
        bytes_ = bytearray(whole)
        for _ in range(8):
            at = rng.randrange(1024 if rng.random() < 0.6 else len(bytes_))
            bytes_[at] = rng.randrange(256)
        if rng.random() < 0.1:
            del bytes_[rng.randrange(64, len(bytes_)):]
        bytes_[:4] = b"\x7fELF"
        yield bytes(bytes_)


class Hostile(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.directory)

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        pathlib.Path(path).write_bytes(content)
        os.chmod(path, 0o755)
        return path

    def prepare(self, daemon, paths):
        """Has the daemon look at files without running them; the longest that one batch took."""
        longest = 0.0
        with Rpc(daemon) as rpc:
            for first in range(0, len(paths), 16):
                batch = paths[first:first + 16]
                begin = time.monotonic()
                stream = rpc.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                    descendants_of_caller=True, precision="PRECISION_UNPERTURBED",
                    until="UNTIL_MAIN", level="LEVEL_PHASES", prepare_executables=batch), timeout=60)
                self.assertEqual(next(iter(stream)).WhichOneof("event"), "armed")
                stream.cancel()
                longest = max(longest, (time.monotonic() - begin) / len(batch))
        return longest

    def test_many_mutants_do_no_harm(self):
        longest = 0.0
        with harness.Daemon() as daemon:
            for name in ("freestanding_c", "hello_glibc_dynamic", "hello_musl_static"):
                whole = pathlib.Path(harness.program(name)).read_bytes()
                source = enumerate(mutants(whole, MUTANTS, name))
                while batch := [self.write(f"{name}{i}", mutant)
                                for i, mutant in itertools.islice(source, MUTANTS_AT_ONCE)]:
                    longest = max(longest, self.prepare(daemon, batch))
                    for path in batch:
                        os.unlink(path)
            self.assertIsNone(daemon.process.poll())
            status = inspector_status(daemon)
            self.assertGreaterEqual(status.requests, 0.98 * 3 * MUTANTS)
            print(f"{status.requests} mutants read, at most {longest * 1000:.0f} ms each")
            # Most of all because the honest reader does not fail: nothing ends it.
            self.assertEqual(list(status.refused), [], longest)
            self.assertEqual(status.restarts, 0)

    def test_giant_and_odd_files(self):
        whole = bytearray(pathlib.Path(harness.program("hello_glibc_static")).read_bytes())
        # A sparse terabyte that is all symbol table.
        sections, = struct.unpack_from("<Q", whole, 0x28)
        count, = struct.unpack_from("<H", whole, 0x3c)
        for i in range(count):
            at = sections + 64 * i
            kind, = struct.unpack_from("<I", whole, at + 4)
            if kind in (2, 3):
                struct.pack_into("<QQ", whole, at + 0x18, 0x100000, 1 << 39)
        giant = self.write("giant", bytes(whole))
        os.truncate(giant, 1 << 40)
        # Everything overlaps everything.
        whole = bytearray(pathlib.Path(harness.program("hello_glibc_dynamic")).read_bytes())
        headers, = struct.unpack_from("<Q", whole, 0x20)
        count, = struct.unpack_from("<H", whole, 0x38)
        for i in range(count):
            struct.pack_into("<QQQQ", whole, headers + 56 * i + 8, 0, 0, 0, len(whole))
        overlap = self.write("overlap", bytes(whole))
        fifo = os.path.join(self.directory, "fifo")
        os.mkfifo(fifo, 0o755)
        with harness.Daemon() as daemon:
            for path in (giant, overlap, fifo, "/dev/zero", self.directory):
                begin = time.monotonic()
                self.prepare(daemon, [path])
                self.assertLess(time.monotonic() - begin, 3.0, path)
            self.assertIsNone(daemon.process.poll())
            # It still reads what is right.
            startup, = harness.run(["/bin/true"], daemon=daemon)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")

    def test_a_look_up_that_does_not_come_back_is_given_up(self):
        path = self.write("odd", pathlib.Path(harness.program("hello_musl_static")).read_bytes())
        with harness.Daemon() as daemon:
            self.prepare(daemon, ["/bin/true"])
            # As a reader that loops would: it holds the question and never answers.
            for child in inspectors(daemon):
                os.kill(child, signal.SIGSTOP)
            begin = time.monotonic()
            self.prepare(daemon, ["/bin/ls"])
            took = time.monotonic() - begin
            status = inspector_status(daemon)
            self.assertEqual(status.timeouts, 1)
            self.assertGreater(took, 0.9)
            self.assertLess(took, 5.0)
            startup, = harness.run([path], daemon=daemon)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_MUSL")
            startup, = harness.run(["/bin/ls"], daemon=daemon)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")
            self.assertEqual(inspector_status(daemon).timeouts, 1)

    def test_a_file_that_is_truncated_while_it_is_read(self):
        whole = pathlib.Path(harness.program("hello_go")).read_bytes()
        path = self.write("shrinking", whole)
        stop = threading.Event()

        def shrink():
            while not stop.is_set():
                os.truncate(path, random.randrange(len(whole)))
                with open(path, "r+b") as file:
                    file.write(whole)

        thread = threading.Thread(target=shrink)
        with harness.Daemon() as daemon:
            thread.start()
            try:
                for _ in range(20):
                    self.prepare(daemon, [path])
            finally:
                stop.set()
                thread.join()
            self.assertIsNone(daemon.process.poll())
