#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fault server as a relay before versitygw, read through by boto3: signatures hold, since Host is
left as it was, and a client that retries gets every object's bytes whatever happens on the way.

    relay.py FAULT_SERVER

It runs under servers.sh's Python, and exits with 77 (skipped) where no server runs.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.parse

ATTEMPTS = 20
NAME = "LSIO_SERVERS_VERSITYGW_"


def read_whole(client, bucket, key):
    """boto3 retries until it has a head; a body that breaks off is the caller's to ask for again."""
    import botocore.exceptions
    for attempt in range(ATTEMPTS):
        try:
            return client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (botocore.exceptions.IncompleteReadError, botocore.exceptions.ResponseStreamingError,
                botocore.exceptions.ReadTimeoutError, botocore.exceptions.HTTPClientError):
            pass
    raise RuntimeError("no whole answer for %r in %d attempts" % (key, ATTEMPTS))


def main():
    if NAME + "ENDPOINT" not in os.environ:
        print("skipped: no servers run (tests/run.sh --servers)")
        return 77
    python = os.environ["LSIO_SERVERS_PYTHON"]
    if os.path.abspath(sys.executable) != python:
        os.execv(python, [python] + sys.argv)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from upload import s3_client
    upstream = urllib.parse.urlsplit(os.environ[NAME + "ENDPOINT"]).netloc
    server = subprocess.Popen([sys.argv[1], "--relay", upstream, "--faults", "1:100"],
                              stdout=subprocess.PIPE, text=True)
    wrong = 0
    try:
        client = s3_client(server.stdout.readline().strip(), os.environ[NAME + "REGION"],
                           os.environ[NAME + "ACCESS_KEY"], os.environ[NAME + "SECRET_KEY"], ATTEMPTS)
        with open(os.environ[NAME + "MANIFEST"], encoding="ascii") as manifest:
            for line in manifest:
                _, size, digest, key = line.split()
                data = read_whole(client, os.environ[NAME + "BUCKET"], urllib.parse.unquote(key))
                if len(data) != int(size) or hashlib.sha256(data).hexdigest() != digest:
                    print("wrong bytes:", key)
                    wrong += 1
    finally:
        server.send_signal(signal.SIGTERM)
        report = server.stdout.read()
        server.wait()
    print(report.strip())
    happened = json.loads(report)["random"]
    if len(happened) < 5:
        print("too few kinds of faults happened to prove anything")
        wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
