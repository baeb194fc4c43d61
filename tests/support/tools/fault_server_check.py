#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fault_server_check.py FAULT_SERVER: the program starts, serves over TLS as its options say, and tells
what happened when it is ended."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

REQUESTS = 40


def main():
    server = subprocess.Popen([sys.argv[1], "--tls", "--style", "s3", "--pattern", "/b/k=100000",
                               "--bandwidth", "50000000", "--latency-ms", "1",
                               "--faults", "3:300:slowdown,error"],
                              stdout=subprocess.PIPE, text=True)
    refused = 0
    try:
        url = server.stdout.readline().strip()
        context = ssl.create_default_context(cafile=server.stdout.readline().strip())
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
        assert url.startswith("https://127.0.0.1:"), url
        for i in range(REQUESTS):
            request = urllib.request.Request(url + "/b/k", headers={"Range": "bytes=%d-" % (i * 2000)})
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                    assert answer.status == 206 and len(answer.read()) == 100000 - i * 2000
            except urllib.error.HTTPError as error:
                assert error.code in (500, 503), error.code
                refused += 1
    finally:
        server.send_signal(signal.SIGTERM)
        report = json.loads(server.stdout.read())
        status = server.wait()
    assert status == 0, status
    assert report["requests"] == REQUESTS, report
    assert sum(report["random"].values()) == refused > 0, report
    unknown = subprocess.run([sys.argv[1], "--nonsense"], stderr=subprocess.PIPE, check=False)
    assert unknown.returncode == 2, unknown
    return 0


if __name__ == "__main__":
    sys.exit(main())
