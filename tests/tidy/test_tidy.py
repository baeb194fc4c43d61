#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks every rule of tidy.py once, in a tree of its own, and sees that each is reported."""

import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "/* SPDX-License-Identifier: MIT */\n/* What this is. */\n"
README = "<!-- code of examples/hello_read.c -->\n```c\nread();\n```\n"
HELLO = HEAD + '#include "lsio/lsio.h"\n/* [readme] */\n    read();\n    /* [end readme] */\n'

# Files of a tree, and what tidy.py has to say about them ("" for nothing).
CASES = [
    ({}, ""),
    ({"src/plan/plan.c": HEAD + '#include "engine/engine.h"\n'}, "src/plan/plan.c must not include"),
    ({"src/engine/a.c": HEAD + '#include "driver/local/local.h"\n'}, "must not include driver/local"),
    ({"src/engine/registry.c": HEAD + '#include "driver/local/local.h"\n'}, ""),
    ({"src/driver/local/a.c": HEAD + '#include "driver/local/local.h"\n'}, ""),
    ({"src/driver/local/a.c": HEAD + '#include "driver/memory/memory.h"\n'}, "must not include"),
    ({"src/loop/epoll.c": HEAD + '#include "loop/uring.h"\n'}, "must not include loop/uring.h"),
    ({"src/loop/epoll.c": HEAD + '#include "loop/epoll_pool.h"\n'}, ""),
    ({"src/stage/zstd.c": HEAD + '#include "chain/chain.h"\n'}, "must not include chain/chain.h"),
    ({"src/other/a.c": HEAD}, "no rule says"),
    ({"src/base/a.c": HEAD + '#include "error.h"\n'}, "paths are from src/"),
    ({"src/loop/epoll.c": HEAD + "#include <liburing.h>\n"}, "only src/loop/uring* may include"),
    ({"src/driver/local/a.c": HEAD + "#include <curl/curl.h>\n"}, "only src/driver/http/* may"),
    ({"src/base/a.c": HEAD + "int x;\n" * 900}, "lines, more than 800"),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n" + "    ;\n" * 69 + "}\n"}, "function of 71 lines"),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n" + "    ;\n" * 68 + "}\n"}, ""),
    ({"src/base/a.c": HEAD + "int f(void) {\n}\n"}, "brace belongs into column 0"),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n}   \n"}, "white space at the end"),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n\treturn 0;\n}\n"}, "tab"),
    ({"src/base/a.c": HEAD + "int " + "x" * 100 + ";\n"}, "105 columns"),
    ({"src/base/a.c": "int x;\n"}, "SPDX"),
    ({"src/base/a.c": "/* SPDX-License-Identifier: MIT */\nint x;\n"}, "must follow the licence"),
    ({"src/base/a.c": HEAD + 'int f(void)\n{\n    printf("x");\n}\n'}, "must not call printf()"),
    ({"src/base/a.c": HEAD + '/* printf("x") */\n'}, ""),
    ({"src/base/a.c": HEAD + 'int f(void)\n{\n    getenv("x");\n}\n'}, "must not call getenv()"),
    ({"src/engine/config.c": HEAD + 'int f(void)\n{\n    getenv("x");\n}\n'}, ""),
    ({"src/base/a.c": HEAD + "/* see /home/" + "me/x */\n"}, "a path of some machine"),
    ({"src/base/a.c": HEAD + "/* see https:" + "//internal.net/x */\n"}, "an address that is not"),
    ({"src/base/a.c": HEAD + "/* see https:" + "//example.org/x */\n"}, ""),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n    return -EIO;\n}\n"}, "-EIO has no row"),
    ({"src/base/a.c": HEAD + "int f(void)\n{\n    return -EIO;\n}\n",
      "src/base/status.c": HEAD + 'struct entry table[] = {{-EIO, "EIO"}};\n'}, ""),
    ({"notes/a.txt": "x\n"}, "not one of the top-level entries"),
    ({"README.md": README.replace("read();", "write();")}, "differs from that of"),
    ({"README.md": "[x](src/none.md)\n" + README}, "which is not there"),
    ({"README.md": "nothing\n"}, "shows no code"),
    ({"examples/hello_read.c": HELLO + "\n" * 60}, "more than 60"),
    ({"examples/a.c": HEAD + '#include "engine/engine.h"\n'}, "what a user can include only"),
]

# C code, and what is said about its object file.
OBJECT_CASES = [
    ("static const char *const names[] = {\"a\"};\nconst char *name(int i)\n"
     "{\n    return names[i];\n}\n", ""),
    ("int counter;\n", "mutable global counter"),
    ("int f(void)\n{\n    static int calls = 3;\n    return calls++;\n}\n", "mutable global calls"),
    ("_Thread_local int last;\n", "mutable global last"),
    ("_Thread_local int allowed;\n", ""),
    ("extern int puts(const char *);\nint f(void)\n{\n    return (puts)(\"x\");\n}\n", "imports puts"),
]


def write_tree(root, files):
    tree = {"README.md": README, "examples/hello_read.c": HELLO}
    tree.update(files)
    for path, text in tree.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)


def tidy(root, *options):
    result = subprocess.run([sys.executable, os.path.join(HERE, "tidy.py"), root, *options],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


def run_object_case(root, code):
    """Compiles `code` as src/base/a.c; the symbol `allowed` is on the list of those allowed."""
    source = os.path.join(root, "src/base/a.c")
    target = os.path.join(root, "build/x.dir/src/base/a.c.o")
    os.makedirs(os.path.dirname(target))
    listing = "src/base/a.c allowed for the test\n" if "allowed" in code else ""
    write_tree(root, {"src/base/a.c": HEAD + code, "tests/tidy/allowed_globals.txt": listing})
    subprocess.run([os.environ.get("CC", "cc"), "-fPIC", "-w", "-c", source, "-o", target], check=True)
    with open(os.path.join(root, "build/objects"), "w", encoding="utf-8") as file:
        file.write(target + "\n")
    return tidy(root, "--objects", os.path.join(root, "build/objects"))


def main():
    failures = 0
    cases = [(files, None, want) for files, want in CASES]
    cases += [(None, code, want) for code, want in OBJECT_CASES]
    for files, code, want in cases:
        root = tempfile.mkdtemp(prefix="lsio-tidy-")
        try:
            if code is None:
                write_tree(root, files)
                status, output = tidy(root)
            else:
                status, output = run_object_case(root, code)
        finally:
            shutil.rmtree(root)
        good = (status == 1 and want in output) if want else status == 0
        if not good:
            failures += 1
            print("case %r\n  wanted: %r\n  got:    %s" % (files or code, want, output))
    print("%d cases, %d failures" % (len(cases), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
