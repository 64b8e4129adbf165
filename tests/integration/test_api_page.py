# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The scripts of docs/api.md, taken from the page, do what it says."""

import os
import re
import subprocess
import tempfile
import unittest

import harness
import rpc

PAGE = (harness.SOURCE / "docs" / "api.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def script_with(text):
    found = [script for script in SCRIPTS if text in script]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} scripts of docs/api.md have {text}")
    return found[0]


class Script:
    """A script in a process of its own, its standard output in a file."""

    def __init__(self, text, *arguments):
        self.out = tempfile.TemporaryFile("w+")
        self.err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-u", "-c", text, *arguments], stdin=subprocess.DEVNULL,
            stdout=self.out, stderr=self.err,
            env=dict(os.environ, PYTHONPATH=rpc._stubs))

    def lines(self):
        if self.process.poll() is not None:
            self.err.seek(0)
            raise AssertionError("the script ended: " + self.err.read())
        self.out.seek(0)
        return self.out.read().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.out.close()
        self.err.close()


class ApiPage(unittest.TestCase):
    def start_until(self, script, program, line):
        """Starts the program until the script has told of a start of it."""
        def told():
            subprocess.run([program], check=True, stdout=subprocess.DEVNULL)
            return line in script.lines()
        harness.wait_for(told, f"the line {line!r}")

    def test_the_resuming_script_goes_on_after_the_daemon_was_killed(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon, \
                Script(script_with("request.resume_token ="), daemon.address) as script:
            self.start_until(script, hello, f"{hello} False")
            daemon.kill()
            daemon.start()
            harness.wait_for(
                lambda: "missed: RESUME_GAP_REASON_DAEMON_RESTARTED" in script.lines(), "the gap")
            told = script.lines().count(f"{hello} False")
            def again():
                subprocess.run([hello], check=True, stdout=subprocess.DEVNULL)
                return script.lines().count(f"{hello} False") > told
            harness.wait_for(again, "a start after it")

    def test_the_first_script_tells_of_startups(self):
        hello = harness.program("hello_musl_static")
        with harness.Daemon() as daemon:
            text = script_with("startup.total_ns").replace("unix:///run/startscope/startscope.sock",
                                                           daemon.address)
            with Script(text) as script:
                def told():
                    subprocess.run([hello], check=True, stdout=subprocess.DEVNULL)
                    return any(re.fullmatch(re.escape(hello) + r" \d+ ns", line)
                               for line in script.lines())
                harness.wait_for(told, "a startup")


if __name__ == "__main__":
    unittest.main()
