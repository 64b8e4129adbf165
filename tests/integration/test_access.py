# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Nobody sees what is not theirs."""

import json
import os
import shutil
import subprocess
import unittest

import harness

FOREIGN = 20
OWN = 3


class Access(unittest.TestCase):
    def test_an_ordinary_user_sees_own_startups_only(self):
        public = harness.public_binaries()
        self.addCleanup(shutil.rmtree, public)
        hello = os.path.join(public, "hello")
        shutil.copy(harness.program("hello_glibc_static"), hello)
        with harness.Daemon() as daemon:
            os.chmod(daemon.directory, 0o755)
            os.chmod(daemon.socket, 0o666)
            watch = subprocess.Popen(
                [public + "/startscope", "--address", daemon.address, "watch", "--format", "json",
                 "--limit", str(OWN), "--duration", "20"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                preexec_fn=harness.as_nobody)
            harness.wait_for(lambda: "on_process_exec" in harness.attached_programs(), "arming")
            harness.wait_for(lambda: json.loads(harness.client(
                "status", "--format", "json", address=daemon.address).stdout)["subscribers"] == 1,
                "the subscription")
            for i in range(FOREIGN):
                subprocess.run([hello], check=True, stdout=subprocess.DEVNULL)
                if i % (FOREIGN // OWN) == 0 and i // (FOREIGN // OWN) < OWN:
                    subprocess.run([hello], check=True, stdout=subprocess.DEVNULL,
                                   preexec_fn=harness.as_nobody)
            out, _ = watch.communicate(timeout=harness.WAIT_S)
            seen = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([s["process"]["uid"] for s in seen], [65534] * OWN)

            # Root watched nothing here, but asks for the recent ones: the user's are among them. The
            # user asks for a startup of root's by its name and gets none.
            startup = harness.run([harness.program("hello_musl_static")], daemon=daemon)[0]
            theirs = harness.client("show", startup["startup_id"], address=daemon.address,
                                    binary=public + "/startscope", preexec_fn=harness.as_nobody)
            self.assertEqual(theirs.returncode, 6, theirs.stderr)
            listed = harness.client("list", "--format", "json", address=daemon.address,
                                    binary=public + "/startscope", preexec_fn=harness.as_nobody)
            uids = {json.loads(line)["process"]["uid"] for line in listed.stdout.splitlines()}
            self.assertEqual(uids, {65534})


if __name__ == "__main__":
    unittest.main()
