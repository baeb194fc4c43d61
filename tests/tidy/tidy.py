#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what a compiler does not: who may include whom, sizes of files and functions, file heads,
what src/ must not do, and that README shows code that is compiled.

    tidy.py ROOT [--objects FILE]

FILE lists the library's object files, one a line; what they import and which writable data they hold
is then checked too. Every violation is reported, as PATH:LINE: what; the exit status is 1 if there
are any.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys

STATUS_TABLE = "src/base/status.c"
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# Top-level entries; besides these only names that begin with a dot, and build trees.
TOP_LEVEL = {"include", "src", "tests", "bench", "examples", "CMakeLists.txt", "README.md", "LICENSE"}

# What the files that match the first pattern may include, of src/ (the first match counts). The
# contracts of a folder that others build on are its named headers: loop.h and os.h, driver.h; what
# else lies directly in driver/ is shared by drivers. `folder/*` is all below, `*` else one name.
# Public headers (lsio/*.h) and base/ are open to everyone. plan.h gives drivers the profile type.
LOOP = ["loop/loop.h", "loop/os.h"]
LOOP_BACK_ENDS = ["uring", "epoll", "sim"]
MAY_INCLUDE = [
    ("base/*", []),
    ("request/*", ["request/*"]),
    ("plan/*", ["plan/*", "request/*"]),
    ("buffer/*", ["buffer/*"]),
    ("chain/*", ["chain/*", "request/*", "buffer/*"]),
    ("loop/*", LOOP),
    ("driver/http/*", ["driver/http/*", "driver/*.h", "plan/plan.h", "buffer/*"] + LOOP),
    ("driver/*", ["driver/*.h", "plan/plan.h", "buffer/*"] + LOOP),
    ("stage/*", ["stage/*"]),
    ("zarr/*", ["zarr/*"]),
    ("engine/registry.c", ["engine/*", "request/*", "plan/*", "chain/*", "buffer/*", "driver/*", "loop/*"]),
    ("engine/*", ["engine/*", "request/*", "plan/*", "chain/*", "buffer/*", "driver/driver.h"] + LOOP),
    ("lsio.c", ["engine/*", "request/*", "chain/*"]),
]

# System headers that only some files may include.
RESERVED_HEADERS = [
    ("liburing*", "loop/uring*"),
    ("linux/io_uring.h", "loop/uring*"),
    ("curl/*", "driver/http/*"),
    ("openssl/*", "driver/http/*"),
    ("expat.h", "driver/http/*"),
    ("json-c/*", "driver/http/*"),
]

# Functions that src/ must not call, and the files that may.
FORBIDDEN = {
    "getenv": ["src/engine/config.c", "src/driver/http/store.c"],
    "secure_getenv": ["src/engine/config.c"],
    "setenv": [], "unsetenv": [], "putenv": [],
    "printf": [], "fprintf": [], "vprintf": [], "vfprintf": [], "puts": [], "fputs": [], "putchar": [],
    "fputc": [], "perror": [], "fwrite": [], "dprintf": [],
    "signal": [], "sigaction": [],
    "exit": [], "_exit": [], "quick_exit": [], "system": [],
    "sprintf": [], "vsprintf": [], "gets": [], "strtok": [],
    "atoi": [], "atol": [], "rand": [], "srand": [],
}

URL_HOSTS = re.compile(r"(github\.com/JackKelly/light-speed-io|([a-z0-9.-]+\.)?example(\.(com|org|net))?"
                       r"|localhost|127\.0\.0\.1|\[::1\]|host|bucket|server)\b")
MACHINE_PATH = re.compile(r"(?<![\w./$}-])/(home|root|Users|work|mnt|farm)/[\w.-]+")
ALLOWED_GLOBALS = "tests/tidy/allowed_globals.txt"


class Report:
    def __init__(self):
        self.violations = []

    def add(self, path, line, text):
        self.violations.append("%s:%d: %s" % (path, line, text))


