# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""What is loaded after a startup: who asked, what was mapped, what it cost; against the loader's log."""

import os
import re
import subprocess
import tempfile
import pathlib
import unittest

import harness
from rpc import Rpc

LIBRARY = "/usr/lib/x86_64-linux-gnu/libcurl.so.4"


def loaded_by_dlopen(command):
    """Paths that the loader's own log says were initialised after control went to the program."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(command, env=dict(os.environ, LD_DEBUG="files", LD_DEBUG_OUTPUT=directory + "/log"))
        log, = pathlib.Path(directory).iterdir()
        late = log.read_text(errors="replace").split("transferring control:", 1)[1]
        return {os.path.realpath(path) for path in re.findall(r"calling init: (\S+)", late)}


class LoaderEvents(unittest.TestCase):
    def test_dlopen(self):
        command = [harness.program("dlopen_after_main"), LIBRARY]
        expected = loaded_by_dlopen(command)
        self.assertGreater(len(expected), 5)
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for precision in ("PRECISION_EXACT", "PRECISION_UNPERTURBED"):
                with self.subTest(precision=precision):
                    traced = rpc.run(command, until="UNTIL_MAIN", loader_events=True, linger_s=0.5,
                                     precision=precision)
                    kinds = [e for e in traced.events if e in ("startup_finished", "loader_event")]
                    self.assertEqual(kinds[0], "startup_finished")
                    opened = traced.loader_events[0]
                    startup = traced.startups[0]
                    self.assertEqual(opened["startup_id"], startup["startup_id"])
                    self.assertEqual(opened["kind"], "LOADER_EVENT_KIND_OPEN")
                    paths = [o["path"] for o in opened["objects"]]
                    self.assertLessEqual(expected, set(paths))
                    self.assertEqual(paths[0], os.path.realpath(LIBRARY))
                    self.assertEqual(len(paths), len(set(paths)))
                    self.assertGreaterEqual(int(opened["offset_ns"]), int(startup["total_ns"]))
                    self.assertGreater(int(opened["duration_ns"]), 0)
                    self.assertGreater(int(opened["minor_faults"]), 50)
                    self.assertLess(int(opened["fault_ns"]), int(opened["duration_ns"]))
                    by_name = {o["soname"]: o for o in opened["objects"]}
                    self.assertTrue(by_name["libcurl.so.4"]["build_id"])
                    if precision == "PRECISION_EXACT":
                        self.assertEqual(opened["requested"], LIBRARY)
                        self.assertEqual(opened["caller_object"], command[0])
                        self.assertNotEqual(opened["caller_offset"], "0")
                        self.assertEqual(traced.loader_events[1]["kind"], "LOADER_EVENT_KIND_CLOSE")
                    else:
                        self.assertEqual(opened["requested"], "")
                        self.assertEqual(opened["source"], "BOUNDARY_SOURCE_MAPPING")
                        self.assertEqual(len(traced.loader_events), 1)

    def test_one_event_for_each_import(self):
        command = ["/usr/bin/python3", "-S", "-c", "import _ctypes, _json"]
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            for precision in ("PRECISION_EXACT", "PRECISION_UNPERTURBED"):
                with self.subTest(precision=precision):
                    traced = rpc.run(command, until="UNTIL_MAIN", loader_events=True, linger_s=0.5,
                                     precision=precision)
                    first = [pathlib.Path(e["objects"][0]["path"]).name.split(".")[0]
                             for e in traced.loader_events if e["objects"]]
                    self.assertEqual(first, ["_ctypes", "_json"])
                    ctypes = traced.loader_events[0]
                    self.assertIn("libffi", ctypes["objects"][1]["path"])

    def test_not_unless_asked_for(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = rpc.run([harness.program("dlopen_after_main"), LIBRARY], until="UNTIL_MAIN",
                             linger_s=0.5)
            self.assertEqual(traced.loader_events, [])


if __name__ == "__main__":
    unittest.main()
