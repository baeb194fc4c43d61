#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README's table of options is the one that the program http-options prints.

    readme_options.py README PROGRAM            fails if it is not
    readme_options.py README PROGRAM --write    puts it there
"""
import subprocess
import sys

BEGIN = "<!-- options: made by tests/support/tools/readme_options.py -->\n"
END = "<!-- end of options -->\n"


def main():
    path, program = sys.argv[1:3]
    table = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    old, after = rest.split(END)
    if sys.argv[3:] == ["--write"]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before + BEGIN + table + END + after)
    elif old != table:
        print("README.md has another table of options; run readme_options.py %s %s --write"
              % (path, program))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
