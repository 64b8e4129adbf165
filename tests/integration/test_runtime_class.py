# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Runtime and linkage are recognised for every target, stripped or not."""

import subprocess
import unittest

import harness

DYNAMIC, STATIC, PIE = "LINKAGE_DYNAMIC", "LINKAGE_STATIC", "LINKAGE_STATIC_PIE"
GLIBC, MUSL, NONE = "LIBC_GLIBC", "LIBC_MUSL", "LIBC_NONE"
C, RUST, GO = "LANGUAGE_C_OR_CPP", "LANGUAGE_RUST", "LANGUAGE_GO"

EXPECTED = {
    "hello_glibc_dynamic": (GLIBC, DYNAMIC, C),
    "hello_glibc_nopie": (GLIBC, DYNAMIC, C),
    "hello_glibc_static": (GLIBC, STATIC, C),
    "hello_glibc_static_pie": (GLIBC, PIE, C),
    "hello_musl_dynamic": (MUSL, DYNAMIC, C),
    "hello_musl_static": (MUSL, STATIC, C),
    "freestanding_c": (NONE, STATIC, "LANGUAGE_UNKNOWN"),
    "freestanding_rust": (NONE, STATIC, RUST),
    "hello_rust": (GLIBC, DYNAMIC, RUST),
    "hello_go": (NONE, STATIC, GO),
}


def rust_leaves_evidence():
    """Whether this rustc writes its name into what it compiles; without std there is nothing else."""
    comment = subprocess.run(["readelf", "-p", ".comment", harness.program("freestanding_rust")],
                             capture_output=True, text=True).stdout
    return "rustc version" in comment


class RuntimeClass(unittest.TestCase):
    def test_every_target_stripped_or_not(self):
        with harness.Daemon() as daemon:
            for name, (libc, linkage, language) in EXPECTED.items():
                if name == "freestanding_rust" and not rust_leaves_evidence():
                    language = "LANGUAGE_UNKNOWN"
                for variant in (name, name + "_stripped"):
                    with self.subTest(program=variant):
                        startups = harness.run([harness.program(variant)], daemon=daemon)
                        self.assertEqual(len(startups), 1)
                        runtime = startups[0]["runtime"]
                        self.assertEqual(
                            (runtime["libc"], runtime["linkage"], runtime["language"]),
                            (libc, linkage, language), runtime["evidence"])
                        self.assertTrue(runtime["evidence"])
                        reached = [m["kind"] for m in startups[0]["milestones"]]
                        self.assertEqual(reached, ["MILESTONE_KIND_MAIN"], startups[0])
                        self.assertNotIn("DEGRADATION_KIND_MAIN_NOT_OBSERVED",
                                         [d["kind"] for d in startups[0].get("degradations", [])])


if __name__ == "__main__":
    unittest.main()
