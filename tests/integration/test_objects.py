# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Objects, pages and their faults agree with what other programs say: ldd and the loader about the
objects, readelf about their identity, smaps and pagemap about the pages."""

import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from rpc import Rpc

# Real programs and arguments with which they soon end by themselves.
PROGRAMS = [
    ["ls", "/"], ["python3", "-S", "-c", "pass"], ["perl", "-e", "1"], ["git", "--version"],
    ["bash", "-c", ":"], ["node", "--version"], ["clang", "--version"], ["cmake", "--version"],
    ["gdb", "--version"], ["ssh", "-V"], ["curl", "--version"], ["openssl", "version"],
    ["grep", "--version"], ["tar", "--version"], ["find", "/dev/null"], ["gcc", "--version"],
    ["readelf", "--version"], ["ps", "--version"], ["strace", "--version"], ["ip", "-V"],
    ["xz", "--version"], ["dpkg", "--version"],
]
IMAGE_KINDS = ("OBJECT_KIND_EXECUTABLE", "OBJECT_KIND_LOADER", "OBJECT_KIND_LIBRARY")


def distribution_path(name):
    """Where the distribution has a program, whatever else is on PATH."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise AssertionError(f"{name} is not installed")
    return os.path.realpath(found)


def objects_by_loader(command):
    """Paths of the objects that the loader loads for a program before its main, as ldd has it."""
    done = subprocess.run(["ldd", command[0]], capture_output=True, text=True, check=True)
    paths = {command[0]}
    for line in done.stdout.splitlines():
        match = re.search(r"(/\S+) \(0x", line)
        if match:
            paths.add(os.path.realpath(match.group(1)))
    return paths


def objects_loaded_at_all(command):
    """The same by the loader's own log, to the command's end: libraries opened by the program included."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(command, env=dict(os.environ, LD_DEBUG="files", LD_DEBUG_OUTPUT=directory + "/log"),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        paths = set()
        # A program that forks leaves a log of each process; the first is its own.
        logs = sorted(pathlib.Path(directory).iterdir(), key=lambda log: log.stat().st_ctime_ns)
        for match in re.finditer(r"calling init: (\S+)", logs[0].read_text(errors="replace")):
            paths.add(os.path.realpath(match.group(1)))
        return paths


def identity(path):
    """(build id, soname) as readelf reads them."""
    notes = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True).stdout
    dynamic = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)
    soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic)
    return (build_id.group(1) if build_id else "", soname.group(1) if soname else "")


def as_mapped(path):
    """(device as major:minor, inode) by the memory map of this process; stat() says others on overlay."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
        for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and os.path.realpath(fields[5]) == os.path.realpath(path):
                major, minor = (int(n, 16) for n in fields[3].split(":"))
                return f"{major}:{minor}", int(fields[4])
    raise AssertionError(f"{path} is not in the memory map")


def is_bss(segment):
    return int(segment["file_offset"]) == 0 and segment["permissions"] == "rw-"


def smaps_of(pid):
    """path (as in the map) -> sums in pages of Rss, Private_Dirty and Size."""
    sums = {}
    path = None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        header = re.match(r"[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ \d+ *(.*)", line)
        if header:
            path = header.group(1) or "[anonymous]"
            continue
        field = re.match(r"(Rss|Private_Dirty|Size): +(\d+) kB", line)
        if field:
            one = sums.setdefault(path, {"Rss": 0, "Private_Dirty": 0, "Size": 0})
            one[field.group(1)] += int(field.group(2)) // 4
    return sums


