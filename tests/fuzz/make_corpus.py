#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

"""Seeds for the fuzzers: make_corpus.py BUILD CORPUS.

ELF files: the samples and test programs of a build, whole where they are small, otherwise cut down to
their first bytes with their section headers, names and symbols moved up; each also with header fields
changed. Records: the recordings of tests/data. Requests and filters: as clients send them. Startups,
events and statuses: those that tests expect, as they are and with texts that are up to no good; requests to
the metrics' server: as scrapers and others send them. The same build gives the same corpus."""

import gzip
import pathlib
import random
import struct
import subprocess
import sys

KEEP = 24 << 10  # of a large file's begin
KEEP_TABLE = 6 << 10  # of each table that is moved up
WHOLE = 40 << 10
SMALL_MESSAGE = 9 << 10  # what is written and read again takes its time
SAMPLES = [
    "linked_relr_stripped", "linked_copy_stripped", "linked_library.so", "linked_textrel.so_stripped",
    "linked_pie_mini", "linked_gold", "linked_one_segment", "ld-state-setter.so", "ld-sdt.so",
    "linked_static", "linked_static_pie", "musl_static_pie", "go_pie", "rust_opt_2", "debuglink_none",
]
PROGRAMS = ["freestanding_c", "hello_glibc_dynamic", "hello_musl_static"]
SYSTEM = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "/lib/x86_64-linux-gnu/libc.so.6"]
MUTANTS = 4
ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
GOLDEN = ROOT / "tests/unit/client/golden"
PROTOS = ("startscope/v1/startup.proto", "startscope/v1/startup_service.proto")
HOSTILE = [b"\x1b[31mred\x1b]0;title\x07", b"a\nfake_metric 1\r", "a\u202eb\u2066c\u061c".encode(), b"other",
           "\u9b2a\u3164\ufe0f\U000e0041\x85".encode(), b"\xff\xc0\x80\xed\xa0\x80\\", b'"} 1 # {"', b"a\0b", b"",
           b"_ZN3foo3barIiEEvT_", b"/usr/lib/libc.so.6", b"x" * 255]
STUCK = """startup_id: "1-2-3" process { pid: 12 comm: "nginx" executable: "/usr/sbin/nginx" }
  elapsed_ns: 9400000000 phase: PHASE_CONSTRUCTORS phase_elapsed_ns: 9380000000 object: "/lib/libfoo.so"
  function: "_ZN3foo4initEv" wait_channel: "futex_wait" system_call: "futex" file: "/etc/x" """
HTTP = [b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9464\r\nAccept-Encoding: gzip\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"OPTIONS /metrics HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: GET\r\n"
        b"Access-Control-Request-Headers: X-A\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\n\r\n",
        b"GET /%2e%2e/..%2f/etc/passwd?a=%00&b=1 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        b"PROPFIND / HTTP/1.1\r\nDepth: 1\r\n\r\n", b"DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Digest username=\"a\", uri=\"/\"\r\nCookie: a=b\r\n"
        b"If-Modified-Since: Thu, 26 Nov 2026 00:00:00 GMT\r\nX-Fold: a\r\n b\r\n\r\n"]
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


def write_answers(corpus):
    partial = field(1, field(1, 3) + field(2, b"\x1b[31mfull"))
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(partial) + partial,
               b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"partialSuccess":{"rejectedSpans":"3"}}',
               b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
               b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
               b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
               b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\nConnection: close\r\n\r\nno",
               b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 70000, mtime=0),
               b"HTTP/1.0 204 \r\nSet-Cookie: a=b\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"]
    for number, answer in enumerate(answers):
        for flags in range(4):
            yield corpus / "collector_fuzz" / f"{number}-{flags}", bytes([flags]) + answer


def encoded(message, text):
    """A message in protobuf's text form, in bytes."""
    return subprocess.run(["protoc", "-I", ROOT / "proto", f"--encode=startscope.v1.{message}", *PROTOS],
                          input=text, stdout=subprocess.PIPE, check=True).stdout


def with_length(content):
    return struct.pack("<I", len(content)) + content


def write_messages(corpus):
    """What goes to clients, and beside each the texts to put into it."""
    texts = b"".join(bytes([len(text)]) + text for text in HOSTILE * 3)
    statuses = {name: encoded("GetStatusResponse", (GOLDEN / f"{name}.textproto").read_bytes())
                for name in ("status", "doctor")}
    events = {"late": field(6, encoded("LoaderEvent", (GOLDEN / "loader_event.textproto").read_bytes())),
              "stuck": field(10, encoded("StartupStuck", STUCK.encode()))}
    startups = {}
    for path in (*sorted(DATA.glob("*.golden")), *sorted(GOLDEN.glob("*.textproto"))):
        text = path.read_bytes()
        # A recording may have several startups, and the clients' texts are not all of startups.
        if text.count(b"\nstartup_id:") == 0 and b"startup_id:" in text and path.stem != "loader_event":
            startups[path.stem] = encoded("Startup", text)
    small = {name: startup for name, startup in startups.items() if len(startup) <= SMALL_MESSAGE}
    several = b"".join(field(1, startup) for startup in small.values() if len(startup) < 2048)
    lists = {"several": several, **{name: 3 * field(1, startup) for name, startup in small.items()}}
    for number, these in enumerate((b"", texts)):
        for place, messages in enumerate((startups, events, lists, statuses)):
            for name, message in messages.items():
                hostile = with_length(message) + these
                for flags in (0, 1, 2, 7, 32):
                    terminal = bytes([place << 3 | flags, 60])
                    yield corpus / "render_fuzz" / f"{name}-{place}-{number}-{flags}", terminal + hostile
                if place < 2 and len(message) <= SMALL_MESSAGE:
                    yield corpus / "json_fuzz" / f"{name}-{number}", bytes([place]) + hostile
                    yield corpus / "json_fuzz" / f"{name}-{number}-all", bytes([129 + place]) + hostile
        for name, message in lists.items():
            hostile = with_length(message) + these
            for flags in (0, 1, 7, 31):
                yield corpus / "otlp_fuzz" / f"{name}-{number}-{flags}", bytes([flags]) + hostile
            status = with_length(with_length(statuses["status"]) + these)
            for labels in (2, 63, 127):
                yield (corpus / "metrics_text_fuzz" / f"{name}-{number}-{labels}",
                       bytes([labels]) + status + with_length(events["stuck"]) + hostile)
    for number, line in enumerate((b'{"startup_id":"1"}\n{"resume_gap":{}}\n\n{"startup_id":', b'{"total_ns":"18446744073709551615"}')):
        yield corpus / "json_fuzz" / f"line-{number}", b"\2" + line


def write_scrapes(corpus):
    for number, request in enumerate(HTTP):
        for first in (0, 9, 255):
            yield corpus / "metrics_server_fuzz" / f"{number}-{first}", bytes([first]) + request


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
    for path, content in (*write_records(corpus), *write_requests(corpus), *write_filters(corpus),
                          *write_messages(corpus), *write_scrapes(corpus), *write_answers(corpus)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += 1
    print(f"{written} seeds in {corpus}")


main()
