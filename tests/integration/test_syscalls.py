# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""System calls inside a startup, against strace; and that nobody pays for them unasked."""

import os
import re
import subprocess
import tempfile
import unittest

import harness
from rpc import Rpc


def by_strace(command, **options):
    """name -> (calls, errors), from the first instruction to the exit."""
    with tempfile.NamedTemporaryFile("r") as log:
        subprocess.run(["strace", "-f", "-o", log.name, *command], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, **options)
        counts = {}
        for line in log.read().splitlines():
            match = re.match(r"\d+ +(\w+)\(.*= (-1 E\w+|\S+)", line)
            if match and not line.split(maxsplit=1)[1].startswith("<"):
                calls, errors = counts.get(match.group(1), (0, 0))
                counts[match.group(1)] = (calls + 1, errors + match.group(2).startswith("-1"))
        return counts


class Syscalls(unittest.TestCase):
    def test_calls_are_those_that_strace_sees(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for command in (["/usr/bin/ls", "/"], ["/usr/bin/git", "--version"],
                            [harness.program("hello_musl_dynamic")], [harness.program("hello_rust")]):
                with self.subTest(program=command[0]):
                    startup = rpc.run(command, syscalls=True).startups[0]
                    harness.check_startup(self, startup)
                    use = startup["syscalls"]
                    self.assertEqual(use["calls_omitted"], "0")
                    ours = {c["name"]: (int(c["calls"]), int(c["errors"])) for c in use["totals"]}
                    theirs = by_strace(command)
                    theirs.pop("execve")  # it began before the startup did
                    # The process is over when the call to end it begins.
                    theirs.pop("exit_group", None)
                    ours.pop("exit_group", None)
                    # One call more or less in the heap, by the luck of its address.
                    for name in ("brk",):
                        theirs.pop(name, None)
                        ours.pop(name, None)
                    self.assertEqual(ours, theirs)

    def test_searches_for_files_that_are_not_there(self):
        with tempfile.TemporaryDirectory() as directory, harness.Daemon() as daemon, \
                Rpc(daemon) as rpc:
            first = os.path.join(directory, "first")
            second = os.path.join(directory, "second")
            os.mkdir(first)
            os.mkdir(second)
            environment = dict(os.environ, LD_LIBRARY_PATH=first + ":" + second)
            startup = rpc.run(["/usr/bin/git", "--version"], syscalls=True, until="UNTIL_MAIN",
                              popen={"env": environment}).startups[0]
            searches = {(s["directory"], s["name"]): int(s["count"])
                        for s in startup["syscalls"]["searches"]}
            for library in ("libz.so.1", "libc.so.6"):
                for place in (first, second):
                    self.assertEqual(searches.get((place, library)), 1, searches)

    def test_time_in_calls(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            startup = rpc.run(["/usr/bin/sleep", "0.1"], syscalls=True).startups[0]
            sleep, = [c for c in startup["syscalls"]["totals"] if c["name"] == "clock_nanosleep"]
            self.assertEqual(sleep["calls"], "1")
            self.assertAlmostEqual(int(sleep["duration_ns"]) / 100e6, 1, delta=0.05)
            self.assertAlmostEqual(int(sleep["off_cpu_ns"]) / 100e6, 1, delta=0.05)
            self.assertEqual(startup["syscalls"]["totals"][0], sleep)  # the costliest first

    def test_attached_only_while_asked_for(self):
        names = {"on_syscall_entry", "on_syscall_exit"}
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            seen = []

            def look(process, _):
                seen.append(set(harness.attached_programs()))
                process.kill()

            for options in ({"level": "LEVEL_OBJECTS"}, {"level": "LEVEL_OBJECTS", "syscalls": True}):
                rpc.run(["/usr/bin/sleep", "60"], until="UNTIL_MAIN", while_alive=look, **options)
                harness.wait_for(lambda: not harness.attached_programs(), "all probes to be detached")
            self.assertFalse(names & seen[0], seen[0])
            self.assertLessEqual(names, seen[1])


if __name__ == "__main__":
    unittest.main()
