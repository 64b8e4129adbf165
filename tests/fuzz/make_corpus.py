#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Seeds for the fuzzers: make_corpus.py BUILD CORPUS.

ELF files: the samples and test programs of a build, whole where they are small, otherwise cut down to
their first bytes with their section headers, names and symbols moved up; each also with header fields
changed. Records: the recordings of tests/data. Requests and filters: as clients send them. The same
build gives the same corpus."""

import pathlib
import random
import struct
import sys

KEEP = 24 << 10  # of a large file's begin
KEEP_TABLE = 6 << 10  # of each table that is moved up
WHOLE = 40 << 10
SAMPLES = [
    "linked_relr_stripped", "linked_copy_stripped", "linked_library.so", "linked_textrel.so_stripped",
    "linked_pie_mini", "linked_gold", "linked_one_segment", "ld-state-setter.so", "ld-sdt.so",
    "linked_static", "linked_static_pie", "musl_static_pie", "go_pie", "rust_opt_2", "debuglink_none",
]
PROGRAMS = ["freestanding_c", "hello_glibc_dynamic", "hello_musl_static"]
SYSTEM = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "/lib/x86_64-linux-gnu/libc.so.6"]
MUTANTS = 4
DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
RECORDING_HEADER_BYTES = 16
SECTION = struct.Struct("<IIQQQQIIQQ")
SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS, SHT_DYNSYM = 2, 3, 8, 11


def cut(image):
    """The begin of a file, with the tables that tools need behind it."""
    if len(image) <= WHOLE or image[:4] != b"\x7fELF":
        return image[:WHOLE]
    table, = struct.unpack_from("<Q", image, 40)
    count, = struct.unpack_from("<H", image, 60)
    short = bytearray(image[:KEEP])
    sections = [list(SECTION.unpack_from(image, table + i * SECTION.size)) for i in range(count)]
    for section in sections:
        kind, offset, size = section[1], section[4], section[5]
        if kind not in (SHT_SYMTAB, SHT_STRTAB, SHT_DYNSYM) or offset + size <= KEEP:
            continue
        size = min(size, KEEP_TABLE)
        section[4], section[5] = len(short), size
        short += image[offset:offset + size]
    struct.pack_into("<Q", short, 40, len(short))
    for section in sections:
        short += SECTION.pack(*section)
    return bytes(short)


def mutate(image, source):
    """Numbers of the ELF header, program headers or section headers replaced by awkward ones."""
    image = bytearray(image)
    awkward = [0, 1, 0x7fffffff, 0xffffffff, 0x8000000000000000, 0xffffffffffffffff, len(image)]
    tail = max(64, len(image) - 2048)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(16, 1024) if source.random() < 0.6 else source.randrange(tail, len(image))
        width = source.choice([1, 2, 4, 8])
        value = source.choice(awkward + [source.getrandbits(64)])
        if at + width <= len(image):
            image[at:at + width] = (value & (256 ** width - 1)).to_bytes(width, "little")
    return bytes(image)


def field(number, content):
    """One field of a protobuf message: a number, or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def write_records(corpus):
    for path in sorted(DATA.glob("*.rec")):
        recording = path.read_bytes()
        yield corpus / "recording_fuzz" / path.stem, recording
        yield corpus / "decode_fuzz" / path.stem, recording[RECORDING_HEADER_BYTES:]


def write_requests(corpus):
    every_filter = b"".join(field(number, content) for number, content in (
        (1, b"\xe8\x07"), (2, b"\x2a"), (3, b"curl"), (4, b"/usr/bin/*"), (5, b"\x01"),
        (6, b"/system.slice")))
    duration = field(1, 5) + field(2, 1000)
    for number in range(1, 20):
        for name, content in (("number", 1), ("text", b"/usr/bin/true"), ("filter", every_filter),
                              ("duration", duration)):
            one = field(number, content)
            yield corpus / "request_fuzz" / f"watch-{number}-{name}", b"\0" + one
            yield corpus / "request_fuzz" / f"list-{number}-{name}", b"\1" + one


def write_filters(corpus):
    pod = b"/kubepods.slice/kubepods-pod%s.slice/cri-containerd-%s.scope" % (
        b"01234567_89ab_cdef_0123_456789abcdef", b"0123456789abcdef" * 4)
    pairs = [(b"/usr/bin/*", b"/usr/bin/curl"), (b"*", pod), (b"/kubepods.slice", pod),
             (b"[a-z]*[!0-9]", b"abc"), (b"a*a*a*a*a*b", b"a" * 60), (b"?\\x41", b"A\xff\\"),
             (b"/docker/" + b"ab" * 32, b"/docker/" + b"ab" * 32)]
    for number, (pattern, path) in enumerate(pairs):
        yield corpus / "filter_fuzz" / str(number), struct.pack("<I", len(pattern)) + pattern + path


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, corpus = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    samples = build / "tests/unit/elf/samples"
    paths = [samples / name for name in SAMPLES] + [build / "programs" / name for name in PROGRAMS]
    paths += [pathlib.Path(name) for name in SYSTEM]
    debug = (samples / "linked_pie_table").read_bytes()
    source = random.Random(1)
    folders = {name: corpus / name for name in ("elf_fuzz", "symbol_ladder_fuzz", "symbolizer_fuzz")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for path in paths:
        image = cut(path.read_bytes())
        for number, one in enumerate([image] + [mutate(image, source) for _ in range(MUTANTS)]):
            other = debug if number % 2 == 0 else mutate(debug, source)
            both = struct.pack("<I", len(one)) + one + other
            for name, content in (("elf_fuzz", one), ("symbol_ladder_fuzz", both),
                                  ("symbolizer_fuzz", both)):
                (folders[name] / f"{path.name}-{number}").write_bytes(content)
                written += 1
    for path, content in (*write_records(corpus), *write_requests(corpus), *write_filters(corpus)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += 1
    print(f"{written} seeds in {corpus}")


main()
