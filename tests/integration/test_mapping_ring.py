# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The kernel's rings of mapping records, with and without its count of what it drops (mapping_ring_live.cc)."""

import subprocess
import unittest

import harness


class MappingRing(unittest.TestCase):
    def test_what_is_dropped_is_told_with_and_without_the_kernels_count(self):
        ran = subprocess.run([harness.program("mapping_ring_live")], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertRegex(ran.stdout, r"\[  PASSED  \] 2 tests\.")


if __name__ == "__main__":
    unittest.main()
