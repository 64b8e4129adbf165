#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Runs the integration tests: run.py --build DIR [--without NAME] [NAME…]. Needs root; nothing is skipped but
what --without names (tests/sanitize.sh says why).

Ends with one line, "integration: N passed, N failed"; exit status 0 only if all passed.
"""

import argparse
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--without", action="append", default=[], metavar="MODULE.CLASS.TEST")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    os.environ["STARTSCOPE_BUILD"] = str(pathlib.Path(arguments.build).resolve())
    sys.path.insert(0, str(HERE))
    loader = unittest.TestLoader()
    if arguments.names:
        suite = loader.loadTestsFromNames(arguments.names)
    else:
        suite = loader.discover(str(HERE), pattern="test_*.py")
    suite = unittest.TestSuite(t for t in tests_of(suite) if t.id() not in arguments.without)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A skip is a test that did not run: here that is a failure.
    bad += len(result.skipped)
    good = max(0, result.testsRun - bad)
    print(f"integration: {good} passed, {bad} failed", flush=True)
    return 0 if bad == 0 and good > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
