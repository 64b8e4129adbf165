# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What the operator is told: each privilege with its reason, each place of loss with its option."""

import json
import pathlib
import re
import subprocess
import unittest

import harness

# Of linux/capability.h; what the daemon may keep.
CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYS_PTRACE": 19,
                "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
STAGES = ("kernel ring", "mapping ring", "decode", "model", "subscriber", "throttled", "kernel state",
          "images", "kept startups", "early records", "details", "loader events")


def held_by(process):
    """The capabilities and users of a process, as the kernel says."""
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    mask = int(re.search(r"CapEff:\s*(\w+)", text)[1], 16)
    uid = re.search(r"Uid:\s*(\d+)", text)[1]
    return mask, uid


def findings(daemon):
    done = harness.client("doctor", "--format", "json", address=daemon.address)
    return json.loads(done.stdout)["findings"]


class Doctor(unittest.TestCase):
    def test_says_which_capabilities_are_held_and_why(self):
        for options in ((), ("--user", "nobody")):
            with self.subTest(options=options), harness.Daemon(*options) as daemon:
                mask, uid = held_by(daemon.process)
                reasons = {f["subject"].split()[1]: f["what"] for f in findings(daemon)
                           if f["subject"].startswith("privilege CAP_") and f["severity"] == "fine"}
                self.assertEqual(mask, sum(1 << CAPABILITIES[name] for name in reasons), reasons)
                self.assertTrue(all(reasons.values()))
                who = next(f for f in findings(daemon) if f["subject"] == "privileges")
                self.assertIn(f"runs as user {uid},", who["what"])
                self.assertIn(harness.SECCOMP, who["what"])
                self.assertEqual(who["severity"], "note" if uid == "0" else "fine")
                status = harness.client("status", address=daemon.address).stdout
                self.assertIn(f"runs as: user {uid} ", status)
                for name, reason in reasons.items():
                    self.assertRegex(status, rf"{name} +{re.escape(reason)}")
                self.assertIn("watches cut: 0", status)

    def test_every_place_of_loss_names_an_option_that_exists_or_says_there_is_none(self):
        with harness.Daemon() as daemon:
            known = subprocess.run([str(harness.DAEMON), "--help"], stdout=subprocess.PIPE, text=True,
                                   check=True).stdout
            counters = json.loads(harness.client("status", "--format", "json",
                                                 address=daemon.address).stdout)["losses"]
            losses = [f for f in findings(daemon) if f["subject"].startswith("losses: ")]
            self.assertEqual(len(losses), len(counters))
            self.assertEqual({f["subject"].split(": ")[1] for f in losses}, set(STAGES))
            for finding, counter in zip(losses, counters):
                self.assertTrue(counter["name"] and counter["consequence"], counter)
                text = finding["what"] + finding.get("remedy", "")
                if counter["knob"]:
                    self.assertIn(counter["knob"], text)
                    self.assertIn(counter["knob"] + " ", known)
                else:
                    self.assertIn("no option", text)


if __name__ == "__main__":
    unittest.main()
