#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/s3_ranges.c against versitygw, with keys and server from the environment alone.

    example.py EXAMPLE

It exits with 77 (skipped) where no server runs.
"""

import os
import subprocess
import sys

from upload import ODD_KEYS, pattern

NAME = "LSIO_SERVERS_VERSITYGW_"
KEYS = ["a//b", "./x", "+=%/\u00e9~ ", "zarr.json"]
BYTES = 16


def main():
    if NAME + "ENDPOINT" not in os.environ:
        print("skipped: no servers run (tests/run.sh --servers)")
        return 77
    env = dict(os.environ, AWS_ENDPOINT_URL=os.environ[NAME + "ENDPOINT"],
               AWS_REGION=os.environ[NAME + "REGION"],
               AWS_ACCESS_KEY_ID=os.environ[NAME + "ACCESS_KEY"],
               AWS_SECRET_ACCESS_KEY=os.environ[NAME + "SECRET_KEY"])
    run = [sys.argv[1], "s3://" + os.environ[NAME + "BUCKET"]]
    want = ""
    for key in KEYS:
        identity = ODD_KEYS.index(key) + 1
        data = pattern(identity, 1000 + identity)
        for what, part in (("begins", data[:BYTES]), ("ends", data[-BYTES:])):
            want += "%s %s %s\n" % (key, what, part.hex(" "))
    done = subprocess.run(run + KEYS, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stdout != want:
        print("exit status %d, output\n%s%swhere this should be\n%s"
              % (done.returncode, done.stdout, done.stderr, want))
        return 1
    env["AWS_SECRET_ACCESS_KEY"] = "another"
    done = subprocess.run(run + KEYS[:1], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 1 or "EACCES" not in done.stdout or "403" not in done.stderr:
        print("with a wrong key: exit status %d\n%s%s" % (done.returncode, done.stdout, done.stderr))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
