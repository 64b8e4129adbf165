# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Files that are not what they were: deleted, replaced, truncated, in memory only, on overlay, in huge pages.
Nothing is charged to the wrong one; what is not known is said."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness
from rpc import Rpc


@contextlib.contextmanager
def overlay_of_root():
    """The root file system through an overlay, as a container has it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as upper, \
            tempfile.TemporaryDirectory() as merged:
        for name in ("upper", "work"):
            os.mkdir(os.path.join(upper, name))
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir=/,upperdir={upper}/upper,workdir={upper}/work", merged], check=True)
        try:
            yield merged
        finally:
            subprocess.run(["umount", "-l", merged], check=True)


def one_object(startup, path):
    found = [o for o in startup["objects"] if o["path"] == path]
    if len(found) != 1:
        raise AssertionError(f"{path}: {len(found)} in {[o['path'] for o in startup['objects']]}")
    return found[0]


class OddFiles(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="startscope-odd-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def path(self, name, pages=8):
        path = os.path.join(self.directory, name)
        pathlib.Path(path).write_bytes(os.urandom(4096 * pages))
        return path

    def test_deleted_and_memory_files(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            path = self.path("deleted.so")
            inode = os.stat(path).st_ino
            startup = rpc.run([harness.program("deleted_files"), path]).startups[0]
            harness.check_startup(self, startup)
            deleted = one_object(startup, path)
            self.assertTrue(deleted["deleted"])
            self.assertEqual(int(deleted["inode"]), inode)
            self.assertEqual(int(deleted["minor_faults"]) + int(deleted["major_faults"]), 1)
            self.assertEqual(deleted["build_id"], "")
            memory, = [o for o in startup["objects"] if "generated code" in o["path"]]
            self.assertEqual(int(memory["minor_faults"]), 1)
            self.assertEqual(memory["build_id"], "")

    def test_executed_from_memory(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            traced = rpc.run([harness.program("memfd_exec"), harness.program("hello_glibc_dynamic")],
                             startups=2)
            startup = traced.startups[-1]
            harness.check_startup(self, startup)
            self.assertIn("copied program", startup["process"]["executable"])
            executable, = [o for o in startup["objects"] if o["kind"] == "OBJECT_KIND_EXECUTABLE"]
            self.assertIn("copied program", executable["path"])
            self.assertGreater(int(executable["minor_faults"]), 0)

    def test_replaced_while_it_runs(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            library = os.path.join(self.directory, "libz.so.1")
            shutil.copy("/usr/lib/x86_64-linux-gnu/libz.so.1", library)
            program = os.path.join(self.directory, "victim")
            shutil.copy(harness.program("dlopen_after_main"), program)
            old = os.stat(library).st_ino
            startup = rpc.run([program, library]).startups[0]
            self.assertEqual(int(one_object(startup, library)["inode"]), old)
            build_id = one_object(startup, library)["build_id"]
            self.assertTrue(build_id)
            # Another library under its name: the next start must not be told the old one's identity.
            replacement = library + ".new"
            shutil.copy("/usr/lib/x86_64-linux-gnu/libexpat.so.1", replacement)
            os.rename(replacement, library)
            startup = rpc.run([program, library]).startups[0]
            harness.check_startup(self, startup)
            replaced = one_object(startup, library)
            self.assertEqual(int(replaced["inode"]), os.stat(library).st_ino)
            self.assertNotEqual(replaced["build_id"], build_id)
            self.assertIn("expat", replaced["soname"])

    def test_truncated_while_mapped(self):
        with harness.Daemon() as daemon, Rpc(daemon) as rpc:
            path = self.path("truncated")
            startup = rpc.run([harness.program("truncated_file"), path]).startups[0]
            harness.check_startup(self, startup)
            self.assertEqual(startup["exit_status"], 0)
            one = one_object(startup, path)
            # The page that was gone gave a signal, which the kernel does not count as a fault.
            self.assertEqual(int(one["minor_faults"]) + int(one["major_faults"]), 1)

    def test_on_overlay(self):
        with overlay_of_root() as root, harness.Daemon() as daemon, Rpc(daemon) as rpc:
            # They live for a moment: files below a root that is gone cannot be looked at any more.
            python = "/usr/bin/python3 -S -c 'import time; time.sleep(0.1)'"
            traced = rpc.run(["/usr/sbin/chroot", root, "/bin/sh", "-c", f"{python}; {python}; true"],
                             startups=4)
            startup, again = [s for s in traced.startups
                              if s["process"]["executable"] == "/usr/bin/python3.11"]
            harness.check_startup(self, startup)
            self.assertEqual(startup["runtime"]["libc"], "LIBC_GLIBC")
            for name in ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"):
                one, = [o for o in startup["objects"] if o["path"].endswith("/" + name)]
                self.assertEqual(one["soname"], name, startup["degradations"])
                self.assertGreater(int(one["minor_faults"]) + int(one["major_faults"]), 0)
            # Its probes are in place by now.
            self.assertEqual(again["degradations"], [])
            entry, = [p for p in again["phases"] if p["phase"] == "PHASE_RUNTIME_INIT"]
            self.assertEqual(entry["begin_source"], "BOUNDARY_SOURCE_ENTRY_UPROBE")

    def test_cold_on_overlay(self):
        with overlay_of_root() as root, harness.Daemon() as daemon, Rpc(daemon) as rpc:
            program = "/var/tmp/" + os.path.basename(self.directory) + "/program"
            shutil.copy("/usr/bin/git", program)

            def evict():
                fd = os.open(program, os.O_RDONLY)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

            traced = rpc.run(["/usr/sbin/chroot", root, program, "--version"], startups=2, before=evict)
            startup = traced.startup("program")
            one = one_object(startup, program)
            self.assertGreater(int(one["pages_read"]), 100)
            self.assertIn(program, [f["path"] for f in startup["storage"]["files"]])

    def test_huge_pages(self):
        knob = pathlib.Path("/proc/sys/vm/nr_hugepages")
        before = knob.read_text()
        knob.write_text(str(int(before) + 4))
        try:
            self.assertGreaterEqual(int(knob.read_text()), 2, "no huge pages to be had")
            with harness.Daemon() as daemon, Rpc(daemon) as rpc:
                for level in ("LEVEL_OBJECTS", "LEVEL_PAGES"):
                    startup = rpc.run([harness.program("huge_pages"), "2"], level=level).startups[0]
                    harness.check_startup(self, startup)
                    self.assertEqual(startup["exit_status"], 0)
                    huge, = [o for o in startup["objects"] if "huge" in pathlib.Path(o["path"]).name
                             and o["kind"] == "OBJECT_KIND_FILE"]
                    self.assertEqual(int(huge["minor_faults"]), 2)
                    self.assertTrue(huge["huge_pages"])
                    self.assertNotIn("pages_mapped", huge)
                    self.assertEqual(int(huge["mapped_bytes"]), 4 << 20)
        finally:
            knob.write_text(before)


if __name__ == "__main__":
    unittest.main()
