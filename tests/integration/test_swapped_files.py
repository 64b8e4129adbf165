# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Names that lead to another file at every moment: breakpoints are only ever in files that were executed, told from
what is in memory of each. The other file is as good a program, but nobody may execute it.

STARTSCOPE_LONG=1: 2,000 starts of each kind instead of 100."""

import ctypes
import mmap
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import harness
from rpc import Rpc, startup_service_pb2

STARTS = 2000 if os.environ.get("STARTSCOPE_LONG") else 100
LOADER = "/lib64/ld-linux-x86-64.so.2"
AT_FDCWD = -100
RENAME_EXCHANGE = 2
MS_BIND = 4096
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def breakpoints(path):
    """How many bytes of the file are others when it is mapped to be executed."""
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC) as mapped:
            in_memory = mapped[:]
        on_disk = file.read()
    return sum(a != b for a, b in zip(in_memory, on_disk)) if in_memory != on_disk else 0


class Swapper:
    """Has `name` lead to `real` or to `decoy` in turn, as fast as it goes, while it is entered."""

    def __init__(self, step):
        self.step = step
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.turns = 0

    def loop(self):
        while not self.stop.is_set():
            self.step(self.turns)
            self.turns += 1
        if self.turns % 2:
            self.step(self.turns)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()


class SwappedFiles(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="startscope-swap-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def pair(self, source):
        """An executable copy of a file, and one that cannot be executed."""
        paths = []
        for name, mode in (("real", 0o755), ("decoy", 0o644)):
            path = os.path.join(self.directory, name)
            shutil.copyfile(source, path)
            os.chmod(path, mode)
            paths.append(path)
        return paths

    def by_symlink(self, name, real, decoy):
        def step(turn):
            os.symlink((decoy, real)[turn % 2], name + ".new")
            os.rename(name + ".new", name)
        os.symlink(real, name)
        return step

    def by_rename(self, name, real, decoy):
        os.link(real, name)
        os.link(decoy, name + ".other")

        def step(_):
            old, new = os.fsencode(name), os.fsencode(name + ".other")
            self.assertEqual(libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_EXCHANGE), 0)
        return step

    def by_bind_mount(self, name, real, decoy):
        os.link(real, name)

        def step(turn):
            if turn % 2 == 0:
                self.assertEqual(libc.mount(os.fsencode(decoy), os.fsencode(name), None, MS_BIND, None), 0)
            else:
                self.assertEqual(libc.umount2(os.fsencode(name), MNT_DETACH), 0)
        self.addCleanup(libc.umount2, os.fsencode(name), MNT_DETACH)
        return step

    def start_while_swapped(self, name, step):
        """Starts of the name, while it is the real file's and of those alone; how many were told of."""
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            stream = rpc.stub.WatchStartups(startup_service_pb2.WatchStartupsRequest(
                descendants_of_caller=True, precision="PRECISION_EXACT", until="UNTIL_EXIT"))
            self.assertTrue(next(stream).HasField("armed"))
            started = told = 0
            with Swapper(step) as swapper:
                while started < STARTS:
                    try:
                        done = subprocess.run([name], stdout=subprocess.PIPE)
                    except (PermissionError, FileNotFoundError):
                        continue
                    except OSError:  # its loader was the wrong one just then
                        continue
                    started += done.returncode == 0
                self.assertGreater(swapper.turns, STARTS / 10)
                # Whatever was asked for is answered by now, still in the midst of it.
                for message in stream:
                    told += message.HasField("startup_finished") and \
                        message.startup_finished.exit_status == 0
                    if told >= started:
                        break
                yield "swapping"
            # What is known may be attached once more, now that nothing moves.
            self.assertEqual(subprocess.run([name], stdout=subprocess.PIPE).returncode, 0)
            yield "at rest"
            stream.cancel()

    def check(self, way, source=None):
        real, decoy = self.pair(source or harness.program("hello_glibc_dynamic"))
        name = os.path.join(self.directory, "name")
        for state in self.start_while_swapped(name, way(name, real, decoy)):
            with self.subTest(state=state):
                self.assertEqual(breakpoints(decoy), 0)
        return real

    def test_the_executable_behind_a_symbolic_link(self):
        self.check(self.by_symlink)

    def test_the_executable_renamed(self):
        self.check(self.by_rename)

    def test_the_executable_below_a_bind_mount(self):
        self.check(self.by_bind_mount)

    def check_the_worst_moment(self, daemon, run, swapped, decoy):
        """The daemon learns of a start, of `run`, when the name leads elsewhere already."""
        with Rpc(daemon) as rpc:
            def start():
                daemon.process.send_signal(signal.SIGSTOP)
                process = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
                harness.wait_for(
                    lambda: open(f"/proc/{process.pid}/stat").read().split(")")[1].split()[0] == "Z",
                    "the program to end")
                swapped()
                daemon.process.send_signal(signal.SIGCONT)
                return process

            self.assertEqual(rpc.watch(start).output, "hello\n")
            # Asked for after all that the start asked for.
            rpc.run(["/bin/true"])
            self.assertEqual(breakpoints(decoy), 0)

    def test_swapped_before_the_daemon_looks(self):
        for way in (self.by_symlink, self.by_rename, self.by_bind_mount):
            with self.subTest(way=way.__name__), harness.Daemon() as daemon:
                real, decoy = self.pair(harness.program("hello_glibc_dynamic"))
                os.chmod(decoy, 0o755)
                name = os.path.join(self.directory, way.__name__)
                step = way(name, real, decoy)
                self.check_the_worst_moment(daemon, [name], lambda: step(0), decoy)
                os.unlink(real)
                os.unlink(decoy)

    def test_the_loader_swapped_before_the_daemon_looks(self):
        real, decoy = self.pair(LOADER)
        os.chmod(decoy, 0o755)
        name, program = (os.path.join(self.directory, n) for n in ("ld.so", "program"))
        step = self.by_symlink(name, real, decoy)
        subprocess.run(["gcc", str(harness.SOURCE / "tests/programs/hello.c"), "-o", program,
                        "-Wl,--dynamic-linker=" + name], check=True)
        with harness.Daemon() as daemon:
            self.check_the_worst_moment(daemon, [program], lambda: step(0), decoy)
        # The one that is executed gets them as ever.
        step(1)
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for startup in rpc.run(["/bin/sh", "-c", f"for i in 1 2 3 4 5; do {program}; sleep 0.1; done"],
                                   startups=11, linger_s=1).startups:
                last = startup
            self.assertEqual(breakpoints(decoy), 0)
            entry, = [p for p in last["phases"] if p["phase"] == "PHASE_RUNTIME_INIT"]
            self.assertEqual(entry["begin_source"], "BOUNDARY_SOURCE_ENTRY_UPROBE")


if __name__ == "__main__":
    unittest.main()
