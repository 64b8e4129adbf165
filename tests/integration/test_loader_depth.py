# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What the loader does with each object, against the loader's own log, readelf, and programs that time
their own constructors."""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import unittest

import harness
from rpc import Rpc
from test_objects import PROGRAMS, distribution_path

FUNCTIONS = "LEVEL_FUNCTIONS"

MOST_STARTS_TO_KNOW = 20


def base(path):
    return pathlib.Path(path).name


def loader_log(command, what, **environment):
    """The loader's own log (LD_DEBUG) of a command's first process."""
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, LD_DEBUG=what, LD_DEBUG_OUTPUT=directory + "/log", **environment))
        process.wait()
        return pathlib.Path(f"{directory}/log.{process.pid}").read_text(errors="replace")


def known_start(rpc, command):
    """A start of a program whose files are all known from those before it: on a busy machine one is not enough."""
    rpc.run(command, until="UNTIL_MAIN")
    for _ in range(MOST_STARTS_TO_KNOW):
        startup = rpc.run(command, until="UNTIL_MAIN", link_facts=True).startups[0]
        if all("link" in one for one in objects_of(startup)):
            break
    return startup


def objects_of(startup):
    """The objects of the loader's, in load order."""
    found = [o for o in startup["objects"] if int(o["load_order"]) != 0]
    return sorted(found, key=lambda o: int(o["load_order"]))


def object_named(startup, name):
    found = [o for o in startup["objects"] if base(o["path"]) == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} objects {name}")
    return found[0]


def own_times(output):
    """name -> ns, as the constructors of the timed programs print it."""
    return {name: int(ns) for name, ns in re.findall(r"^(\S+) (\d+)$", output, re.M)}


