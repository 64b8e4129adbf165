#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Which of ThreadSanitizer's reports are about our code: race_reports.py DIRECTORY (of its logs).

gRPC and protobuf are not instrumented: of what they do only calls of the C library, operator new and delete
and Abseil are seen, but not the atomics by which they hand memory from one thread to another. A report one of
whose two sides is such a call of theirs says nothing. Nor does one about what Abseil's locks are made of: to TSan they are
annotated as wholes, and what happens inside them is hidden from it. TSan's own suppressions cannot express this: they look for
a name anywhere in a report, and each of gRPC's threads was made by gRPC.

Prints the reports that count, and last "N of M reports count"; exit status 0 only if none does."""

import pathlib
import re
import sys

# What is on top of a stack before whoever called it.
CALLED = re.compile(r"libsanitizer/|\(libtsan|/usr/include/c\+\+/|\(libstdc\+\+|^std::|^__gnu_cxx::|"
                    r"^void std::|^bool std::|/abseil-|/usr/include/absl/|^absl::|^google::protobuf::|/usr/include/google/|"
                    r"^operator (new|delete)")
# Code without line numbers of our programs' own files is from the archives that we link.
FOREIGN = re.compile(r" <null> \(|/usr/include/grpc")
# What is on top of a stack before Abseil.
LIBRARY = re.compile(r"libsanitizer/|\(libtsan|/usr/include/c\+\+/|^std::")
LOCKS = re.compile(r"/abseil-[^/]*/absl/(?:synchronization|base)/")
# Where a stack begins that says who did something; all others say where from.
SIDE = re.compile(r"^  (?:Previous |As if |Atomic |atomic |Read |Write |read |write |Mutex M\d+ acquired|"
                  r"Mutex M\d+ previously|Cycle|Signal|.*unlock|.*destroy)", re.I)

SUM = re.compile(r"ThreadSanitizer: reported \d+ warnings")


def actor(frames):
    """Who did it; "" where all that is seen is what they called."""
    return next((f for f in frames if not CALLED.search(f)), "")


def sides(report):
    """The frames of each stack that says who did something."""
    for part in re.split(r"\n\s*\n", report):
        title = next((line for line in part.splitlines() if line.startswith("  ") and not line.startswith("   ")), "")
        frames = re.findall(r"^    #\d+ (.*)$", part, re.M)
        if frames and SIDE.match(title):
            yield frames


def is_lock(frames):
    """What is accessed is what Abseil makes its locks of."""
    return bool(LOCKS.search(next((f for f in frames if not LIBRARY.search(f)), "")))


def counts(report):
    stacks = list(sides(report))
    if stacks and all(is_lock(frames) for frames in stacks):
        return False
    foreign = [not actor(frames) or bool(FOREIGN.search(actor(frames))) for frames in stacks]
    if "lock-order-inversion" in report:
        return not all(foreign)
    return not any(foreign)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    reports = []
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        parts = path.read_text(errors="replace").split("==================\n")
        reports += [part for part in parts if part.strip() and not SUM.fullmatch(part.strip())]
    counted = [report for report in reports if counts(report)]
    for report in counted:
        print("==================\n" + report)
    print(f"{len(counted)} of {len(reports)} reports count")
    sys.exit(1 if counted else 0)


if __name__ == "__main__":
    main()
