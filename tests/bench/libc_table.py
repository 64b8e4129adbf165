#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""libc_table.py --build DIR [--runs N]: what docs/libcs.md publishes. A small dynamic program starts N times on each
C library of Debian's suites: exact with the library's debug files, exact without them, and unperturbed. For
each boundary: how it was observed, and by how much the median of its offset from the first user instruction
differs from that of the exact starts with debug files. Fetches what is not there yet. Needs root."""

import argparse
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = options.build
    sys.path.insert(0, str(HERE.parent / "integration"))
    import test_libcs as libcs
    from boundary_error import begins, sources

    libcs.Libcs.setUpClass()
    print("| libc | begin of | with debug files | µs | without | difference µs | unperturbed | difference µs |")
    print("|---|---|---|---|---|---|---|---|")
    for suite in libcs.Libcs.suites.values():
        packages = libcs.Libcs.versions[suite.name]
        for name, package in (("hello", "libc6"), ("musl", "musl")):
            columns = []
            for debug, precision in ((suite.debug / "usr/lib/debug", "PRECISION_EXACT"),
                                     (None, "PRECISION_EXACT"), (None, "PRECISION_UNPERTURBED")):
                with libcs.daemon_with_debug_files(debug) as rpc:
                    columns.append(libcs.start_all(rpc, suite, [name], precision, options.runs)[name])
            medians = [{phase: statistics.median(begins(s)[phase] for s in starts if phase in begins(s))
                        for phase in {p for s in starts for p in begins(s)}} for starts in columns]
            how = [{k: v for s in starts for k, v in sources(s).items()} for starts in columns]
            for phase in list(begins(columns[0][0])):
                cells = [f"{package} {packages[package]}", phase.replace("_", " "), how[0][phase],
                         f"{medians[0][phase]:.0f}"]
                for told, median in zip(how[1:], medians[1:]):
                    seen = phase in median
                    cells += [told[phase] if seen else "not observed",
                              f"{median[phase] - medians[0][phase]:+.0f}" if seen else "–"]
                print("| " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