class Constructors(unittest.TestCase):
    # What lies between the begin of a call and the next that the function itself does not see: its prologue,
    # the print, two breakpoints. On a busy host a preemption comes on top: of some starts the best counts.
    SLACK_NS = 5_000_000
    STARTS = 4

    def setUp(self):
        self.over = {}

    def check_against_own_clock(self, ours, theirs, name=""):
        self.assertGreaterEqual(ours, theirs, name)
        self.over[name] = min(self.over.get(name, ours - theirs), ours - theirs)

    def tearDown(self):
        for name, over in self.over.items():
            self.assertLess(over, self.SLACK_NS, name)

    def calls_of(self, startup):
        """symbol -> duration of the calls of all objects; static initialisers by their source file."""
        calls = {}
        for one in startup["objects"]:
            for call in one["init_calls"]:
                calls[call["unit"] if call["symbol"].startswith("_GLOBAL__") else call["symbol"]] = call
        return calls

    def trace(self, rpc, name, libraries, **options):
        command = [harness.program(name)]
        traced = rpc.run(command, until="UNTIL_MAIN", level=FUNCTIONS,
                         prepare_libraries=[str(harness.PROGRAMS / p) for p in libraries], **options)
        startup = traced.startups[0]
        harness.check_startup(self, startup)
        return startup, own_times(traced.output)

    def test_c_and_cpp_by_their_own_clock(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for _ in range(self.STARTS):
                startup, own = self.trace(rpc, "timed_constructors", ["libtimed_c.so", "libtimed_cpp.so"],
                                          popen={})
                self.assertEqual(len(own), 6, own)
                calls = self.calls_of(startup)
                for name, ns in own.items():
                    with self.subTest(constructor=name):
                        self.check_against_own_clock(int(calls[name]["duration_ns"]), ns, name)
                self.assertGreater(int(calls["SleepFirst"]["blocked_ns"]), 15_000_000)
                self.assertGreater(int(calls["timed_cpp_first.cc"]["blocked_ns"]), 10_000_000)
                c = object_named(startup, "libtimed_c.so")
                self.assertEqual([call["symbol"] for call in c["init_calls"] if call["symbol"] in own],
                                 ["SleepFirst", "SpinSecond", "SpinThird"])
                self.assertEqual(int(c["constructor_ns"]), sum(int(i["duration_ns"]) for i in c["init_calls"]))
                self.assertNotIn("DEGRADATION_KIND_PROBE_UNAVAILABLE", str(startup["degradations"]))

    def test_musl_by_their_own_clock(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for _ in range(self.STARTS):
                startup, own = self.trace(rpc, "timed_constructors_musl", ["musl/libtimed_c.so"])
                self.assertEqual(len(own), 4, own)
                calls = self.calls_of(startup)
                for name, ns in own.items():
                    with self.subTest(constructor=name):
                        self.check_against_own_clock(int(calls[name]["duration_ns"]), ns, name)
                constructors = harness.phase_of(startup, "CONSTRUCTORS")
                self.assertGreater(int(constructors["duration_ns"]), sum(own.values()))

    def test_unperturbed_by_first_fetch(self):
        # The library's total. What is not seen: what runs before the first page of its code faults, and
        # after it what does not fault again.
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for _ in range(self.STARTS):
                startup, own = self.trace(rpc, "timed_constructors", ["libtimed_c.so", "libtimed_cpp.so"],
                                          precision="PRECISION_UNPERTURBED")
                for library, names in (("libtimed_c.so", ("SleepFirst", "SpinSecond", "SpinThird")),
                                       ("libtimed_cpp.so", ("timed_cpp_first.cc", "timed_cpp_second.cc"))):
                    one = object_named(startup, library)
                    self.assertEqual(one["constructor_source"], "BOUNDARY_SOURCE_FIRST_FAULT")
                    self.check_against_own_clock(int(one["constructor_ns"]), sum(own[n] for n in names), library)
                    self.assertEqual(one["init_calls"], [])

    def test_one_that_opens_a_library(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for _ in range(self.STARTS):
                startup, own = self.trace(rpc, "constructor_opens", ["libtimed_c.so"])
                calls = self.calls_of(startup)
                self.assertEqual(set(own), {"SleepFirst", "SpinSecond", "SpinThird"})
                for name, ns in own.items():
                    self.check_against_own_clock(int(calls[name]["duration_ns"]), ns, name)
                self.assertIn("OpenInConstructor", calls)
                self.assertEqual(object_named(startup, "libtimed_c.so")["load_reason"], "LOAD_REASON_DLOPEN")

    def test_one_that_makes_threads(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for _ in range(self.STARTS):
                startup, own = self.trace(rpc, "constructor_threads", [])
                self.check_against_own_clock(int(self.calls_of(startup)["MakeThreads"]["duration_ns"]),
                                             own["MakeThreads"])
                self.assertEqual(len(startup["threads"]), 2)
                for thread in startup["threads"]:
                    self.assertEqual(thread["phase"], "PHASE_RUNTIME_INIT")

    def test_one_that_exits(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup, _ = self.trace(rpc, "exit_in_constructor", [])
            self.assertEqual(startup["outcome"], "OUTCOME_EXITED")
            executable = object_named(startup, "exit_in_constructor")
            last = executable["init_calls"][-1]
            self.assertEqual(int(last["offset_ns"]) + int(last["duration_ns"]), int(startup["total_ns"]))

    def test_below_functions_nothing_of_it_is_attached(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            hits = []
            for level in ("LEVEL_OBJECTS", FUNCTIONS, "LEVEL_OBJECTS"):
                startup = rpc.run([harness.program("timed_constructors")], until="UNTIL_MAIN",
                                  level=level).startups[0]
                hits.append(int(startup["observer"]["probe_hits"]))
                harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")
            self.assertEqual(hits[0], hits[2])
            self.assertGreater(hits[1], hits[0])

    def test_libraries_known_from_another_watch_have_marks(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            command = [harness.program("timed_constructors")]
            rpc.run(command, until="UNTIL_MAIN")
            startup = rpc.run(command, until="UNTIL_MAIN", level=FUNCTIONS).startups[0]
            self.assertEqual(startup["degradations"], [])
            self.assertIn("SleepFirst", self.calls_of(startup))

    def test_unprepared_libraries_are_first_seen_and_then_known(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            def both():
                return subprocess.Popen(["/bin/sh", "-c", "$0; sleep 0.5; $0",
                                         harness.program("timed_constructors")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

            traced = rpc.watch(both, startups=4, until="UNTIL_MAIN", level=FUNCTIONS,
                               prepare_executables=[harness.program("timed_constructors")])
            first, second = [s for s in traced.startups
                             if base(s["process"]["executable"]) == "timed_constructors"]
            self.assertIn("DEGRADATION_KIND_FIRST_SEEN", [d["kind"] for d in first["degradations"]])
            self.assertEqual(second["degradations"], [])
            self.assertIn("SleepFirst", self.calls_of(second))


class Dependencies(unittest.TestCase):
    def test_order_and_needs_are_those_of_the_loader(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in PROGRAMS[:12]:
                command = [distribution_path(name), *arguments]
                log = loader_log(command, "files").split("transferring control:", 1)[0]
                theirs = [base(p) for p in
                          re.findall(r"file=(\S+) \[0\];  generating link map", log)]
                asked = re.findall(r"file=(\S+) \[0\];  needed by (\S+) \[0\]", log)
                with self.subTest(program=command[0]):
                    startup = known_start(rpc, command)
                    harness.check_startup(self, startup)
                    objects = objects_of(startup)
                    self.assertEqual(objects[0]["load_reason"], "LOAD_REASON_EXECUTABLE")
                    self.assertEqual(objects[1]["load_reason"], "LOAD_REASON_INTERPRETER")
                    ours = [o["soname"] or base(o["path"]) for o in objects[2:]]
                    self.assertEqual(ours, theirs)
                    by_name = {o["soname"] or base(o["path"]): o for o in objects}
                    for one in objects[2:]:
                        self.assertEqual(one["load_reason"], "LOAD_REASON_NEEDED", one["path"])
                        self.assertGreaterEqual(one["depth"], 1)
                    for needed, by in asked:
                        # The log names who asked first.
                        needers = [os.path.realpath(p) for p in by_name[base(needed)]["needed_by"]]
                        self.assertIn(os.path.realpath(by), needers)

    def test_preload(self):
        libm = os.path.realpath("/lib/x86_64-linux-gnu/libm.so.6")
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run([harness.program("hello_glibc_dynamic")], until="UNTIL_MAIN",
                              popen={"env": dict(os.environ, LD_PRELOAD=libm)}).startups[0]
            one = object_named(startup, base(libm))
            self.assertEqual(one["load_reason"], "LOAD_REASON_PRELOAD")
            self.assertEqual((int(one["load_order"]), one["depth"], one["needed_by"]), (3, 0, []))
            self.assertGreater(int(one["mapping_ns"]), 0)

    def test_origin(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run([harness.program("timed_constructors")], until="UNTIL_MAIN",
                              level=FUNCTIONS).startups[0]
            self.assertEqual(object_named(startup, "timed_constructors")["link"]["runpath"] or
                             object_named(startup, "timed_constructors")["link"]["rpath"], "$ORIGIN")
            self.assertEqual(object_named(startup, "libtimed_c.so")["depth"], 1)

    def test_searches_in_vain(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, Rpc(daemon) as rpc:
            empty = [os.path.join(directory, str(i)) for i in range(3)]
            for path in empty:
                os.mkdir(path)
            environment = dict(os.environ, LD_LIBRARY_PATH=":".join(empty))
            startup = rpc.run([harness.program("hello_glibc_dynamic")], until="UNTIL_MAIN",
                              level=FUNCTIONS, popen={"env": environment}).startups[0]
            libc = object_named(startup, "libc.so.6")
            missed = [m["directory"] for m in libc["search_misses"]]
            self.assertEqual([d for d in missed if d in empty], empty)
            self.assertGreater(int(libc["search_ns"]), 0)
            self.assertLessEqual(int(libc["search_ns"]), int(libc["mapping_ns"]))
            without = rpc.run([harness.program("hello_glibc_dynamic")], until="UNTIL_MAIN",
                              level=FUNCTIONS).startups[0]
            self.assertEqual(object_named(without, "libc.so.6")["search_misses"], [])

    def test_musl(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run([harness.program("timed_constructors_musl")], until="UNTIL_MAIN").startups[0]
            harness.check_startup(self, startup)
            library = object_named(startup, "libtimed_c.so")
            self.assertEqual(library["load_reason"], "LOAD_REASON_NEEDED")
            self.assertGreater(int(library["mapping_ns"]), 0)
            loader, = [o for o in startup["objects"] if o["kind"] == "OBJECT_KIND_LOADER"]
            self.assertIn(library["path"], loader["needed_by"])


# What LD_DEBUG=statistics has, and where it differs from what the files ask for: it counts a look-up of a
# symbol as a relocation, and base-relative ones apart; those in DT_RELR and resolver functions not at all.
def readelf_relocations(path):
    """type -> count."""
    counts = {}
    printed = subprocess.run(["readelf", "-rW", path], capture_output=True, text=True).stdout
    relr = 0
    for line in printed.splitlines():
        match = re.match(r"[0-9a-f]{16}  [0-9a-f]{16} (R_X86_64_\w+)", line)
        if match:
            counts[match.group(1)] = counts.get(match.group(1), 0) + 1
        match = re.match(r"\s*(\d+) offsets", line)
        if match:
            relr += int(match.group(1))
    if relr:
        counts["RELR"] = relr
    return counts


class Relocations(unittest.TestCase):
    def test_counts_of_every_object_are_those_of_readelf(self):
        kinds = {"relative": ["R_X86_64_RELATIVE"], "relr": ["RELR"], "jump_slot": ["R_X86_64_JUMP_SLO"],
                 "ifunc": ["R_X86_64_IRELATIV"], "copy": ["R_X86_64_COPY"],
                 "tls": ["R_X86_64_DTPMOD64", "R_X86_64_DTPOFF64", "R_X86_64_TPOFF64", "R_X86_64_TLSDESC"]}
        checked = set()
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in PROGRAMS:
                startup = known_start(rpc, [distribution_path(name), *arguments])
                for one in objects_of(startup):
                    if one["path"] in checked:
                        continue
                    checked.add(one["path"])
                    counted = readelf_relocations(one["path"])
                    with self.subTest(object=one["path"]):
                        ours = {k: int(v) for k, v in one["link"]["relocations"].items()}
                        self.assertEqual(sum(ours.values()), sum(counted.values()))
                        for kind, names in kinds.items():
                            theirs = sum(v for k, v in counted.items()
                                         if any(k.startswith(n) for n in names))
                            self.assertEqual(ours[kind], theirs, kind)
        self.assertGreater(len(checked), 60)

    def statistics(self, command, **environment):
        log = loader_log(command, "statistics", **environment)
        # The second block is of the end of the process.
        found = re.search(r"number of relocations: (\d+)\s.*?number of relocations from cache: (\d+)\s.*?"
                          r"number of relative relocations: (\d+)", log, re.S)
        return tuple(int(n) for n in found.groups())

    def test_counts_of_processes_are_those_of_the_loader(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in PROGRAMS:
                command = [distribution_path(name), *arguments]
                startup = known_start(rpc, command)
                for bind_now in (False, True):
                    environment = {"LD_BIND_NOW": "1"} if bind_now else {}
                    looked_up, cached, relative = self.statistics(command, **environment)
                    ours = 0
                    ours_relative = 0
                    for one in objects_of(startup):
                        if one["kind"] == "OBJECT_KIND_LOADER":
                            continue
                        counts = {k: int(v) for k, v in one["link"]["relocations"].items()}
                        due = bind_now or one["link"]["bind_now"]
                        ours += counts["symbol"] + counts["copy"] + counts["tls"]
                        ours += counts["jump_slot"] if due else 0
                        ours_relative += counts["relative"]
                    with self.subTest(program=command[0], bind_now=bind_now):
                        # The loader's own were counted before the statistics begin, or are few.
                        self.assertAlmostEqual(relative, ours_relative, delta=64)
                        self.assertAlmostEqual(looked_up + cached, ours, delta=max(40, ours * 0.05))


class Times(unittest.TestCase):
    def test_they_are_those_of_the_loader_and_explain_the_rest(self):
        sys.path.insert(0, str(harness.SOURCE / "tests" / "bench"))
        import loader_statistics
        rate = loader_statistics.ticks_per_us()
        rate /= loader_statistics.ticks_a_figure(harness.program("many_libraries"), rate)
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for name, *arguments in PROGRAMS[:5]:
                command = [distribution_path(name), *arguments]
                with self.subTest(program=command[0]):
                    apart = []
                    for i in range(4):
                        startup, ticks = loader_statistics.start(
                            rpc, command, os.path.join(directory, f"{name}{i}"))
                        total, relocation, loading = (t / rate for t in ticks)
                        phases = [int(harness.phase_of(startup, p)["duration_ns"]) / 1000
                                  for p in ("LOADER_BOOTSTRAP", "DEPENDENCY_MAPPING", "RELOCATION")]
                        if i == 0:
                            continue  # its marks may not have been in place
                        rest = total - relocation - loading
                        apart.append((abs(sum(phases) - total) / total, abs(phases[1] - loading) / total,
                                      (rest - phases[0] - (phases[2] - relocation)) / total))
                    whole, mapping, unexplained = (statistics.median(c) for c in zip(*apart))
                    self.assertLess(whole, 0.1)
                    self.assertLess(mapping, 0.1)
                    # Bootstrap, and what the phase of relocation holds beside the loader's own timer.
                    self.assertLess(abs(unexplained), 0.1)


if __name__ == "__main__":
    unittest.main()
