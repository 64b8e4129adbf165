# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Arguments are collected only where the operator asks for it, whole and exact, but for what looks like a
secret, which is nowhere that the daemon writes or tells; the environment never is."""

import os
import random
import re
import subprocess
import unittest

import harness

# How a secret is given, and what is told of it.
PLANTED = [
    ("--password=%s", "--password=[redacted]"),
    ("--db-PASSWD=%s with blanks", "--db-PASSWD=[redacted]"),
    ("API_TOKEN=%s", "API_TOKEN=[redacted]"),
    ("postgres://admin:%s@db.example/x", "postgres://[redacted]@db.example/x"),
    ("Authorization: Bearer %s", "Authorization: [redacted]"),
    ("https://h.example/?a=1&key=%s&b=2", "https://h.example/?a=1&key=[redacted]&b=2"),
    ("AKIA%s", "[redacted]"),  # by a pattern of the operator's
]
SPLIT = ["--credential", "%s", "--secret", "%s"]
PROGRAM = "/bin/true"


def to_bytes(text):
    """The bytes that the daemon told of as text."""
    parts = re.split(r"\\x([0-9a-f]{2})", text)
    return b"".join(bytes.fromhex(p) if i % 2 else p.encode() for i, p in enumerate(parts))


def watched(daemon, commands, env=None):
    """Runs the commands, bytes each, below one watch; the startups in the order of their begin."""
    watch = harness.Watch(daemon, "--exe", os.path.realpath(PROGRAM), "--limit", str(len(commands)))
    watch.wait_armed()
    for command in commands:
        subprocess.run(command, check=True, env=env)
    startups, errors = watch.finish(patience_s=10)
    if len(startups) != len(commands):
        raise AssertionError(f"{len(startups)} startups: {errors}")
    return sorted(startups, key=lambda s: harness.number(s, "begin_boottime_ns"))


class Arguments(unittest.TestCase):
    def test_only_argv0_unless_asked(self):
        with harness.Daemon() as daemon:
            startup = watched(daemon, [[PROGRAM, "one", "--token=two"]])[0]
        self.assertEqual(startup["process"]["argv"], [PROGRAM])
        self.assertNotIn("arguments_omitted", startup["process"])

    def test_secrets_are_nowhere(self):
        secrets = [f"S3cr3T{number:04d}x" for number in range(len(PLANTED) + 4)]
        arguments = [form % secret for (form, _), secret in zip(PLANTED, secrets)]
        arguments += [part % secrets.pop() if "%s" in part else part for part in SPLIT]
        environment = dict(os.environ, PLAIN_NAME="S3cr3T-environment")
        told = [text for _, text in PLANTED]
        told += [part if part.startswith("--") else "[redacted]" for part in SPLIT]
        recording = os.path.join("/tmp", f"startscope-arguments-{os.getpid()}.rec")
        try:
            # So small a ring is used several times over: what records leave unused are bytes of older ones.
            with harness.Daemon("--collect-arguments", "--redact", "AKIA[0-9A-Za-z]+",
                                "--ring-bytes", "262144", "--record", recording) as daemon:
                as_argv0 = {"executable": PROGRAM, "env": environment}
                watch = harness.Watch(daemon, "--exe", os.path.realpath(PROGRAM), "--limit", "61",
                                      "--syscalls", "--until", "exit")
                watch.wait_armed()
                for _ in range(60):
                    subprocess.run([PROGRAM, *arguments], check=True, env=environment)
                subprocess.run(["--password=" + secrets[0], "plain"], check=True, **as_argv0)
                startups, errors = watch.finish(patience_s=10)
                texts = [str(startups), errors]
                for command in (["list", "--format", "json"], ["status", "--format", "json"],
                                ["status"], ["show", startups[0]["startup_id"]],
                                ["show", "--format", "json", startups[1]["startup_id"]]):
                    done = harness.client(*command, address=daemon.address)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    texts += [done.stdout, done.stderr]
                self.assertTrue(any("at most 4096 bytes" in text for text in texts))
                daemon.stop()
                texts.append(daemon.log())
            with open(recording, "rb") as file:
                texts.append(file.read().decode("latin-1"))
            self.assertIn("db.example", texts[-1])
            for text in texts:
                self.assertNotIn("S3cr3T", text)
            by_count = {len(s["process"]["argv"]): s["process"] for s in startups}
            process = by_count[len(arguments) + 1]
            self.assertEqual(process["argv"], [PROGRAM, *told])
            self.assertEqual(process["arguments_omitted"], 0)
            self.assertEqual(by_count[2]["argv"], ["--password=[redacted]", "plain"])
        finally:
            if os.path.exists(recording):
                os.unlink(recording)

    def test_whole_and_exact(self):
        source = random.Random(7)
        commands = [[PROGRAM.encode(), b"", b"\xff\xfe\\x41 \t\n", bytes(range(1, 256)), b"-", b""]]
        for _ in range(40):
            command = [PROGRAM.encode()]
            for _ in range(source.randint(0, 30)):
                command.append(bytes(source.choice(b"abc \xc3\xa9\xf0") for _ in range(source.randint(0, 90))))
            commands.append(command)
        with harness.Daemon("--collect-arguments=4096") as daemon:
            startups = watched(daemon, commands)
        for command, startup in zip(commands, startups):
            argv = [to_bytes(text) for text in startup["process"]["argv"]]
            self.assertEqual(argv, command)
            self.assertEqual(startup["process"]["arguments_omitted"], 0)

    def test_what_exceeds_the_bound_is_told(self):
        long = [PROGRAM, "x" * 60, *(f"argument-{n:04d}" for n in range(1000))]
        with harness.Daemon("--collect-arguments", "100") as daemon:
            startup = watched(daemon, [long])[0]
            process = startup["process"]
            kept = (100 - len(PROGRAM) - 1 - 61) // 14
            self.assertEqual(process["argv"], long[:2 + kept])
            self.assertEqual(process["arguments_omitted"], len(long) - 2 - kept)
            harness.check_startup(self, startup)

    def test_bad_options_are_refused(self):
        for options, what in ((["--redact", "x"], "collect-arguments"),
                              (["--collect-arguments", "--redact", "a("], "--redact a("),
                              (["--collect-arguments", "--redact", "a*"], "empty"),
                              (["--collect-arguments", "5000"], "5000")):
            done = subprocess.run([str(harness.DAEMON), *options], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(what, done.stderr)


if __name__ == "__main__":
    unittest.main()
