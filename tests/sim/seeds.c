/* SPDX-License-Identifier: MIT */
/*
 * Design: seeds are played in children, a slice each, so a crash costs the rest of its slice only.
 * A child tells its parent by shared memory which seed it plays.
 */
#define _GNU_SOURCE
#include "seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenario.h"

#define SLICE         100
#define SLICE_SECONDS 300
#define FAILURES_MAX  20 /* then it is no use to go on */

struct report {
    uint64_t seed;
    uint64_t trace;
    uint64_t seen; /* scenario_seen of all */
};

static struct {
    const struct scenario_world *world;
    uint64_t usual;
    struct report *report;
} seeds;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* Plays seeds in a child; true if all passed. */
static bool play_slice(uint64_t first, uint64_t count)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        alarm(SLICE_SECONDS);
        for (uint64_t seed = first; seed < first + count; seed++) {
            seeds.report->seed = seed;
            seeds.report->trace = scenario_run(seeds.world, seed, false);
            seeds.report->seen |= scenario_seen;
        }
        exit(0); /* and not _exit(): leaks are looked for, and coverage is written */
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    fprintf(stderr, "seed %llu: %s %d; again: tests/run.sh --sim 1 --seed %llu\n",
            (unsigned long long)seeds.report->seed, WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            (unsigned long long)seeds.report->seed);
    return false;
}

void seeds_pass(void **state)
{
    uint64_t first = setting("LSIO_SIM_SEED", 1), count = setting("LSIO_SIM_SEEDS", seeds.usual);
    uint64_t failed = 0;

    (void)state;
    for (uint64_t at = 0; at < count && failed < FAILURES_MAX;) {
        uint64_t some = count - at < SLICE ? count - at : SLICE;
        if (play_slice(first + at, some)) {
            at += some;
        } else {
            failed++;
            at = seeds.report->seed - first + 1; /* on with the next */
        }
    }
    assert_int_equal(failed, 0);
}

void seeds_replay(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t trace;
        assert_true(play_slice(seed, 1));
        trace = seeds.report->trace;
        assert_true(play_slice(seed > 2 ? seed - 2 : 1, seed > 2 ? 3 : seed));
        assert_true(seeds.report->trace == trace); /* whatever ran before */
    }
}

uint64_t seeds_seen(void)
{
    return seeds.report->seen;
}

bool seeds_are_usual(void)
{
    return setting("LSIO_SIM_SEEDS", seeds.usual) >= seeds.usual;
}

bool seeds_begin(const struct scenario_world *world, uint64_t usual, int count, char **arguments)
{
    seeds.world = world;
    seeds.usual = usual;
    if (count >= 3 && strcmp(arguments[1], "--seed") == 0) {
        uint64_t trace = scenario_run(world, strtoull(arguments[2], NULL, 10),
                                      count > 3 && strcmp(arguments[3], "-v") == 0);
        printf("passed; trace %016llx\n", (unsigned long long)trace);
        return true;
    }
    seeds.report = mmap(NULL, sizeof(*seeds.report), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seeds.report == MAP_FAILED)
        abort();
    return false;
}
