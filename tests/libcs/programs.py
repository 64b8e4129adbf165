# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""The programs that run on each suite's C libraries: linked against the oldest, so that they need nothing that
a newer one does not have, and in the styles that programs are linked in."""

import pathlib
import shutil
import subprocess

from fetch import LIBRARIES, check_output, resolve_in

HERE = pathlib.Path(__file__).resolve().parent
DIRECTORY = "startscope"  # of each root
PIE = ["-pie", "-fPIE"]
STYLES = {
    "hello": PIE, "nopie": ["-no-pie"], "norelro": [*PIE, "-Wl,-z,norelro"],
    "partialrelro": [*PIE, "-Wl,-z,relro,-z,lazy"], "bindnow": [*PIE, "-Wl,-z,relro,-z,now"],
}


def own_file(name):
    """A file of the compiler's own."""
    return check_output(["gcc", "-print-file-name=" + name]).strip()


def link_glibc(root, output, objects, flags):
    libraries = root / LIBRARIES
    begin = "crtbegin.o" if "-no-pie" in flags else "crtbeginS.o"
    end = begin.replace("begin", "end")
    crt = "crt1.o" if "-no-pie" in flags else "Scrt1.o"
    check_output(["gcc", "-nostdlib", *flags, libraries / crt, libraries / "crti.o", own_file(begin),
                  *objects, libraries / "libc.so.6", libraries / "libc_nonshared.a", "-lgcc",
                  own_file(end), libraries / "crtn.o", "-o", output])


def link_static(root, output, objects, pie):
    libraries = root / LIBRARIES
    flags, crt, begin = (["-static-pie"], "rcrt1.o", "crtbeginS.o") if pie else \
        (["-static", "-no-pie"], "crt1.o", "crtbeginT.o")
    # The compiler's unwinder asks for it; only glibc since 2.35 has it.
    check_output(["gcc", "-xc", "-", "-c", "-fPIE", "-o", output.with_name("find_object.o")],
                 input="int _dl_find_object(void *a, void *b) { (void)a; (void)b; return -1; }")
    archive = output.with_name("find_object.a")
    check_output(["ar", "rc", archive, output.with_name("find_object.o")])
    check_output(["gcc", "-nostdlib", *flags, libraries / crt, libraries / "crti.o", own_file(begin),
                  *objects, "-Wl,--start-group", libraries / "libc.a", "-lgcc", "-lgcc_eh", archive,
                  "-Wl,--end-group", own_file(begin.replace("begin", "end").replace("T", "")),
                  libraries / "crtn.o", "-o", output])


def link_musl(root, output, objects, static):
    libraries = root / "usr/lib/x86_64-linux-musl"
    how = ["-static", "-no-pie"] if static else \
        ["-no-pie", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]
    # By name: musl's libc has no soname, and its path would be taken for one.
    libc = [libraries / "libc.a"] if static else ["-L" + str(libraries), "-lc"]
    check_output(["gcc", "-nostdlib", *how, libraries / "crt1.o", libraries / "crti.o", *objects,
                  *libc, libraries / "crtn.o", "-o", output])


def build(suites, work):
    """Puts the programs into every suite's root. Dynamic ones come from the oldest suite given."""
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    hello = HERE.parent / "programs" / "hello.c"
    check_output(["gcc", "-O1", "-fPIE", "-c", hello, "-o", work / "hello.o"])
    check_output(["gcc", "-O1", "-fno-stack-protector", "-c", hello, "-o", work / "musl.o"])
    check_output(["g++", "-O1", "-fPIE", "-c", HERE / "hello.cc", "-o", work / "cxx.o"])
    oldest = next(iter(suites.values())).root
    for name, flags in STYLES.items():
        link_glibc(oldest, work / name, [work / "hello.o"], flags)
    stdcxx = resolve_in(oldest, LIBRARIES + "/libstdc++.so.6")
    link_glibc(oldest, work / "cxx", [work / "cxx.o", stdcxx], [*PIE, "-Wl,--allow-shlib-undefined"])
    check_output(["gcc", "-m32", "-O1", hello, "-Wl,--hash-style=both", "-o", work / "narrow"])
    check_output(["gcc", "-m32", "-O1", "-static", hello, "-o", work / "narrow_static"])
    link_musl(oldest, work / "musl", [work / "musl.o"], static=False)
    for suite in suites.values():
        into = suite.root / DIRECTORY
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(work, into)
        link_static(suite.root, into / "static", [work / "hello.o"], pie=False)
        link_static(suite.root, into / "static_pie", [work / "hello.o"], pie=True)
        link_musl(suite.root, into / "musl_static", [work / "musl.o"], static=True)
