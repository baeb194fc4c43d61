#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says which marks (src/base/mark.h) the tests never reached.

    marks.py ROOT DIR

DIR is what LSIO_MARKS_DIR named while the tests ran. The exit status is 1 if a mark of ROOT/src was
not reached, if two marks have one name, or if a row of the network's faults (rows.py: H1 ...) has
none of its own: a mark h01_... that a test reached whose LSIO_ROWS line names the row.
"""

import os
import re
import sys

sys.dont_write_bytecode = True

import rows

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


def reached_in(log):
    """mark -> the tests that reached it, named as rows.py names them"""
    reached = {}
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            for mark, program in (line.split() for line in file):
                test = re.sub(r"^test-([a-z]+)-", r"\1.", program)
                reached.setdefault(mark, set()).add(test)
    return reached


def rows_without_marks(root, marks, reached):
    """Of the network's rows, those that no mark of their own shows to be what their tests meet."""
    tests_of, _ = rows.collect(root)
    for row in rows.ROWS:
        if not row.startswith("H"):
            continue
        own = [mark for mark in marks if re.match("h0*%s_" % row[1:], mark)]
        if not own:
            yield "row %s has no mark" % row
        elif not any(reached.get(mark, set()) & set(tests_of.get(row, ())) for mark in own):
            yield "row %s: no test of its own reached %s" % (row, " or ".join(sorted(own)))


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    marks = marks_of(os.path.join(sys.argv[1], "src"))
    reached = reached_in(os.path.join(sys.argv[2], "reached"))
    problems = []
    for mark, places in sorted(marks.items(), key=lambda item: item[1]):
        if len(places) > 1:
            problems.append("mark %s stands in several places: %s" % (mark, ", ".join(places)))
        elif mark not in reached:
            problems.append("never reached: %s (src/%s)" % (mark, places[0]))
    problems += rows_without_marks(sys.argv[1], marks, reached)
    for problem in problems:
        print(problem)
    print("marks: %d of %d reached" % (len(reached.keys() & marks.keys()), len(marks)))
    return 1 if problems or not marks else 0


if __name__ == "__main__":
    sys.exit(main())
