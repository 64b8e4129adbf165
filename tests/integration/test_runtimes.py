# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What language runtimes do before main: the stages of Go and of Rust's std, and what each Go package
took to initialise, against the Go runtime's own account of the same run."""

import re
import unittest

import harness

TABLE, SYMBOL = "BOUNDARY_SOURCE_GO_TABLE_UPROBE", "BOUNDARY_SOURCE_SYMBOL_UPROBE"
GO_STAGES = ["runtime.schedinit", "runtime.main", "runtime initialised", "package initialisation"]
STD_CALLS = ["std::rt: standard descriptors", "std::rt: SIGPIPE", "std::rt: stack bounds",
             "std::rt: signal stack", "std::rt: stack overflow handler"]

# Milliseconds that each package of tests/programs/go_packages takes at least.
GO_PACKAGES = {"go_packages/dotted.name": 6, "go_packages/several": 14, "go_packages/sleeper": 20,
               "go_packages/spinner": 12, "main": 5}


def start(name, *flags, trace=False, level="functions"):
    """One start of a program; with `trace` also the milliseconds that Go says each package took."""
    environment = {"GODEBUG": "inittrace=1"} if trace else {}
    done = harness.client("run", "--format", "json", "--level", level, *flags, "--",
                          harness.program(name), env=environment)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    startups = [harness.json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    told = {}
    for package, clock in re.findall(r"^init (\S+) @[\d.]+ ms, ([\d.]+) ms clock", done.stderr,
                                     re.MULTILINE):
        told[re.sub("%([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), package)] = float(clock)
    return startups[0], told


def executable(startup):
    return [o for o in startup["objects"] if o["kind"] == "OBJECT_KIND_EXECUTABLE"][0]


def package_calls(startup):
    return [c for c in executable(startup).get("init_calls", [])
            if c["kind"] == "INIT_KIND_GO_PACKAGE"]


def stages(startup):
    return [m["name"] for m in harness.phase_of(startup, "RUNTIME_INIT").get("sub_marks", [])]


def phases(startup):
    return [p["phase"] for p in startup["phases"]]


class GoRuntime(unittest.TestCase):
    def test_stages_come_in_order_with_and_without_symbols(self):
        for name, source in (("go_packages", SYMBOL), ("go_packages_stripped", TABLE),
                             ("go_cgo", SYMBOL), ("go_cgo_stripped", TABLE)):
            with self.subTest(program=name):
                startup, _ = start(name)
                harness.check_startup(self, startup)
                marks = harness.phase_of(startup, "RUNTIME_INIT")["sub_marks"]
                self.assertEqual([m["name"] for m in marks if m["name"] in GO_STAGES], GO_STAGES)
                self.assertEqual({m["source"] for m in marks if m["name"] in GO_STAGES}, {source})
                offsets = [harness.number(m, "offset_ns") for m in marks]
                self.assertEqual(offsets, sorted(offsets))

    def test_packages_cost_what_the_runtime_says(self):
        for name in ("go_packages", "go_packages_stripped"):
            with self.subTest(program=name):
                startup, told = start(name, trace=True)
                found = {c["unit"]: c for c in package_calls(startup)}
                for package, least_ms in GO_PACKAGES.items():
                    took_ms = harness.number(found[package], "duration_ns") / 1e6
                    self.assertGreaterEqual(took_ms, least_ms, package)
                    # Ours ends where the next package begins, after the line that tells its time is
                    # written; theirs is rounded to two digits.
                    self.assertGreaterEqual(took_ms, told[package] * 0.94, package)
                    self.assertLess(took_ms, told[package] * 1.2 + 60, package)
                self.assertGreater(harness.number(found["go_packages/sleeper"], "blocked_ns"), 15e6)

    def test_every_package_that_the_runtime_lists_is_there_in_order(self):
        for name in ("go_http", "go_http_stripped", "go_cgo", "go_packages"):
            with self.subTest(program=name):
                startup, told = start(name, trace=True)
                units = [c["unit"] for c in package_calls(startup)]
                self.assertEqual(len(units), len(set(units)), "a package is listed twice")
                listed = [package for package in told if package in units]
                self.assertEqual([u for u in units if u in told], listed)
                # Functions without a cheap place for a probe have none: they call nothing.
                without = {p: ms for p, ms in told.items() if p not in units}
                self.assertLessEqual(len(without), len(told) / 10, without)
                self.assertTrue(all(ms <= 0.1 for ms in without.values()), without)

    def test_calls_lie_in_runtime_init_and_do_not_overlap(self):
        startup, _ = start("go_http")
        phase = harness.phase_of(startup, "RUNTIME_INIT")
        end = harness.number(phase, "offset_ns")
        for call in package_calls(startup):
            self.assertGreaterEqual(harness.number(call, "offset_ns"), end, call)
            end = harness.number(call, "offset_ns") + harness.number(call, "duration_ns")
        self.assertLessEqual(end, harness.number(phase, "offset_ns") +
                             harness.number(phase, "duration_ns"))

    def test_other_levels_list_no_packages(self):
        startup, _ = start("hello_go", level="objects")
        self.assertEqual(package_calls(startup), [])


class RustRuntime(unittest.TestCase):
    def test_system_calls_tell_the_stages_of_std_with_and_without_symbols(self):
        for name in ("hello_rust", "hello_rust_stripped"):
            with self.subTest(program=name):
                startup, _ = start(name, "--syscalls")
                harness.check_startup(self, startup)
                found = [stage for stage in stages(startup) if stage in STD_CALLS]
                self.assertEqual(found, STD_CALLS)

    def test_a_system_call_is_said_to_be_one(self):
        startup, _ = start("hello_rust_stripped", "--syscalls", level="objects")
        marks = harness.phase_of(startup, "RUNTIME_INIT")["sub_marks"]
        self.assertEqual({m["source"] for m in marks if m["name"] in STD_CALLS},
                         {"BOUNDARY_SOURCE_TRACEPOINT"})

    def test_nothing_is_said_that_was_not_watched(self):
        startup, _ = start("hello_rust_stripped", level="objects")
        self.assertFalse(set(stages(startup)) & set(STD_CALLS))

    def test_without_std_there_are_no_stages(self):
        startup, _ = start("freestanding_rust", "--syscalls")
        self.assertFalse([s for s in stages(startup) if s.startswith("std::rt")])


class OwnConstructors(unittest.TestCase):
    """Of the executable; those of libraries are in test_loader_depth."""

    def durations_ms(self, name, key):
        startup, _ = start(name)
        harness.check_startup(self, startup)
        return {c.get(key, ""): harness.number(c, "duration_ns") / 1e6
                for c in executable(startup).get("init_calls", [])}

    def test_of_c_dynamic_and_static(self):
        for name in ("own_constructors", "own_constructors_static", "own_constructors_musl_static"):
            with self.subTest(program=name):
                took = self.durations_ms(name, "symbol")
                for milliseconds in (4, 7):
                    one = took[f"constructor_of_{milliseconds}_ms"]
                    self.assertGreaterEqual(one, milliseconds)
                    self.assertLess(one, milliseconds + 250)
                order = [s for s in took if s.startswith("constructor_of")]
                self.assertEqual(order, ["constructor_of_4_ms", "constructor_of_7_ms"])

    def test_of_cpp_by_their_source_files(self):
        took = self.durations_ms("cpp_units", "unit")
        for unit, milliseconds in (("cpp_unit_one.cc", 5), ("cpp_unit_two.cc", 9)):
            self.assertGreaterEqual(took[unit], milliseconds)
            self.assertLess(took[unit], milliseconds + 250)


class Stripped(unittest.TestCase):
    def test_phases_are_the_same_without_symbols(self):
        for name in ("hello_go", "go_packages", "go_cgo", "hello_rust"):
            with self.subTest(program=name):
                full, _ = start(name)
                stripped, _ = start(name + "_stripped")
                self.assertEqual(phases(full), phases(stripped))
                self.assertEqual([m["kind"] for m in full["milestones"]],
                                 [m["kind"] for m in stripped["milestones"]])

    def test_what_dominates_a_start_is_the_same_without_symbols(self):
        shares = []
        for name in ("go_packages", "go_packages_stripped"):
            startup, _ = start(name)
            shares.append(harness.number(harness.phase_of(startup, "RUNTIME_INIT"), "duration_ns") /
                          harness.number(startup, "total_ns"))
        self.assertGreater(min(shares), 0.8)


if __name__ == "__main__":
    unittest.main()
