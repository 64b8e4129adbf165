# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The daemon may die at any moment: nothing stays, nobody is disturbed, the next one is there at once.

STARTSCOPE_LONG=1 kills it 100 times instead of 20."""

import os
import subprocess
import threading
import time
import unittest

import harness

ROUNDS = 100 if os.environ.get("STARTSCOPE_LONG") else 20


class Load:
    """Starts programs all the time; remembers every one that ended otherwise than it should."""

    def __init__(self):
        self.programs = [harness.program(name) for name in
                         ("hello_glibc_dynamic", "hello_musl_dynamic", "hello_go", "hello_rust")]
        self.stop = threading.Event()
        self.runs, self.wrong = 0, []
        self.thread = threading.Thread(target=self.loop)
        # Alive all the time, mapped from files that are probed: what of a breakpoint stays is in here.
        self.sleeper = subprocess.Popen(["/bin/sh", "-c", "while read -r line; do echo \"$line\"; done"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.thread.start()

    def loop(self):
        expected = {p: subprocess.run([p], capture_output=True).stdout for p in self.programs}
        while not self.stop.is_set():
            for program in self.programs:
                done = subprocess.run([program], capture_output=True)
                self.runs += 1
                if done.returncode != 0 or done.stdout != expected[program]:
                    self.wrong.append((program, done.returncode, done.stdout))

    def echo(self, text):
        self.sleeper.stdin.write(text + "\n")
        self.sleeper.stdin.flush()
        return self.sleeper.stdout.readline().strip()

    def end(self):
        self.stop.set()
        self.thread.join()
        self.sleeper.stdin.close()
        return self.sleeper.wait()


def breakpoints(pid):
    """Addresses where the text in memory is not that of the file: int3 that somebody left."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            fields = line.split()
            if len(fields) < 6 or "x" not in fields[1] or not fields[5].startswith("/"):
                continue
            begin, end = (int(n, 16) for n in fields[0].split("-"))
            with open(fields[5], "rb") as file:
                file.seek(int(fields[2], 16))
                on_disk = file.read(end - begin)
            memory.seek(begin)
            in_memory = memory.read(end - begin)[:len(on_disk)]
            found += [begin + i for i in range(len(in_memory)) if in_memory[i] != on_disk[i]] \
                if in_memory != on_disk else []
    return found


class Recovery(unittest.TestCase):
    def test_killed_again_and_again_under_load(self):
        load = Load()
        restarts = []
        try:
            with harness.Daemon() as daemon:
                for i in range(ROUNDS):
                    watch = harness.Watch(daemon, "--until", "exit")
                    if i % 2 == 0:
                        harness.wait_for(lambda: "on_process_exec" in harness.attached_programs()
                                         or watch.process.poll() is not None, "arming")
                    daemon.kill()
                    watch.finish(patience_s=harness.WAIT_S)
                    harness.wait_for(lambda: not harness.attached_programs(), "detaching")
                    harness.wait_for(lambda: not breakpoints(load.sleeper.pid),
                                     "breakpoints to be gone", timeout_s=5)
                    self.assertEqual(load.echo(f"round {i}"), f"round {i}")
                    begin = time.monotonic()
                    daemon.start()  # over the socket that the dead one left
                    restarts.append(time.monotonic() - begin)
                startups = harness.run([harness.program("hello_glibc_dynamic")], daemon=daemon)
                harness.check_startup(self, startups[0])
                self.assertEqual(daemon.stop(), 0)
        finally:
            self.assertEqual(load.end(), 0)
        self.assertGreater(load.runs, ROUNDS)
        self.assertEqual(load.wrong, [])
        restarts.sort()
        print(f"restart to ready: median {restarts[len(restarts) // 2] * 1000:.0f} ms, "
              f"longest {restarts[-1] * 1000:.0f} ms")

    def test_stops_within_three_seconds_whatever_is_attached(self):
        with harness.Daemon() as daemon:
            names = ("hello_glibc_dynamic", "hello_musl_dynamic", "hello_go", "hello_rust", "huge_libraries")
            watches = [harness.Watch(daemon, "--level", "pages", "--syscalls", "--loader-events")
                       for _ in range(3)]
            watches[0].wait_armed()
            for name in names:
                subprocess.run([harness.program(name)], stdout=subprocess.DEVNULL)
            begin = time.monotonic()
            self.assertEqual(daemon.stop(), 0)
            taken = time.monotonic() - begin
            for watch in watches:
                watch.finish(patience_s=harness.WAIT_S)
            self.assertLess(taken, 3 * harness.WAIT_FACTOR)
            self.assertFalse(os.path.exists(daemon.socket))


if __name__ == "__main__":
    unittest.main()
