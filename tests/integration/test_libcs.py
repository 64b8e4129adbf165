# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Phases on the C libraries of Debian's suites, glibc 2.31 to the newest and musl 1.2, with and without their debug
files, and in the styles that programs are linked in. Each suite is a root directory of its own, as a container's."""

import contextlib
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import harness
from rpc import Rpc

sys.path.insert(0, str(harness.SOURCE / "tests" / "libcs"))
import fetch  # noqa: E402
import programs  # noqa: E402

RUNS = int(os.environ.get("STARTSCOPE_LIBC_RUNS", "3"))
DYNAMIC = ["KERNEL_EXEC", "LOADER_BOOTSTRAP", "DEPENDENCY_MAPPING", "RELOCATION", "CONSTRUCTORS",
           "RUNTIME_INIT", "MAIN"]
MUSL = [*DYNAMIC[:4], "RUNTIME_INIT", "CONSTRUCTORS", "MAIN"]
PHASES = {"musl": MUSL, "static": ["KERNEL_EXEC", "RUNTIME_INIT", "MAIN"],
          "musl_static": ["KERNEL_EXEC", "RUNTIME_INIT", "MAIN"],
          "static_pie": ["KERNEL_EXEC", "RELOCATION", "RUNTIME_INIT", "MAIN"]}
GLIBC_DYNAMIC = ["cxx", *programs.STYLES]


@contextlib.contextmanager
def daemon_with_debug_files(directory, *options):
    """A daemon that finds `directory` in place of this machine's /usr/lib/debug; nobody else does."""
    with tempfile.TemporaryDirectory() as work:
        wrapper = pathlib.Path(work, "startscoped")
        wrapper.write_text("#!/bin/sh\nexec unshare -m --propagation slave /bin/sh -c "
                           f"'mount --bind \"{directory or work}\" /usr/lib/debug && "
                           f"exec \"{harness.DAEMON}\" \"$@\"' sh \"$@\"\n")
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        with mock.patch.object(harness, "DAEMON", wrapper), harness.Daemon(*options) as daemon, \
                Rpc(daemon) as rpc:
            yield rpc


def loaders_of(suite):
    return [str(fetch.resolve_in(suite.root, loader)) for loader in fetch.LOADERS.values()]


def start_all(rpc, suite, names, precision="PRECISION_EXACT", runs=RUNS, prepare=True):
    """name -> its startups, from one watch; with `prepare` files are known before, as after the first start."""
    runner = harness.program("run_in_root")
    script = "; ".join(f"'{runner}' {runs} '{suite.root}' /{programs.DIRECTORY}/{name}" for name in names)
    files = [str(suite.root / programs.DIRECTORY / name) for name in names]
    traced = rpc.run(["/bin/sh", "-c", script + "; exit 0"],
                     prepare=files + loaders_of(suite) if prepare else [],
                     startups=1 + len(names) * (1 + runs), precision=precision)
    found = {name: [] for name in names}
    for startup in traced.startups:
        path = pathlib.PurePath(startup["process"]["executable"])
        if path.parent.name == programs.DIRECTORY:
            found[path.name].append(startup)
    for name, startups in found.items():
        if len(startups) != runs:
            raise AssertionError(f"{suite.name}: {len(startups)} starts of {name}: {traced.output}")
    return found


def phases(startup):
    return [p["phase"].removeprefix("PHASE_") for p in startup["phases"]]


def sources(startup):
    return {p["phase"].removeprefix("PHASE_"): p["begin_source"].removeprefix("BOUNDARY_SOURCE_")
            for p in startup["phases"]}


def degradations(startup):
    return [d["kind"].removeprefix("DEGRADATION_KIND_") for d in startup["degradations"]]