def files_below(root, *folders):
    for folder in folders:
        for directory, names, files in os.walk(os.path.join(root, folder)):
            names[:] = sorted(n for n in names if n != "__pycache__" and not n.startswith("build"))
            for name in sorted(files):
                yield os.path.relpath(os.path.join(directory, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def code_only(text):
    """The text with comments, strings and character constants blanked; lines stay lines."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


# ------------------------------------------------------------------------------------- includes --

def matches(name, pattern):
    """`folder/*` is all below a folder; elsewhere `*` stays within one name."""
    if pattern.endswith("/*"):
        return name.startswith(pattern[:-1])
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), name) is not None


def first_word(path):
    return re.match(r"[a-z0-9]*", os.path.basename(path)).group(0)


def check_includes(path, text, report):
    """path is below src/."""
    inside = path[len("src/"):]
    allowed = next((a for pattern, a in MAY_INCLUDE if matches(inside, pattern)), None)
    if allowed is None:
        report.add(path, 1, "no rule says what this file may include: see MAY_INCLUDE in tidy.py")
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        quoted, name = match.group(1) == '"', match.group(2)
        for pattern, owner in RESERVED_HEADERS:
            if matches(name, pattern) and not matches(inside, owner):
                report.add(path, number, "only src/%s may include <%s>" % (owner, name))
        if not quoted or re.match(r"(lsio|base)/", name):
            continue
        if "/" not in name:
            report.add(path, number, 'write "folder/%s": paths are from src/' % name)
            continue
        if any(matches(name, pattern) for pattern in allowed):
            continue
        # Within loop/ all but the headers of another back end; driver/local/* among themselves.
        if inside.startswith("loop/") and name.startswith("loop/") and \
                (first_word(name) == first_word(inside) or first_word(name) not in LOOP_BACK_ENDS):
            continue
        if inside.startswith("driver/") and inside.count("/") == 2 and \
                os.path.dirname(name) == os.path.dirname(inside):
            continue
        report.add(path, number, "src/%s must not include %s" % (inside, name))


# ---------------------------------------------------------------------------------------- shape --

def check_shape(path, text, report):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES_MAX:
        report.add(path, len(lines) - 1, "%d lines, more than %d" % (len(lines) - 1, FILE_LINES_MAX))
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report.add(path, number, "white space at the end of the line")
        if path.endswith((".c", ".h")):
            if "\t" in line:
                report.add(path, number, "tab")
            if len(line) > COLUMNS_MAX:
                report.add(path, number, "%d columns, more than %d" % (len(line), COLUMNS_MAX))


def check_functions(path, code, report):
    """In K&R code a function's body, and nothing else, is a `{` in column 0 up to a `}` there."""
    began = None
    previous = ""
    for number, line in enumerate(code.split("\n"), 1):
        if line.rstrip() == "{" and not previous.endswith(("=", "enum", "union")):
            began = number
        elif re.match(r"[a-z_].*\)\s*\{\s*$", line) and not re.match(r"(struct|union|enum|do|extern)\b[^()]*\{", line):
            report.add(path, number, "a function's brace belongs into column 0 of its own line")
        elif line.startswith("}") and began is not None:
            if number - began + 1 > FUNCTION_LINES_MAX:
                report.add(path, began, "function of %d lines, more than %d"
                           % (number - began + 1, FUNCTION_LINES_MAX))
            began = None
        if line.strip():
            previous = line.rstrip()


def check_head(path, text, report):
    lines = text.split("\n")
    at = 1 if lines[0].startswith("#!") else 0
    if "SPDX-License-Identifier: MIT" not in "\n".join(lines[:at + 1]):
        report.add(path, 1, "the first line must hold SPDX-License-Identifier: MIT")
        return
    if path.startswith(("src/", "include/")) and not (len(lines) > 1 and lines[1].startswith("/*")):
        report.add(path, 2, "a comment that says what this file is must follow the licence")


def check_words(root, path, text, report):
    for number, line in enumerate(text.split("\n"), 1):
        match = MACHINE_PATH.search(line)
        if match and path != "tests/tidy/tidy.py":
            report.add(path, number, "a path of some machine: " + match.group(0))
        for match in re.finditer(r"\b(?:https?|s3|gs|ftp)://([^\s\"'<>)\\]+)", line):
            if re.match(r"[\[a-z0-9]", match.group(1)) and not URL_HOSTS.match(match.group(1)) \
                    and match.group(0).startswith("http"):
                report.add(path, number, "an address that is not an example: " + match.group(0))


def check_calls(path, code, report):
    for number, line in enumerate(code.split("\n"), 1):
        for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            name = match.group(1)
            if name in FORBIDDEN and path not in FORBIDDEN[name]:
                report.add(path, number, "src/ must not call %s()" % name)


def check_statuses(root, codes, report):
    """Each status that a file of src/ names, by the texts in `codes`, has a row in status.c."""
    table = os.path.join(root, STATUS_TABLE)
    named = set(re.findall(r"\{(-E\w+|LSIO_E_\w+),", read(root, STATUS_TABLE))) \
        if os.path.exists(table) else set()
    for path, code in codes:
        for number, line in enumerate(code.split("\n"), 1):
            for status in re.findall(r"-E[A-Z][A-Z0-9]+\b|\bLSIO_E_[A-Z_]+\b", line):
                if status not in named:
                    report.add(path, number, "%s has no row in %s" % (status, STATUS_TABLE))


# -------------------------------------------------------------------------------------- objects --

def source_of(object_path):
    match = re.search(r"\.dir/(?:\./)?(src/.*)\.o$", object_path)
    return match.group(1) if match else object_path


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def allowed_globals(root, report):
    """Lines `PATH SYMBOL reason`; a symbol may be a pattern."""
    allowed = []
    if not os.path.exists(os.path.join(root, ALLOWED_GLOBALS)):
        return allowed
    for number, line in enumerate(read(root, ALLOWED_GLOBALS).split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) < 3:
            report.add(ALLOWED_GLOBALS, number, "want PATH SYMBOL reason")
        else:
            allowed.append((words[0], words[1], number))
    return allowed


def check_objects(root, list_path, report):
    allowed = allowed_globals(root, report)
    used, compiled = set(), set()
    with open(list_path, encoding="utf-8") as file:
        objects = [line for line in file.read().split("\n") if line]
    source = ""
    for line in run("objdump", "-t", *objects).split("\n"):
        if re.match(r"\S.*: +file format ", line):
            source = source_of(line.split(": ")[0])
            compiled.add(source)
            continue
        match = re.match(r"[0-9a-f]+ .{7} (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$", line)
        if not match:
            continue
        section, size, symbol = match.group(1), int(match.group(2), 16), match.group(3)
        if section == "*UND*":
            name = re.sub(r"^(__isoc99_|__)|_chk$", "", symbol)
            # gcc turns some prints into others of the family; the source check gives the line.
            if name in FORBIDDEN and source not in FORBIDDEN[name]:
                report.add(source, 1, "imports " + name)
        elif size > 0 and not symbol.startswith(".") and \
                re.match(r"(\.data|\.bss|\.tdata|\.tbss)(\.|$)|\*COM\*", section) and \
                not section.startswith(".data.rel.ro"):
            symbol = re.sub(r"\.\d+$", "", symbol)
            hits = [a for a in allowed if a[0] == source and fnmatch.fnmatch(symbol, a[1])]
            used.update(hits)
            if not hits:
                report.add(source, 1, "mutable global %s (%s) that %s does not justify"
                           % (symbol, section, ALLOWED_GLOBALS))
    for path, symbol, number in allowed:
        if (path, symbol, number) not in used and \
                (path in compiled or not os.path.exists(os.path.join(root, path))):
            report.add(ALLOWED_GLOBALS, number, "there is no such global any more: %s %s" % (path, symbol))


# --------------------------------------------------------------------------------------- README --

def marked_region(text):
    """The lines between /* [readme] */ and /* [end readme] */."""
    match = re.search(r"/\* \[readme\] \*/\n(.*?)\n[ \t]*/\* \[end readme\] \*/", text, re.S)
    if not match:
        return None
    lines = match.group(1).split("\n")
    indent = min((len(l) - len(l.lstrip()) for l in lines if l.strip()), default=0)
    return [l[indent:] for l in lines]


def check_readme(root, report):
    if not os.path.exists(os.path.join(root, "README.md")):
        report.add("README.md", 1, "is missing")
        return
    text = read(root, "README.md")
    found = False
    for match in re.finditer(r"<!-- code of (\S+) -->\n```c\n(.*?)\n```", text, re.S):
        found = True
        line = text[:match.start()].count("\n") + 1
        source = match.group(1)
        region = marked_region(read(root, source)) if os.path.exists(os.path.join(root, source)) else None
        shown = match.group(2).split("\n")
        if region is None:
            report.add("README.md", line, "%s has no region between [readme] and [end readme]" % source)
        elif region != shown:
            report.add("README.md", line, "the code differs from that of %s" % source)
        if len(shown) > 25:
            report.add("README.md", line, "%d lines of code, more than 25" % len(shown))
    if not found:
        report.add("README.md", 1, "shows no code of a compiled file (<!-- code of PATH -->)")
    for match in re.finditer(r"\]\(([^)#:]+)(#[^)]*)?\)", text):
        if not os.path.exists(os.path.join(root, match.group(1))):
            report.add("README.md", text[:match.start()].count("\n") + 1,
                       "points to %s, which is not there" % match.group(1))


# ---------------------------------------------------------------------------------------- whole --

def check_tree(root, report):
    for name in sorted(os.listdir(root)):
        if not (name in TOP_LEVEL or name.startswith(".") or name.startswith("build")):
            report.add(name, 1, "not one of the top-level entries of DESIGN")
    codes = []
    for path in files_below(root, "src"):
        if path.endswith((".c", ".h")):
            text = read(root, path)
            codes.append((path, code_only(text)))
            check_includes(path, text, report)
            check_calls(*codes[-1], report)
    check_statuses(root, codes, report)
    for path in files_below(root, "include", "src", "tests", "bench", "examples"):
        if "/corpus/" in path or path.endswith((".txt", ".bin")):
            continue
        text = read(root, path)
        check_words(root, path, text, report)
        if not path.endswith((".c", ".h", ".cc", ".py", ".sh", "CMakeLists.txt", ".cmake")):
            continue
        check_shape(path, text, report)
        check_head(path, text, report)
        if path.endswith((".c", ".h")):
            check_functions(path, code_only(text), report)
    for path in files_below(root, "examples"):
        text = read(root, path)
        for number, line in enumerate(text.split("\n"), 1):
            if path.endswith(".c") and re.match(r'#include "(?!lsio/)', line):
                report.add(path, number, "an example includes what a user can include only")
        if path == "examples/hello_read.c" and text.count("\n") > 60:
            report.add(path, 61, "%d lines, more than 60" % text.count("\n"))
    check_words(root, "README.md", read(root, "README.md")
                if os.path.exists(os.path.join(root, "README.md")) else "", report)
    check_readme(root, report)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root")
    parser.add_argument("--objects", help="list of the library's object files")
    arguments = parser.parse_args()
    report = Report()
    check_tree(arguments.root, report)
    if arguments.objects:
        check_objects(arguments.root, arguments.objects, report)
    for violation in report.violations:
        print(violation)
    print("tidy: %d violations" % len(report.violations))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
