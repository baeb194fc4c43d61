#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the test data into the servers that servers.sh has started, through clients that are not ours.

    upload.py DIRECTORY                        all of it
    upload.py DIRECTORY NAME KEY ID SIZE       one object, put in the place of what was there

DIRECTORY/env says which servers there are; what it adds (keys of a user made here, a signature) it
appends there. For each, DIRECTORY/manifest.NAME gets a line per object:

    ID SIZE SHA256 KEY

KEY is percent-encoded, but for unreserved characters and '/'. An object's bytes are the fault server's
pattern of its ID (tests/support/server/fault_server.h), so that a test can check any range. Objects
that a server refuses are not in its manifest; they are named on the output with the server's reason.
Every object is read back and compared before it is entered. Servers that check signatures must refuse
a wrong one.
"""

import array
import base64
import datetime
import functools
import hashlib
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

OBJECTS = 200
PATTERN_STEP = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1

# Keys that clients tend to normalise, decode twice, encode too little or cut.
ODD_KEYS = [
    "a//b", "/leading", "trailing/", "./x", "x/./y", "x/../y", "..", ".hidden",
    "+=%/\u00e9~ ", "plus+plus", "a b", " leading space", "percent%20escape", "percent%", "100%25",
    "query?x=1&y=2", "hash#frag", "semi;colon:at@comma,", "quote'\"back\\slash", "<xml>&amp;",
    "(paren)*star!dollar$", "brackets[0]{1}", "pipe|caret^tick`", "tab\tin", "line\nfeed",
    "\u65e5\u672c\u8a9e/\u30ad\u30fc", "emoji \U0001f600", "e\u0301 decomposed", "~tilde/~",
    "long/" + "/".join(["n" * 199] * 5)[:1019], "s" * 250, "zarr.json", "c/0/0/0", ".zarray", "0.0.0",
]


def pattern(identity, size):
    """server_pattern(identity, 0, size)"""
    word = (identity << 44) * PATTERN_STEP & WORD
    words = array.array("Q", bytes(8 * ((size + 7) // 8)))
    for i in range(len(words)):
        words[i] = word
        word = word + PATTERN_STEP & WORD
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()[:size]


def objects():
    """(id, key, bytes) of all: the odd keys, then ordinary ones of many sizes."""
    sizes = [0, 1, 7, 4095, 4096, 4097, 65536, 100000, 131072, 1 << 20]
    keys = ODD_KEYS + ["plain/%03d" % i for i in range(len(ODD_KEYS), OBJECTS)]
    for i, key in enumerate(keys, 1):
        size = sizes[i % len(sizes)] if i > len(ODD_KEYS) else 1000 + i
        if i == OBJECTS:
            size = (8 << 20) + 5
        yield i, key, pattern(i, size)


def fetch(method, url, body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


# ---------------------------------------------------------------------------- one for each server --

class Nginx:
    """Files below its root, so only keys that are paths of files."""

    def __init__(self, env):
        self.root, self.url = env["LSIO_SERVERS_NGINX_ROOT"], env["LSIO_SERVERS_NGINX_HTTP"]

    def create(self, _):
        pass

    def put(self, key, data):
        parts = key.split("/")
        if not all(0 < len(part.encode()) <= 255 and part not in (".", "..") for part in parts):
            raise ValueError("is no path of a file")
        path = os.path.join(self.root, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)

    def get(self, key):
        return fetch("GET", self.url + "/" + urllib.parse.quote(key, safe="/"))


def s3_client(endpoint, region, access_key, secret_key, attempts=1):
    import boto3
    import botocore.config
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=botocore.config.Config(s3={"addressing_style": "path"},
                                      retries={"total_max_attempts": attempts}))


class S3:
    """By boto3."""

    def __init__(self, env, name):
        self.env, self.name, self.bucket = env, name, env[name + "BUCKET"]

    def client(self, secret_key=None):
        env, name = self.env, self.name
        return s3_client(env[name + "ENDPOINT"], env[name + "REGION"], env[name + "ACCESS_KEY"],
                         secret_key or env[name + "SECRET_KEY"])

    def create(self, _):
        import botocore.exceptions
        self.client().create_bucket(Bucket=self.bucket)
        try:
            self.client("wrong").list_objects_v2(Bucket=self.bucket)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "SignatureDoesNotMatch":
                return
            raise
        raise RuntimeError("a wrong signature is accepted")

    @functools.cached_property
    def own_client(self):
        return self.client()

    def put(self, key, data):
        self.own_client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key):
        return self.own_client.get_object(Bucket=self.bucket, Key=key)["Body"].read()


def crc(polynomial, bits, data):
    """As S3 sends it: bit-reflected, ones before and after, big-endian, in base64."""
    ones = (1 << bits) - 1
    state = ones
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (polynomial if state & 1 else 0)
    return base64.b64encode((state ^ ones).to_bytes(bits // 8, "big")).decode()


class Versitygw(S3):
    """With checksums of all kinds in turn, which it compares with its own."""

    def __init__(self, env):
        super().__init__(env, "LSIO_SERVERS_VERSITYGW_")
        self.count = 0

    def put(self, key, data):
        kinds = [{"ChecksumAlgorithm": "CRC32"}, {"ChecksumAlgorithm": "SHA1"},
                 {"ChecksumAlgorithm": "SHA256"}]
        if len(data) < 5000:  # computed here, for boto3 needs another library for these
            kinds += [{"ChecksumCRC32C": crc(0x82F63B78, 32, data)},
                      {"ChecksumCRC64NVME": crc(0x9A6C9329AC4BC9B5, 64, data)}]
        self.count += 1
        self.own_client.put_object(Bucket=self.bucket, Key=key, Body=data,
                                   **kinds[self.count // 2 % len(kinds)])


class Moto(S3):
    """The first four actions need no signature: a user, what it may do, its keys, a role."""

    def create(self, add):
        import boto3
        iam = boto3.client("iam", endpoint_url=self.env[self.name + "ENDPOINT"],
                           region_name=self.env[self.name + "REGION"], aws_access_key_id="none",
                           aws_secret_access_key="none")
        everything = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
        iam.create_user(UserName="lsio")
        iam.put_user_policy(UserName="lsio", PolicyName="everything", PolicyDocument=everything)
        key = iam.create_access_key(UserName="lsio")["AccessKey"]
        role = iam.create_role(RoleName="lsio", AssumeRolePolicyDocument=everything)["Role"]["Arn"]
        add(self.name + "ACCESS_KEY", key["AccessKeyId"])
        add(self.name + "SECRET_KEY", key["SecretAccessKey"])
        add(self.name + "ROLE", role)
        super().create(add)


class Azurite:
    """By azure-storage-blob."""

    def __init__(self, env):
        self.env = env

    def value(self, variable):
        return self.env["LSIO_SERVERS_AZURITE_" + variable]

    def create(self, add):
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobServiceClient, generate_container_sas
        service = BlobServiceClient(self.value("ENDPOINT"), credential=self.value("KEY"))
        service.create_container(self.value("CONTAINER"))
        add("LSIO_SERVERS_AZURITE_SAS", generate_container_sas(
            self.value("ACCOUNT"), self.value("CONTAINER"), self.value("KEY"), permission="rl",
            expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)))
        try:
            list(BlobServiceClient(self.value("ENDPOINT"), credential="d3Jvbmc=").list_containers())
        except HttpResponseError as error:
            if error.error_code == "AuthorizationFailure":
                return
            raise
        raise RuntimeError("a wrong signature is accepted")

    @functools.cached_property
    def container(self):
        from azure.storage.blob import ContainerClient
        return ContainerClient(self.value("ENDPOINT"), self.value("CONTAINER"),
                               credential=self.value("KEY"))

    def put(self, key, data):
        self.container.upload_blob(key, data, overwrite=True)

    def get(self, key):
        return self.container.download_blob(key).readall()


class FakeGcs:
    """By the JSON API."""

    def __init__(self, env):
        self.url, self.bucket = env["LSIO_SERVERS_FAKE_GCS_ENDPOINT"], env["LSIO_SERVERS_FAKE_GCS_BUCKET"]

    def create(self, _):
        fetch("POST", self.url + "/storage/v1/b?project=lsio", b'{"name": "%s"}' % self.bucket.encode(),
              {"Content-Type": "application/json"})

    def put(self, key, data):
        fetch("POST", "%s/upload/storage/v1/b/%s/o?uploadType=media&name=%s"
              % (self.url, self.bucket, urllib.parse.quote(key, safe="")), data,
              {"Content-Type": "application/octet-stream"})

    def get(self, key):
        return fetch("GET", "%s/storage/v1/b/%s/o/%s?alt=media"
                     % (self.url, self.bucket, urllib.parse.quote(key, safe="")))


SERVERS = [
    ("nginx", "LSIO_SERVERS_NGINX_HTTP", Nginx),
    ("versitygw", "LSIO_SERVERS_VERSITYGW_ENDPOINT", Versitygw),
    ("moto", "LSIO_SERVERS_MOTO_ENDPOINT", lambda env: Moto(env, "LSIO_SERVERS_MOTO_")),
    ("azurite", "LSIO_SERVERS_AZURITE_ENDPOINT", Azurite),
    ("fake-gcs", "LSIO_SERVERS_FAKE_GCS_ENDPOINT", FakeGcs),
]

# ------------------------------------------------------------------------------------------- whole --


def attempt(action, refused, key):
    """Its result; None if it failed, which is noted."""
    try:
        return action()
    except Exception as error:  # whatever each client throws: the server does not take the key
        refused[key] = " ".join(str(error).split()) or type(error).__name__
        return None


def upload(directory, name, store, things):
    """All are written before any is read, so that a key that overwrites another's object is found."""
    refused, count = {}, 0
    for _, key, data in things:
        attempt(lambda: store.put(key, data), refused, key)
    with open(os.path.join(directory, "manifest." + name), "w", encoding="ascii") as manifest:
        for identity, key, data in things:
            if key in refused:
                continue
            if attempt(lambda: store.get(key), refused, key) != data:
                refused.setdefault(key, "is not read back as it was")
                continue
            count += 1
            manifest.write("%d %d %s %s\n" % (identity, len(data), hashlib.sha256(data).hexdigest(),
                                              urllib.parse.quote(key, safe="/~")))
    print("== %s: %d objects" % (name, count))
    for key, reason in refused.items():
        print("   not %r: %s" % (key if len(key) < 60 else key[:57] + "...", reason[:120]))
    return count >= OBJECTS - len(ODD_KEYS)


def upload_all(directory, path, env):
    things = list(objects())
    good = True
    with open(path, "a", encoding="utf-8") as file:
        def add(variable, value):
            env[variable] = value
            file.write("%s=%s\n" % (variable, value))
        for name, variable, make in SERVERS:
            if variable in env:
                store = make(env)
                store.create(add)
                good = upload(directory, name, store, things) and good
                add("LSIO_SERVERS_%s_MANIFEST" % name.upper().replace("-", "_"),
                    os.path.join(directory, "manifest." + name))
    return good


def main():
    directory = sys.argv[1]
    path = os.path.join(directory, "env")
    with open(path, encoding="utf-8") as file:
        env = dict(line.rstrip("\n").split("=", 1) for line in file)
    if len(sys.argv) == 2:
        return 0 if upload_all(directory, path, env) else 1
    name, key, identity, size = sys.argv[2:]
    make = next(make for known, _, make in SERVERS if known == name)
    make(env).put(key, pattern(int(identity), int(size)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
