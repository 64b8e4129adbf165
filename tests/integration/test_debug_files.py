# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Separate debug files of a C library, where they lie in the root directory of the program alone, or in a cache of
debuginfod's clients; what is beyond that root is not found, and what is wrong in them is not believed."""

import contextlib
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import tempfile
import unittest

import harness
from test_libcs import DYNAMIC, daemon_with_debug_files, degradations, phases, sources, start_all

import fetch
import programs

PROGRAM = "hello"
WARM_UP_STARTS = 40
SUITE = "trixie"
ROUNDS = 4
# Differences below both are none: docs/libcs.md.
TOLERATED_NS = 60_000
TOLERATED_SHARE = 0.1


class Root:
    """A copy of a suite's root directory, to put debug files into."""

    def __init__(self, suite, directory):
        self.name = suite.name
        self.root = pathlib.Path(directory, "root")
        shutil.copytree(suite.root, self.root, symlinks=True)
        self.loader = fetch.resolve_in(self.root, fetch.LOADERS["glibc"])
        self.build_id = fetch.build_id_of(self.loader)
        self.debug_file = suite.debug_file_of(self.loader)
        told = subprocess.run(["readelf", "-p", ".gnu_debuglink", self.loader], capture_output=True,
                              text=True, errors="replace", check=True)  # the checksum is no text
        self.link_name = re.search(r"\S+\.debug", told.stdout)[0]

    def by_build_id(self):
        return pathlib.Path("usr/lib/debug/.build-id", self.build_id[:2], self.build_id[2:] + ".debug")

    def put(self, path):
        """The loader's debug file at `path`, of which everything is made that is missing."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.debug_file, path)
        return path


@contextlib.contextmanager
def root_of(suite):
    with tempfile.TemporaryDirectory(dir=harness.BUILD) as directory:
        yield Root(suite, directory)


def move_functions(path, distance):
    """All functions of the symbol table in the file at `path` lie `distance` further on; how many there are."""
    data = bytearray(path.read_bytes())
    table, = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3a)
    moved = 0
    for section in range(count):
        kind, = struct.unpack_from("<I", data, table + section * size + 4)
        offset, length = struct.unpack_from("<QQ", data, table + section * size + 0x18)
        if kind != 2:  # SHT_SYMTAB
            continue
        for at in range(offset, offset + length, 24):
            value, = struct.unpack_from("<Q", data, at + 8)
            if data[at + 4] & 15 == 2 and value:  # STT_FUNC
                struct.pack_into("<Q", data, at + 8, value + distance)
                moved += 1
    path.write_bytes(data)
    return moved


def begins(startup):
    """Phase -> when it began, after the loader did."""
    at = {p["phase"].removeprefix("PHASE_"): int(p["offset_ns"]) for p in startup["phases"]}
    return {name: begin - at["LOADER_BOOTSTRAP"] for name, begin in at.items()}


class DebugFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Programs are linked against the oldest.
        suites = fetch.fetch(harness.BUILD / "libcs", ["bullseye", SUITE])
        programs.build(suites, harness.BUILD / "debug-files-programs")
        cls.suite = suites[SUITE]

    def start(self, rpc, root, runs=3):
        # Nothing is prepared, with a look from outside the root: the first starts make the files known.
        # A process may be gone before its files are opened, so it can take some.
        for _ in range(WARM_UP_STARTS):
            warm = start_all(rpc, root, [PROGRAM], prepare=False)[PROGRAM]
            if not any(degradations(startup) for startup in warm):
                break
        startups = start_all(rpc, root, [PROGRAM], runs=runs, prepare=False)[PROGRAM]
        for startup in startups:
            harness.check_startup(self, startup)
            self.assertEqual(phases(startup), DYNAMIC, startup["degradations"])
            self.assertEqual(degradations(startup), [])
        return startups

    def check_relocation_is_told_by(self, source, root, *options):
        with daemon_with_debug_files(None, *options) as rpc:
            for startup in self.start(rpc, root):
                self.assertEqual(sources(startup)["RELOCATION"], source)

    def test_debug_package_in_the_programs_root_alone(self):
        with root_of(self.suite) as root:
            self.check_relocation_is_told_by("MAPPING", root)
            shutil.copytree(self.suite.debug, root.root, dirs_exist_ok=True, symlinks=True)
            self.check_relocation_is_told_by("DEBUG_FILE_UPROBE", root)

    def test_debug_link_beside_the_file_and_in_dot_debug(self):
        for directory in (".", ".debug"):
            with self.subTest(directory=directory), root_of(self.suite) as root:
                root.put(root.loader.parent / directory / root.link_name)
                self.check_relocation_is_told_by("DEBUG_FILE_UPROBE", root)

    def test_debuginfod_cache(self):
        with root_of(self.suite) as root:
            cache = root.root.parent / "cache"
            root.put(cache / root.build_id / "debuginfo")
            self.check_relocation_is_told_by("DEBUG_FILE_UPROBE", root, "--debuginfod-cache", str(cache))

    def test_a_link_in_the_programs_root_does_not_lead_out_of_it(self):
        for target in ("absolute", "relative"):
            with self.subTest(target=target), root_of(self.suite) as root:
                outside = root.root.parent / "outside"
                root.put(outside / root.by_build_id().relative_to("usr/lib/debug"))
                link = root.root / "usr/lib/debug"
                link.symlink_to(outside if target == "absolute" else "../../../outside")
                self.assertTrue((root.root / root.by_build_id()).is_file())  # as seen from outside
                self.check_relocation_is_told_by("MAPPING", root)

    def test_a_debug_file_that_lies_is_not_believed(self):
        with root_of(self.suite) as root:
            self.assertGreater(move_functions(root.put(root.root / root.by_build_id()), 1), 100)
            self.check_relocation_is_told_by("MAPPING", root)

    def test_a_cache_that_is_not_there_is_an_error(self):
        done = subprocess.run([harness.DAEMON, "--debuginfod-cache", "/nonexistent/cache"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("/nonexistent/cache", done.stderr)

    def test_phases_are_the_same_with_and_without(self):
        taken = {True: [], False: []}
        with root_of(self.suite) as bare, root_of(self.suite) as root:
            root.put(root.root / root.by_build_id())
            with daemon_with_debug_files(None) as rpc:
                for _ in range(ROUNDS):
                    taken[False] += map(begins, self.start(rpc, bare, runs=5))
                    taken[True] += map(begins, self.start(rpc, root, runs=5))
        for phase in DYNAMIC[2:]:
            columns = [[one[phase] for one in taken[with_debug]] for with_debug in (False, True)]
            medians = [statistics.median(column) for column in columns]
            quartiles = [statistics.quantiles(column, n=4) for column in columns]
            spread = max(upper - lower for lower, _, upper in quartiles)
            with self.subTest(phase=phase, medians=medians, spread=spread):
                self.assertLessEqual(abs(medians[1] - medians[0]),
                                     max(TOLERATED_NS, TOLERATED_SHARE * max(medians)) + spread)


if __name__ == "__main__":
    unittest.main()