class ObjectSets(unittest.TestCase):
    def test_objects_are_those_that_the_loader_loads(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in PROGRAMS:
                command = [distribution_path(name), *arguments]
                with self.subTest(program=command[0]):
                    traced = rpc.run(command, until="UNTIL_MAIN")
                    startup = traced.startups[0]
                    harness.check_startup(self, startup)
                    ours = {o["path"] for o in startup["objects"] if o["kind"] in IMAGE_KINDS}
                    self.assertEqual(ours, objects_by_loader(command))
                    self.assertEqual(startup["degradations"], [])

    def test_objects_until_exit_include_those_opened_later(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in (["/usr/bin/python3", "-c", "import ctypes, ssl"],
                                     ["openssl", "version", "-m"], ["perl", "-MPOSIX", "-e", "1"]):
                command = [distribution_path(name), *arguments]
                with self.subTest(program=command[0]):
                    startup = rpc.run(command).startups[0]
                    ours = {o["path"] for o in startup["objects"]
                            if o["kind"] in IMAGE_KINDS}
                    by_loader = objects_loaded_at_all(command)
                    self.assertGreater(len(by_loader), 2)
                    # The loader's log has no init line for libraries without constructors.
                    self.assertLessEqual(by_loader - {command[0]}, ours)

    def test_identity_of_every_object(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run([distribution_path("curl"), "--version"],
                              until="UNTIL_MAIN").startups[0]
            images = [o for o in startup["objects"] if o["kind"] in IMAGE_KINDS]
            self.assertGreater(len(images), 20)
            for image in images:
                self.assertEqual((image["build_id"], image["soname"]), identity(image["path"]),
                                 image["path"])
                self.assertEqual((image["device"], int(image["inode"])), as_mapped(image["path"]))
                if image["kind"] != "OBJECT_KIND_EXECUTABLE":
                    self.assertTrue(image["needed_by"], image["path"] + " is needed by nobody")
            curl = next(o for o in images if "libcurl" in o["path"])
            self.assertEqual(curl["needed_by"], [distribution_path("curl")])


class Pages(unittest.TestCase):
    """A process is held after its startup and looked at through /proc."""

    def held(self, rpc, command, level):
        """(startup until the deadline, smaps) of a command that does not end by itself."""
        maps = {}

        def look(process, traced):
            maps.update(smaps_of(process.pid))
            process.send_signal(signal.SIGKILL)

        traced = rpc.run(command, level=level, deadline_s=1.5, precision="PRECISION_UNPERTURBED",
                         while_alive=look)
        startup = traced.startups[0]
        self.assertEqual(startup["outcome"], "OUTCOME_DEADLINE")
        harness.check_startup(self, startup)
        return startup, maps

    COMMANDS = [["/usr/bin/sleep", "60"],
                ["/usr/bin/python3", "-c", "import ssl, json, time; time.sleep(60)"],
                ["/usr/bin/perl", "-MPOSIX", "-e", "sleep 60"]]

    def test_touched_and_resident_pages_against_smaps(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for command in self.COMMANDS:
                for path in objects_by_loader([os.path.realpath(command[0])]):
                    pathlib.Path(path).read_bytes()  # in memory from here on
                startup, maps = self.held(rpc, command, "LEVEL_PAGES")
                compared = []
                for one in startup["objects"]:
                    if one["path"] not in maps or one["kind"] not in IMAGE_KINDS:
                        continue
                    if int(one["pages_read"]) != 0:  # evicted again: its windows are not known
                        self.assertNotIn("pages_resident", one)
                        continue
                    with self.subTest(program=command[0], object=one["path"]):
                        # The BSS is the object's in ours, and anonymous in smaps.
                        bss = sum(int(s["pages_touched"]) for s in one["segments"] if is_bss(s))
                        resident = int(one["pages_resident"]) - bss
                        rss = maps[one["path"]]["Rss"]
                        self.assertLessEqual(int(one["pages_touched"]) - bss, rss)
                        compared.append((rss, resident))
                # The kernel leaves out of a window what is not in memory and the folios where readahead
                # is to go on, and now and then maps more: few.
                self.assertGreaterEqual(len(compared), 3)
                both = [sum(pair[i] for pair in compared) for i in (0, 1)]
                self.assertAlmostEqual(both[1] / both[0], 1, delta=0.1)

    def test_pages_of_a_known_pattern(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            path = os.path.join(directory, "data")
            with open(path, "wb") as file:
                file.write(os.urandom(256 * 4096))
                os.fsync(file.fileno())
            command = [harness.program("touch_file"), path, "3", "200", "70", "200"]
            startup, maps = self.held(rpc, command, "LEVEL_PAGES")
            one, = [o for o in startup["objects"] if o["path"] == path]
            self.assertEqual(one["kind"], "OBJECT_KIND_FILE")
            self.assertEqual(int(one["pages_touched"]), 3)
            self.assertEqual(int(one["pages_mapped"]), 256)
            self.assertEqual(int(one["pages_resident"]), maps[path]["Rss"])
            self.assertEqual([int(p["file_offset"]) // 4096 for p in one["pages"]], [3, 200, 70])
            orders = [int(p["touch_order"]) for p in one["pages"]]
            self.assertEqual(orders, sorted(orders))
            faults = [e["fault"] for e in startup["timeline"] if e.get("fault", {}).get("object") == path]
            self.assertEqual([int(f["file_offset"]) // 4096 for f in faults], [3, 200, 70])
            windows = [f for f in faults if "around" in f]
            self.assertGreaterEqual(len(windows), 1)
            for fault in windows:
                first = int(fault["around"]["file_offset"]) // 4096
                self.assertTrue(first <= int(fault["file_offset"]) // 4096 < first + 16, fault)
                self.assertLessEqual(fault["around"]["pages"], 16)
            for fault in faults:
                self.assertEqual(fault["symbol"], "main")
                self.assertEqual(fault["instruction_object"], harness.program("touch_file"))

    def test_the_faults_are_those_that_perf_records(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            data = os.path.join(directory, "perf.data")
            for target in (["/usr/bin/git", "--version"], ["/usr/bin/python3", "-S", "-c", "import json"]):
                traced = rpc.run(["/usr/bin/perf", "record", "-q", "-e", "page-faults", "-c", "1", "-d",
                                  "-o", data, *target], startups=2, level="LEVEL_PAGES",
                                 precision="PRECISION_UNPERTURBED", prepare=[])
                startup = next(s for s in traced.startups if s["process"]["executable"] ==
                               os.path.realpath(target[0]))
                printed = subprocess.run(["perf", "script", "-i", data, "-F", "ip,addr"],
                                         capture_output=True, text=True).stdout.split()
                theirs = sorted(int(a, 16) & ~0xfff for a in printed[::2])
                ours = sorted(int(e["fault"]["address"]) & ~0xfff for e in startup["timeline"]
                              if "fault" in e)
                self.assertGreater(len(ours), 50)
                self.assertEqual(ours, theirs)

    def test_pages_copied_on_write_are_private_dirty(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for command in self.COMMANDS:
                for level in ("LEVEL_OBJECTS", "LEVEL_PAGES"):
                    startup, maps = self.held(rpc, command, level)
                    for one in startup["objects"]:
                        if one["path"] not in maps or one["kind"] not in IMAGE_KINDS:
                            continue
                        with self.subTest(program=command[0], level=level, object=one["path"]):
                            self.assertEqual(int(one["pages_dirtied"]),
                                             maps[one["path"]]["Private_Dirty"])

    def test_heap_and_stack(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup, maps = self.held(rpc, self.COMMANDS[1], "LEVEL_PAGES")
            heap, = [o for o in startup["objects"] if o["kind"] == "OBJECT_KIND_HEAP"]
            self.assertEqual(int(heap["pages_touched"]), maps["[heap]"]["Rss"])
            self.assertEqual(int(heap["pages_mapped"]), maps["[heap]"]["Size"])
            # Before the point of no return the kernel copied the arguments to the top of the new stack.
            stack, = [o for o in startup["objects"] if o["kind"] == "OBJECT_KIND_STACK"]
            self.assertIn(maps["[stack]"]["Rss"] - int(stack["pages_touched"]), (0, 1, 2))


if __name__ == "__main__":
    unittest.main()
