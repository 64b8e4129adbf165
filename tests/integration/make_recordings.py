#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""make_recordings.py --build DIR: records the starts that tests/data replays, anew. Needs root. Run it when
the record format changes; then let the golden test write what it makes of them (see golden_test.cc), and read
the difference."""

import argparse
import os
import pathlib
import shutil
import sys

# Where the programs run while they are recorded: paths are part of a recording.
TARGETS = pathlib.Path("/srv/targets")

# Name of the recording, program and arguments, flags of `startscope run`.
OBJECTS = ("--level", "objects", "--until", "exit")
UNPERTURBED = OBJECTS + ("--precision", "unperturbed")
RECORDINGS = [
    *((name + "_exact", [name], OBJECTS) for name in
      ("hello_glibc_dynamic", "hello_glibc_dynamic_stripped", "hello_glibc_static",
       "hello_glibc_static_pie", "hello_musl_dynamic", "hello_musl_static", "freestanding_c",
       "hello_rust", "hello_go", "killed_at_start", "threads_before_main")),
    ("exec_chain_exact", ["exec_chain", "2"], OBJECTS),
    *((name + "_unperturbed", [name], UNPERTURBED) for name in
      ("hello_glibc_dynamic", "hello_musl_dynamic", "hello_glibc_static")),
    ("hello_glibc_dynamic_pages", ["hello_glibc_dynamic"],
     ("--level", "pages", "--until", "exit", "--syscalls")),
    ("hello_glibc_dynamic_functions", ["hello_glibc_dynamic"],
     ("--level", "functions", "--until", "exit")),
    ("hello_go_functions", ["hello_go"], ("--level", "functions", "--until", "main")),
    ("hello_go_pages", ["hello_go"], ("--level", "pages", "--until", "exit")),
    ("hello_glibc_dynamic_phases", ["hello_glibc_dynamic"], ("--level", "phases", "--until", "exit")),
    ("dlopen_after_main_exact", ["dlopen_after_main", "/usr/lib/x86_64-linux-gnu/libz.so.1"],
     ("--level", "objects", "--loader-events")),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("names", nargs="*", help="recordings to make; default: all")
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    import harness

    data = harness.SOURCE / "tests" / "data"
    TARGETS.mkdir(parents=True, exist_ok=True)
    for name, command, flags in RECORDINGS:
        if options.names and name not in options.names:
            continue
        shutil.copy(harness.program(command[0]), TARGETS)
        with harness.Daemon(expect_ready=False) as daemon:
            recording = os.path.join(daemon.directory, "recording")
            daemon.options = ("--record", recording)
            daemon.start()
            startups = harness.run([str(TARGETS / command[0]), *command[1:]], *flags,
                                   daemon=daemon, expect=None)
            daemon.stop()
            shutil.copyfile(recording, data / (name + ".rec"))
        print(name, len(startups), "startups", (data / (name + ".rec")).stat().st_size, "bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
