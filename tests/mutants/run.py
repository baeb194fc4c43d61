#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Plants bugs, one at a time, in a copy of the source, and looks whether the tests find them.

    run.py [option]... [NAME]...     all mutants, or those named
      --list-file LIST    only those of tests/mutants/LIST.py
      --list              say what there is, and do nothing
      --jobs N            so many compilers, and so many tests, at a time (default: processors)

Everything lies in build/mutants of the source tree: `tree` is the copy; none, address and thread
are its builds, one for each sanitizer that a mutant asks for; a log per mutant is in `logs`. They
are kept, and a later run compiles only what has changed.

First every test is run without a bug, and must pass. Then, per mutant: its text is replaced in the
copy, the programs of its tests are built and set aside, and the text is put back. While those run
the next mutant is built. The exit status is 0 only if every mutant was found.
"""
import argparse
import concurrent.futures
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build", "mutants")
TREE = os.path.join(WORK, "tree")
LISTS = ("engine", "http")
LEFT_OUT = {".git", ".cache", "__pycache__"}
SKIPPED = 77

# The tests that a sanitizer is wanted for need neither the network nor the codecs.
SMALL = ["-DLSIO_USE_%s=OFF" % name for name in ("CURL", "ZSTD", "LZ4", "DEFLATE", "ZLIB", "BLOSC")]
OPTIONS = {
    "none": [],
    "address": ["-DLSIO_SANITIZER=address"] + SMALL,
    "thread": ["-DLSIO_SANITIZER=thread"] + SMALL,
}


class Trouble(Exception):
    """Why the check itself cannot be made."""


# ---------------------------------------------------------------------------------- the copy --


def files_below(root):
    """Relative paths of what belongs to the source."""
    found = set()
    for directory, folders, files in os.walk(root):
        top = directory == root
        folders[:] = [
            name for name in folders
            if name not in LEFT_OUT and not (top and name.startswith("build"))
        ]
        found.update(os.path.relpath(os.path.join(directory, name), root) for name in files)
    return found


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def tree_refresh():
    """Makes the copy equal to the source; equal files keep their times, and what was built."""
    wanted = files_below(ROOT)
    for path in files_below(TREE) - wanted:
        os.remove(os.path.join(TREE, path))
    for path in sorted(wanted):
        source, copy = os.path.join(ROOT, path), os.path.join(TREE, path)
        if os.path.exists(copy) and read_bytes(source) == read_bytes(copy):
            continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(source, copy)
        shutil.copymode(source, copy)


class Planted:
    """The copy while a mutant is in it."""

    def __init__(self, mutant):
        self.path = os.path.join(TREE, "src", mutant.file)
        self.before = read_bytes(self.path)
        count = self.before.count(mutant.old.encode())
        if count != 1:
            raise Trouble("%s: its text is in src/%s %d times" % (mutant.name, mutant.file, count))
        self.after = self.before.replace(mutant.old.encode(), mutant.new.encode())

    def write(self, content):
        with open(self.path, "wb") as file:
            file.write(content)

    def __enter__(self):
        self.write(self.after)

    def __exit__(self, *_):
        self.write(self.before)


# -------------------------------------------------------------------------------- build, run --


def run_logged(command, log):
    log.write("$ %s\n" % " ".join(command))
    log.flush()
    return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


class Build:
    """A build tree of the copy. The tests' commands and surroundings are ctest's."""

    def __init__(self, sanitizer, jobs):
        self.directory = os.path.join(WORK, sanitizer)
        self.jobs = jobs
        self.tests = {}
        self.prefix = []
        # ThreadSanitizer cannot start on kernels that randomize more than 28 bits of addresses.
        fixed = ["setarch", "-R"]
        if sanitizer == "thread" and shutil.which("setarch") and \
                subprocess.run(fixed + ["true"], check=False).returncode == 0:
            self.prefix = fixed
        with open_log("configure-" + sanitizer) as log:
            command = ["cmake", "-G", "Ninja", "-S", TREE, "-B", self.directory,
                       "-DLSIO_WERROR=OFF", "-DLSIO_BUILD_BENCH=OFF", "-DLSIO_BUILD_EXAMPLES=OFF"]
            if run_logged(command + OPTIONS[sanitizer], log):
                raise Trouble("cmake failed: see %s" % log.name)

    def make(self, tests, log):
        targets = sorted({test.target for test in tests})
        command = ["cmake", "--build", self.directory, "-j", str(self.jobs), "--target"]
        return run_logged(command + targets, log) == 0

    def learn(self):
        """What ctest knows; only of programs that are there."""
        text = subprocess.run(["ctest", "--test-dir", self.directory, "--show-only=json-v1"],
                              stdout=subprocess.PIPE, check=True).stdout
        for test in json.loads(text)["tests"]:
            properties = {each["name"]: each["value"] for each in test["properties"]}
            self.tests[test["name"]] = (test.get("command"), properties.get("ENVIRONMENT", []))

    def set_aside(self, tests, folder):
        """Copies the tests' programs: their next build must not disturb them."""
        os.makedirs(folder, exist_ok=True)
        for test in tests:
            shutil.copy2(self.tests[test.name][0][0], os.path.join(folder, test.target))

    def run(self, test, folder, seconds, log):
        """Runs a program that was set aside; its exit status, or None if it did not end."""
        _, surroundings = self.tests[test.name]
        environment = dict(os.environ)
        environment.update(line.split("=", 1) for line in surroundings)
        environment.update(test.env)
        log.write("$ %s\n" % test.key)
        log.flush()
        # a session of its own, so that the children of a test that hangs end with it
        process = subprocess.Popen(self.prefix + [os.path.join(folder, test.target)],
                                   stdout=log, stderr=subprocess.STDOUT, env=environment,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def open_log(name):
    os.makedirs(os.path.join(WORK, "logs"), exist_ok=True)
    return open(os.path.join(WORK, "logs", name + ".log"), "w", encoding="utf-8")


# ------------------------------------------------------------------------------------ judging --

FIRST_SECONDS = 300  # for a test without a bug
TIMES_SLOWER = 10  # may a test with a bug be, and a little more


def baseline(build, tests, pool):
    """The tests without a bug: key -> seconds it took."""
    folder = os.path.join(build.directory, "programs", "none")
    with open_log("baseline-" + os.path.basename(build.directory)) as log:
        if not build.make(tests.values(), log):
            raise Trouble("the build failed: see %s" % log.name)
    build.learn()
    build.set_aside(tests.values(), folder)

    def once(test):
        began = time.monotonic()
        name = "baseline-%s-%s" % (os.path.basename(build.directory), test.key.replace(" ", "-"))
        with open_log(name) as log:
            status = build.run(test, folder, FIRST_SECONDS, log)
            if status:
                said = "is skipped here" if status == SKIPPED else "fails"
                raise Trouble("%s %s without a bug: see %s" % (test.key, said, log.name))
            if status is None:
                raise Trouble("%s does not end without a bug: see %s" % (test.key, log.name))
        return time.monotonic() - began

    return dict(zip(tests, pool.map(once, tests.values())))


def judge(build, mutant, folder, times, log):
    """(found, what is to be said)"""
    for test in mutant.tests:
        began = time.monotonic()
        limit = 10 + TIMES_SLOWER * times[test.key]
        status = build.run(test, folder, limit, log)
        spent = time.monotonic() - began
        if status is None:
            said = "%s did not end in %.0f s" % (test.name, limit)
            return mutant.hangs, said if mutant.hangs else said + ", and need not find it so"
        if status not in (0, SKIPPED):
            return True, "%s, %.1f s" % (test.name, spent)
    return False, "passed: " + ", ".join(test.key for test in mutant.tests)


def judge_all(sanitizer, mutants, jobs):
    """Plants them one after the other; yields (mutant, found, what is to be said)."""
    build = Build(sanitizer, jobs)
    tests = {test.key: test for mutant in mutants for test in mutant.tests}

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        times = baseline(build, tests, pool)
        waiting = []

        def work(mutant, folder):
            with open_log(mutant.name + "-tests") as log:
                try:
                    return judge(build, mutant, folder, times, log)
                finally:
                    shutil.rmtree(folder)

        for mutant in mutants:
            folder = os.path.join(build.directory, "programs", mutant.name)
            with open_log(mutant.name) as log, Planted(mutant):
                made = build.make(mutant.tests, log)
                if made:
                    build.set_aside(mutant.tests, folder)
            if made:
                waiting.append((mutant, pool.submit(work, mutant, folder)))
            else:
                yield mutant, False, "does not compile: see %s" % log.name
            while waiting and (len(waiting) > jobs or waiting[0][1].done()):
                mutant, future = waiting.pop(0)
                yield (mutant, *future.result())
        for mutant, future in waiting:
            yield (mutant, *future.result())


# --------------------------------------------------------------------------------------- main --


def load(lists):
    mutants = []
    for name in lists:
        mutants += importlib.import_module(name).MUTANTS
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            raise Trouble("two mutants are called %s" % name)
    return mutants


def chosen(mutants, names):
    if not names:
        return mutants
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown:
        raise Trouble("no such mutant: %s" % ", ".join(sorted(unknown)))
    return [mutant for mutant in mutants if mutant.name in names]


def check(mutants, jobs):
    began = time.monotonic()
    missed = []
    os.makedirs(TREE, exist_ok=True)
    tree_refresh()
    for mutant in mutants:
        Planted(mutant)  # all texts are found before anything is compiled
    for sanitizer in OPTIONS:
        here = [mutant for mutant in mutants if mutant.sanitizer == sanitizer]
        for mutant, found, said in judge_all(sanitizer, here, jobs) if here else ():
            print("%-7s %-36s %s" % ("found" if found else "MISSED", mutant.name, said), flush=True)
            if not found:
                print("        src/%s: %s" % (mutant.file, mutant.why), flush=True)
                missed.append(mutant.name)
    print("mutants: %d of %d found in %.0f s%s" % (
        len(mutants) - len(missed), len(mutants), time.monotonic() - began,
        "; missed: " + ", ".join(missed) if missed else ""))
    return 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list-file", choices=LISTS)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    try:
        mutants = chosen(load([options.list_file] if options.list_file else LISTS), options.names)
        if options.list:
            for mutant in mutants:
                print("%-36s src/%-28s %s" % (mutant.name, mutant.file, mutant.why))
            return 0
        return check(mutants, max(1, options.jobs))
    except Trouble as trouble:
        print("mutants: %s" % trouble, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
