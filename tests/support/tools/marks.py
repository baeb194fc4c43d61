#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says which marks (src/base/mark.h) the tests never reached.

    marks.py ROOT DIR

DIR is what LSIO_MARKS_DIR named while the tests ran. The exit status is 1 if a mark of ROOT/src was
not reached, or if two marks have one name.
"""

import os
import re
import sys

DEFINITION = os.path.join("base", "mark.h")


def marks_of(source_root):
    """name -> ["path:line", ...]"""
    found = {}
    for directory, _, files in os.walk(source_root):
        for name in files:
            path = os.path.join(directory, name)
            if not name.endswith((".c", ".h")) or path.endswith(DEFINITION):
                continue
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    for mark in re.findall(r"\bLSIO_MARK\((\w+)\)", line):
                        place = "%s:%d" % (os.path.relpath(path, source_root), number)
                        found.setdefault(mark, []).append(place)
    return found


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    marks = marks_of(os.path.join(sys.argv[1], "src"))
    log = os.path.join(sys.argv[2], "reached")
    reached = set()
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            reached = set(file.read().split())
    bad = 0
    for mark, places in sorted(marks.items(), key=lambda item: item[1]):
        if len(places) > 1:
            print("mark %s stands in several places: %s" % (mark, ", ".join(places)))
            bad += 1
        elif mark not in reached:
            print("never reached: %s (src/%s)" % (mark, places[0]))
            bad += 1
    print("marks: %d of %d reached" % (len(reached & marks.keys()), len(marks)))
    return 1 if bad or not marks else 0


if __name__ == "__main__":
    sys.exit(main())
