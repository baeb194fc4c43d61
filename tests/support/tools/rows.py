#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The table of faults in tests/README.md, made from the tests themselves.

A test says in its leading comment which rows it shows, on lines of their own:

    LSIO_ROWS: L1 L3 D6

    rows.py ROOT            prints the table
    rows.py ROOT --write    puts it between the markers in tests/README.md
    rows.py ROOT --check    fails if README's table is another one, a row has neither a test nor a
                            reason, or a test names a row that does not exist
"""
import os
import re
import sys

ROWS = {
    "L1": "a read gives less than was asked, in the middle of a file",
    "L2": "EINTR, EAGAIN from the kernel",
    "L3": "EIO, ESTALE",
    "L4": "the file is shorter than the range",
    "L5": "the file is truncated while it is read",
    "L6": "the file is replaced between reads of one batch",
    "L7": "the file is modified in place while it is read",
    "L8": "no such file, a directory on the way, no permission, too many links, name too long",
    "L9": "not a regular file",
    "L10": "the submission queue is full",
    "L11": "the completion queue cannot overflow",
    "L12": "io_uring is refused",
    "L13": "no memory may be locked",
    "L14": "no descriptor is left",
    "L15": "the kernel has no memory for a submission",
    "L16": "O_DIRECT is refused, or ends do not align",
    "L17": "fork in the application",
    "L18": "signals",
    "L19": "a stage returns an error",
    "L20": "a callback calls the library",
    "L21": "a callback is slow",
    "L22": "cancellation at any time",
    "L23": "destruction with work in flight",
    "L24": "no memory",
    "L25": "no thread",
    "L26": "numbers that overflow",
    "D1": "compressed data is cut off or damaged",
    "D2": "data that would decompress without end",
    "D3": "a blosc header lies",
    "D4": "zstd frames without a size, several, skippable",
    "D5": "decoded size is not the destination's",
    "D6": "a checksum differs",
    "D7": "an index of a Zarr shard lies",
    "D8": "metadata of a Zarr array is nonsense",
    "D9": "keys that would leave the store",
    "H1": "the server closes or resets in the middle of a body",
    "H2": "Content-Range is wrong, missing or changes",
    "H3": "200 and the whole object for a range",
    "H4": "multipart/byteranges",
    "H5": "416",
    "H6": "404: the object or the bucket",
    "H7": "403: denied, skewed clock, expired token",
    "H8": "other 4xx",
    "H9": "429, 503, 500 and their kin, Retry-After",
    "H10": "200 with an error in its body",
    "H11": "redirects: loops, other hosts, other schemes, regions",
    "H12": "slow or silent servers, at every step",
    "H13": "a body longer than its range, or without end",
    "H14": "Content-Length is wrong or absent",
    "H15": "chunked bodies, broken ones, trailers",
    "H16": "Content-Encoding that nobody asked for",
    "H17": "the object changes between parts",
    "H18": "TLS: expired, wrong host, unknown issuer, cut off, too old",
    "H19": "secrets in messages",
    "H20": "huge or many headers, control characters",
    "H21": "no name, refused, unreachable, reset before the answer",
    "H22": "an idle connection was closed",
    "H23": "HTTP/2: GOAWAY, refused streams, interim answers",
    "H24": "too many connections",
    "H25": "proxies",
    "H26": "credential endpoints that are slow, absent or wrong",
    "H27": "clocks that differ",
    "H28": "listings that are bombs, cut off or circular",
    "H29": "the body is not what the checksum in its head says",
}

# Rows that no test shows, and why.
REASONS = {
    "D7": "this version reads no Zarr shards",
    "D8": "this version reads no Zarr metadata",
}

BEGIN, END = "<!-- rows: made by tests/support/tools/rows.py -->", "<!-- end of rows -->"


def name_of(path):
    kind, base = path.split("/")[-2:]
    return "%s.%s" % (kind, re.sub(r"^test_|\.c$", "", base))


def collect(root):
    found, strangers = {}, []
    for folder, _, files in sorted(os.walk(os.path.join(root, "tests"))):
        for file in sorted(files):
            path = os.path.join(folder, file)
            if not file.endswith((".c", ".sh", ".py")) or file == "rows.py":
                continue
            with open(path, encoding="utf-8") as text:
                for line in re.findall(r"LSIO_ROWS: *([^*\n]*)", text.read()):
                    for row in line.split():
                        found.setdefault(row, []).append(name_of(path))
                        if row not in ROWS:
                            strangers.append("%s names row %s, which does not exist" % (path, row))
    return found, strangers


def table(found):
    lines = ["| row | what goes wrong | shown by |", "|---|---|---|"]
    for row, what in ROWS.items():
        tests = sorted(set(found.get(row, [])))
        shown = ", ".join("`%s`" % test for test in tests) or "not tested: " + REASONS.get(row, "?")
        lines.append("| %s | %s | %s |" % (row, what, shown))
    return "\n".join(lines)


def main():
    root = sys.argv[1]
    option = sys.argv[2] if len(sys.argv) > 2 else ""
    readme = os.path.join(root, "tests", "README.md")
    found, problems = collect(root)
    text = table(found)
    if not option:
        print(text)
        return 0
    with open(readme, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
        inside, after = rest.split(END)
    if option == "--write":
        with open(readme, "w", encoding="utf-8") as file:
            file.write("%s%s\n%s\n%s%s" % (before, BEGIN, text, END, after))
        return 0
    problems += ["row %s has neither a test nor a reason" % row for row in ROWS
                 if row not in found and row not in REASONS]
    problems += ["row %s has a test: it needs no reason" % row for row in REASONS if row in found]
    if inside.strip() != text:
        problems.append("the table in tests/README.md is not up to date: run rows.py ROOT --write")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