class Libcs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.suites = fetch.fetch(harness.BUILD / "libcs")
        programs.build(cls.suites, harness.BUILD / "libcs-programs")
        cls.versions = {name: json.loads(suite.stamp.read_text())["packages"]
                        for name, suite in cls.suites.items()}

    def glibc_version(self, suite):
        return re.match(r"\d+\.\d+", self.versions[suite.name]["libc6"])[0]

    def check_complete(self, suite, name, startup):
        harness.check_startup(self, startup)
        self.assertEqual(startup["exit_status"], 0)
        self.assertEqual(phases(startup), PHASES.get(name, DYNAMIC), startup["degradations"])
        self.assertNotIn("BOUNDARY_NOT_OBSERVED", degradations(startup))
        musl = name.startswith("musl")
        self.assertEqual(startup["runtime"]["libc"], "LIBC_MUSL" if musl else "LIBC_GLIBC")
        # A library that is linked in leaves the text that would tell behind; musl has none.
        known = "" if "static" in name or musl else self.glibc_version(suite)
        self.assertEqual(startup["runtime"]["libc_version"], known)

    def test_exact_without_debug_files(self):
        with daemon_with_debug_files(None) as rpc:
            for suite in self.suites.values():
                names = [*GLIBC_DYNAMIC, *PHASES]
                for name, startups in start_all(rpc, suite, names).items():
                    for startup in startups:
                        with self.subTest(suite=suite.name, program=name):
                            self.check_complete(suite, name, startup)
                            self.assertEqual(degradations(startup), [])
                            if name in GLIBC_DYNAMIC:
                                told = sources(startup)
                                self.assertIn(told["DEPENDENCY_MAPPING"], ("CALL_SITE_UPROBE", "SDT"))
                                self.assertEqual(told["RELOCATION"], "MAPPING")
                                self.assertIn(told["CONSTRUCTORS"], ("CALL_SITE_UPROBE", "SDT"))

    def test_exact_with_debug_files(self):
        for suite in self.suites.values():
            with daemon_with_debug_files(suite.debug / "usr/lib/debug") as rpc:
                for name, startups in start_all(rpc, suite, ["hello", "cxx"]).items():
                    for startup in startups:
                        with self.subTest(suite=suite.name, program=name):
                            self.check_complete(suite, name, startup)
                            self.assertEqual(degradations(startup), [])
                            self.assertEqual(sources(startup)["RELOCATION"], "DEBUG_FILE_UPROBE")

    def test_unperturbed(self):
        with daemon_with_debug_files(None) as rpc:
            for suite in self.suites.values():
                started = start_all(rpc, suite, GLIBC_DYNAMIC, "PRECISION_UNPERTURBED")
                for name, startups in started.items():
                    for startup in startups:
                        with self.subTest(suite=suite.name, program=name):
                            self.check_complete(suite, name, startup)
                            self.assertFalse({s for s in sources(startup).values() if "UPROBE" in s})

    def test_32_bit_programs_have_phases_from_kernel_events(self):
        with daemon_with_debug_files(None) as rpc:
            for suite in self.suites.values():
                # The dynamic one is linked against this machine's glibc.
                dynamic = float(self.glibc_version(suite)) >= 2.34
                names = ["narrow_static", "narrow"] if dynamic else ["narrow_static"]
                for name, startups in start_all(rpc, suite, names).items():
                    for startup in startups:
                        with self.subTest(suite=suite.name, program=name):
                            harness.check_startup(self, startup)
                            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")
                            self.assertEqual(degradations(startup), ["MAIN_NOT_OBSERVED"])
                            if name == "narrow":
                                self.assertEqual(phases(startup), DYNAMIC)
                                self.assertEqual(startup["runtime"]["libc_version"],
                                                 self.glibc_version(suite))

    def test_a_loader_that_is_executed_itself(self):
        loaders = [("/lib64/ld-linux-x86-64.so.2", "hello_glibc_dynamic", DYNAMIC),
                   ("/lib64/ld-linux-x86-64.so.2", "hello_glibc_nopie", DYNAMIC),
                   ("/lib/ld-musl-x86_64.so.1", "hello_musl_dynamic", MUSL)]
        with harness.Daemon() as daemon:
            for loader, name, expected in loaders:
                with self.subTest(loader=loader, program=name):
                    startup, = harness.run([loader, harness.program(name)], "--until", "exit",
                                           daemon=daemon)
                    harness.check_startup(self, startup)
                    self.assertEqual(phases(startup), expected)
                    self.assertEqual(degradations(startup), [])
                    self.assertEqual(startup["process"]["executable"], harness.program(name))
                    kinds = {o["kind"]: o["path"] for o in startup["objects"]}
                    self.assertEqual(kinds["OBJECT_KIND_EXECUTABLE"], harness.program(name))
                    self.assertEqual(kinds["OBJECT_KIND_LOADER"], os.path.realpath(loader))

    def test_ways_to_link_and_to_load(self):
        sources = harness.SOURCE / "tests"
        hello, auditor = sources / "programs" / "hello.c", sources / "libcs" / "auditor.c"
        ls = "/bin/ls"
        with tempfile.TemporaryDirectory(dir=harness.BUILD) as work, harness.Daemon() as daemon:
            def built(name, source, *flags):
                output = os.path.join(work, name)
                subprocess.run(["gcc", "-O1", source, "-o", output, *flags], check=True)
                return output

            def changed(name, *command):
                output = os.path.join(work, name)
                subprocess.run([*command, built(name + ".before", hello), output], check=True)
                return output

            library = built("libauditor.so", auditor, "-shared", "-fPIC")
            undo = pathlib.Path(work, "undo")
            undo.write_bytes(bytes(64))
            no_libc = ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]
            cases = {
                "packed relative relocations": ([built("relr", hello, "-Wl,-z,pack-relative-relocs")],),
                "immediate binding": ([built("now", hello, "-Wl,-z,now")],),
                "no RELRO": ([built("norelro", hello, "-Wl,-z,norelro")],),
                "left by prelink": ([changed("prelinked", "objcopy", "--add-section",
                                             f".gnu.prelink_undo={undo}")],),
                "$ORIGIN": ([built("origin", hello, "-L" + work, "-Wl,--no-as-needed", "-lauditor",
                                   "-Wl,-rpath,$ORIGIN")],),
                "no libc, vDSO": ([built("vdso", sources / "libcs" / "vdso_only.c", *no_libc)],),
                "LD_PRELOAD": ([ls, "/"], {"LD_PRELOAD": library}),
                "LD_AUDIT": ([ls, "/"], {"LD_AUDIT": library}),
                "library path": (["/lib64/ld-linux-x86-64.so.2", "--library-path",
                                  "/lib/x86_64-linux-gnu", ls, "/"],),
            }
            for name, (command, *environment) in cases.items():
                for precision in ("exact", "unperturbed"):
                    with self.subTest(case=name, precision=precision):
                        done = harness.client(
                            "run", "--format", "json", "--until", "exit", "--precision", precision, "--",
                            *command, address=daemon.address, env=environment[0] if environment else {})
                        self.assertEqual(done.returncode, 0, done.stderr)
                        startup = json.loads(done.stdout)
                        harness.check_startup(self, startup)
                        self.assertEqual(startup["exit_status"], 0)
                        expected = PHASES["static"] if "no libc" in name else DYNAMIC
                        self.assertEqual(phases(startup), expected, startup["degradations"])
                        self.assertEqual(degradations(startup), [])
                        if environment or name == "$ORIGIN":
                            self.assertIn(os.path.realpath(library),
                                          [os.path.realpath(o["path"]) for o in startup["objects"]])

    def test_a_loader_that_only_tells_of_itself(self):
        with harness.Daemon() as daemon:
            startup, = harness.run(["/lib64/ld-linux-x86-64.so.2", "--help"], "--until", "exit",
                                   daemon=daemon)
            harness.check_startup(self, startup)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")


if __name__ == "__main__":
    unittest.main()
