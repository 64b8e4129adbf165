#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Writes seeds for pclntab_fuzz: a small function table in the form of each Go release that changed it.

  pclntab_seeds.py DIRECTORY"""

import pathlib
import struct
import sys

TEXT = 0x401000  # of the program that the fuzzer makes around the table
FUNCTION_BYTES = 32
NAMES = ["_rt0_amd64_linux", "runtime.main", "runtime.gcenable", "runtime.doInit", "runtime.schedinit",
         "runtime.init", "runtime.init.0", "os.init", "gopkg.in/yaml%2ev3.init.1", "main.init",
         "main.main"]
HEADER_BYTES = 72


def table(magic, nopointers):
    """Header, names, entries and function records; `nopointers`: entries of 32-bit offsets (Go 1.18)."""
    names, at = b"", []
    for name in NAMES:
        at.append(len(names))
        names += name.encode() + b"\0"
    names_offset = HEADER_BYTES
    if magic == 0xfffffffb:  # Go 1.2: everything counts from the table's begin
        entries, records = 16, 16 + 16 * len(NAMES)
        names_offset = records + 16 * len(NAMES)
        body = b"".join(struct.pack("<QQ", TEXT + i * FUNCTION_BYTES, records + 16 * i)
                        for i in range(len(NAMES)))
        body += b"".join(struct.pack("<QII", TEXT + i * FUNCTION_BYTES, names_offset + at[i], 0)
                         for i in range(len(NAMES)))
        return struct.pack("<IBBBBQ", magic, 0, 0, 1, 8, len(NAMES)) + body + names
    entries = names_offset + len(names)
    if nopointers:
        width, head = 8, (TEXT, names_offset, 0, 0, 0, entries)
        body = b"".join(struct.pack("<II", i * FUNCTION_BYTES, width * len(NAMES) + 16 * i)
                        for i in range(len(NAMES)))
        body += b"".join(struct.pack("<IIQ", i * FUNCTION_BYTES, at[i], 0) for i in range(len(NAMES)))
    else:
        width, head = 16, (names_offset, 0, 0, 0, entries, 0)
        body = b"".join(struct.pack("<QQ", TEXT + i * FUNCTION_BYTES, width * len(NAMES) + 16 * i)
                        for i in range(len(NAMES)))
        body += b"".join(struct.pack("<QII", TEXT + i * FUNCTION_BYTES, at[i], 0)
                         for i in range(len(NAMES)))
    header = struct.pack("<IBBBBQQ6Q", magic, 0, 0, 1, 8, len(NAMES), 1, *head)
    return header + names + body


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for release, magic, nopointers in (("1.2", 0xfffffffb, False), ("1.16", 0xfffffffa, False),
                                       ("1.18", 0xfffffff0, True), ("1.20", 0xfffffff1, True)):
        data = table(magic, nopointers)
        (directory / f"go{release}").write_bytes(data + b"\0" * max(0, 96 - len(data)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
