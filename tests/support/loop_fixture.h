/* SPDX-License-Identifier: MIT */
/*
 * loop_fixture.h - what tests of the loop contract stand on: one loop of each variant, a directory
 * of files with known bytes, and short words to submit and collect operations.
 *
 * The byte at offset o of a file with seed s is loop_pattern(s, o), so a misplaced byte shows at
 * once.
 */
#ifndef LSIO_TESTS_LOOP_FIXTURE_H
#define LSIO_TESTS_LOOP_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>

#include "loop/loop.h"

struct loop_variant {
    const char *name;
    const struct loop_ops *ops;
    const struct loop_os *os;
    uint32_t gates_off;
    bool simulated;    /* files are not the kernel's */
    bool virtual_time; /* nothing happens while nobody waits: no threads */
};

struct loop_fixture {
    const struct loop_variant *variant;
    const struct loop_ops *ops;
    const struct loop_os *os;
    void *shared;
    struct loop *loop;
    int dirfd;
    int descriptors; /* open when the test began */
    char dir[128];
};

/* The variants that this build has, ended by one without a name. */
const struct loop_variant *loop_variants(void);

/* Called when a test has ended, before its loop is destroyed, if it is set. */
extern void (*loop_test_ended)(void);

/* Runs the tests once for each variant, each test with a fixture as its state; cmocka's result. */
int loop_run_tests(const char *group, const struct CMUnitTest *tests, size_t count);

/* Replaces the test's loop by one made with other numbers. */
void loop_remake(struct loop_fixture *f, uint32_t inflight_max, uint32_t files_max);

uint8_t loop_pattern(uint32_t seed, uint64_t offset);
/* Makes a file of the directory. */
void loop_put(struct loop_fixture *f, const char *name, uint32_t seed, uint64_t bytes);
/* Opens it for reading; to close with f->os->close. */
int loop_open_file(struct loop_fixture *f, const char *name, int flags);
/* Takes a file out of the page cache, if there is one. */
void loop_make_cold(struct loop_fixture *f, const char *name);
void loop_check_bytes(const void *bytes, uint32_t seed, uint64_t offset, uint64_t count);

/* A read as tests want it most; `file` and `buffer` are none. */
struct loop_op loop_read_op(int fd, void *addr, uint64_t bytes, uint64_t offset);
struct loop_op loop_file_op(struct loop_fixture *f, const char *name, void *addr, uint64_t bytes,
                            uint64_t offset);

/* Reaps until `count` operations came back, or fails the test after 20 s. Each must come once.
 * Returns them linked in order. */
struct loop_op *loop_collect(struct loop_fixture *f, unsigned count);
/* Submits one operation and waits for it. */
int64_t loop_run(struct loop_fixture *f, struct loop_op *op);
/* Reaps until an operation came back or until_ns has passed. */
struct loop_op *loop_reap_until(struct loop_fixture *f, uint64_t until_ns);

/* How many times slower this build may be: LSIO_TEST_SCALE. */
unsigned loop_scale(void);

#endif
