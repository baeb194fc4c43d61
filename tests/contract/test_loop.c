/* SPDX-License-Identifier: MIT */
/*
 * test_loop.c - the contract of loop.h, for every loop: reads, queues, waiting and waking.
 * (test_loop_files.c: open, close, whole files, tables; test_loop_cancel.c: cancel, fork, stress.)
 * LSIO_TEST_LOOP=name runs one variant alone.
 *
 * LSIO_ROWS: L10 L11
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KB 1024u
#define MS UINT64_C(1000000)

/* ----------------------------------------------------------------------------------- reads -- */

static void reads_give_the_bytes(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[10000];
    struct loop_op op;
    int fd;

    loop_put(f, "a", 1, 300 * KB + 17);
    fd = loop_open_file(f, "a", 0);
    for (uint64_t offset = 0; offset < 290 * KB; offset += 12345) {
        op = loop_read_op(fd, buffer, 1 + offset % sizeof buffer, offset);
        assert_int_equal(loop_run(f, &op), op.bytes);
        loop_check_bytes(buffer, 1, offset, op.bytes);
    }
    f->os->close(fd);
}

static void a_vector_is_filled_in_order(void **state)
{
    struct loop_fixture *f = *state;
    enum { PARTS = 1024 };
    struct iovec iov[PARTS];
    struct loop_op op;
    uint64_t total = 0, at = 77;
    char *memory = malloc(PARTS * 64);
    int fd;

    loop_put(f, "a", 2, 128 * KB);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < PARTS; i++) {
        iov[i] = (struct iovec){.iov_base = memory + i * 64, .iov_len = i % 65};
        total += i % 65;
    }
    op = loop_read_op(fd, NULL, 0, at);
    op.kind = LOOP_READV;
    op.iov = iov;
    op.iov_count = PARTS;
    assert_int_equal(loop_run(f, &op), total);
    for (unsigned i = 0; i < PARTS; at += iov[i++].iov_len)
        loop_check_bytes(iov[i].iov_base, 2, at, iov[i].iov_len);
    f->os->close(fd);
    free(memory);
}

static void reads_end_where_the_file_ends(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[64];
    struct loop_op op;
    int fd;

    loop_put(f, "a", 3, 5000);
    fd = loop_open_file(f, "a", 0);
    op = loop_read_op(fd, buffer, 64, 4990);
    assert_int_equal(loop_run(f, &op), 10);
    loop_check_bytes(buffer, 3, 4990, 10);
    op = loop_read_op(fd, buffer, 64, 5000);
    assert_int_equal(loop_run(f, &op), 0);
    op = loop_read_op(fd, buffer, 64, UINT64_C(1) << 40);
    assert_int_equal(loop_run(f, &op), 0);
    op = loop_read_op(fd, buffer, 0, 10);
    assert_int_equal(loop_run(f, &op), 0);
    f->os->close(fd);
}

static void read_errors_are_results(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[64];
    struct loop_op op = loop_read_op(-1, buffer, 64, 0);

    assert_int_equal(loop_run(f, &op), -EBADF);
    op = loop_read_op(f->dirfd, buffer, 64, 0);
    assert_int_equal(loop_run(f, &op), -EISDIR);
    if (!f->variant->simulated) {
        int fd = loop_open_file(f, ".", O_TMPFILE | O_WRONLY);

        op = loop_read_op(fd, buffer, 64, 0);
        assert_int_equal(loop_run(f, &op), -EBADF);
        f->os->close(fd);
    }
}

static void cold_reads_give_the_bytes(void **state)
{
    struct loop_fixture *f = *state;
    enum { READS = 64, BYTES = 16 * KB };
    struct loop_op ops[READS];
    char *memory = malloc(READS * BYTES);
    int fd;

    loop_put(f, "a", 4, READS * BYTES);
    for (unsigned round = 0; round < 3; round++) {
        loop_make_cold(f, "a");
        fd = loop_open_file(f, "a", 0);
        memset(memory, 0, READS * BYTES);
        for (unsigned i = 0; i < READS; i++) {
            ops[i] = loop_read_op(fd, memory + i * BYTES, BYTES, (uint64_t)i * BYTES);
            f->ops->submit(f->loop, &ops[i]);
        }
        loop_collect(f, READS);
        for (unsigned i = 0; i < READS; i++) { /* a nowait read may stop where the cache ends */
            assert_true(ops[i].result > 0 && ops[i].result <= BYTES);
            loop_check_bytes(ops[i].addr, 4, ops[i].offset, (uint64_t)ops[i].result);
        }
        f->os->close(fd);
    }
    free(memory);
}

static void direct_reads_give_the_bytes(void **state)
{
    struct loop_fixture *f = *state;
    enum { READS = 16, BYTES = 64 * KB };
    struct loop_op ops[READS];
    char *memory = aligned_alloc(4096, READS * BYTES);
    int fd;

    loop_put(f, "a", 5, READS * BYTES);
    loop_make_cold(f, "a");
    fd = f->os->open(f->dirfd, "a", O_RDONLY | O_DIRECT, false);
    if (fd < 0) { /* not on this file system */
        free(memory);
        return;
    }
    for (unsigned i = 0; i < READS; i++) {
        ops[i] = loop_read_op(fd, memory + i * BYTES, BYTES, (uint64_t)i * BYTES);
        f->ops->submit(f->loop, &ops[i]);
    }
    loop_collect(f, READS);
    for (unsigned i = 0; i < READS; i++) {
        assert_int_equal(ops[i].result, BYTES);
        loop_check_bytes(ops[i].addr, 5, ops[i].offset, BYTES);
    }
    f->os->close(fd);
    free(memory);
}

/* ---------------------------------------------------------------------------------- queues -- */

/* More than any ring holds, and more than was announced: none fails, each comes once. */
static void many(struct loop_fixture *f, uint32_t inflight_max, unsigned count)
{
    struct loop_op *ops = malloc(count * sizeof *ops), *op;
    uint64_t *values = malloc(count * sizeof *values);
    unsigned char *seen = calloc(count, 1);
    int fd;

    loop_remake(f, inflight_max, 4);
    loop_put(f, "a", 6, 1000 * KB);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < count; i++) {
        ops[i] = loop_read_op(fd, &values[i], 8, (uint64_t)i * 8 % (999 * KB));
        f->ops->submit(f->loop, &ops[i]);
        assert_int_equal(ops[i].result, INT64_MIN); /* not from inside submit */
    }
    for (op = loop_collect(f, count); op; op = op->next) {
        unsigned i = (unsigned)(op - ops);

        assert_true(i < count && !seen[i]);
        seen[i] = 1;
        assert_int_equal(op->result, 8);
        loop_check_bytes(&values[i], 6, op->offset, 8);
    }
    assert_null(f->ops->reap(f->loop, 100));
    f->os->close(fd);
    free(ops);
    free(values);
    free(seen);
}

static void more_than_the_ring_holds(void **state)
{
    many(*state, 64, 5000);
}

static void more_than_the_smallest_ring_holds(void **state)
{
    many(*state, 1, 1000);
}

static void reap_gives_no_more_than_asked(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op ops[20], *op;
    char buffer[20];
    unsigned left = 20;
    int fd;

    loop_put(f, "a", 7, 100);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < 20; i++) {
        ops[i] = loop_read_op(fd, buffer + i, 1, i);
        f->ops->submit(f->loop, &ops[i]);
    }
    f->ops->flush(f->loop);
    while (left) {
        unsigned got = 0;

        for (op = f->ops->reap(f->loop, 3); op; op = op->next)
            got++;
        assert_true(got <= 3);
        left -= got;
        if (!got)
            f->ops->wait(f->loop, UINT64_MAX);
    }
    loop_check_bytes(buffer, 7, 0, 20);
    f->os->close(fd);
}

static void an_operation_can_be_used_again(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op;
    uint64_t value;
    int fd;

    loop_put(f, "a", 8, 64 * KB);
    fd = loop_open_file(f, "a", 0);
    op = loop_read_op(fd, &value, 8, 0);
    for (unsigned i = 0; i < 3000; i++) {
        op.offset = (uint64_t)i * 8;
        assert_int_equal(loop_run(f, &op), 8);
        loop_check_bytes(&value, 8, op.offset, 8);
    }
    f->os->close(fd);
}

/* --------------------------------------------------------------------------- wait and wake -- */

static void nothing_to_do_is_allowed(void **state)
{
    struct loop_fixture *f = *state;
    char text[128] = "";

    f->ops->flush(f->loop);
    assert_null(f->ops->reap(f->loop, 10));
    f->ops->flush(f->loop);
    f->ops->describe(f->loop, text, sizeof text);
    assert_true(text[0] != '\0');
    f->ops->describe(f->loop, text, 4);
    assert_true(strlen(text) < 4);
}

static void wait_ends_at_its_time(void **state)
{
    struct loop_fixture *f = *state;
    uint64_t begin = f->os->now_ns(), until = begin + 30 * MS, end;
    unsigned rounds = 0;

    do {
        f->ops->wait(f->loop, until);
        assert_null(f->ops->reap(f->loop, 1));
        rounds++;
        end = f->os->now_ns();
    } while (end < until);
    assert_true(rounds < 20); /* it slept */
    assert_true(end - begin < 2000 * MS * loop_scale());
    f->ops->wait(f->loop, 0); /* long ago */
    f->ops->wait(f->loop, f->os->now_ns());
}

static void wait_ends_with_a_completion(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op;
    char byte;
    int fd;

    loop_put(f, "a", 9, 10);
    loop_make_cold(f, "a");
    fd = loop_open_file(f, "a", 0);
    op = loop_read_op(fd, &byte, 1, 3);
    f->ops->submit(f->loop, &op); /* wait() flushes */
    while (!f->ops->reap(f->loop, 1))
        f->ops->wait(f->loop, UINT64_MAX);
    assert_int_equal(op.result, 1);
    f->os->close(fd);
}

/* However gather() ends, nothing is lost by it: neither a completion nor a wake. */
static void gather_loses_nothing(void **state)
{
    struct loop_fixture *f = *state;
    enum { READS = 40 };
    struct loop_op ops[READS];
    char buffer[READS];
    int fd;

    if (!f->ops->gather)
        return;
    loop_put(f, "a", 11, 64 * KB);
    loop_make_cold(f, "a");
    fd = loop_open_file(f, "a", 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < READS; i++) {
            ops[i] = loop_read_op(fd, buffer + i, 1, i * 1000 + round);
            f->ops->submit(f->loop, &ops[i]);
        }
        if (round % 2)
            f->ops->wake(f->loop);
        f->ops->gather(f->loop, 1 + round * 3, 2 * MS);
        loop_collect(f, READS);
        for (unsigned i = 0; i < READS; i++)
            loop_check_bytes(buffer + i, 11, i * 1000 + round, 1);
    }
    f->ops->wait(f->loop, 0);
    f->ops->wake(f->loop);
    f->ops->gather(f->loop, 5, 1 * MS);
    assert_null(f->ops->reap(f->loop, 1));
    f->ops->wait(f->loop, UINT64_MAX);
    f->os->close(fd);
}

static void a_wake_is_kept_for_the_next_wait(void **state)
{
    struct loop_fixture *f = *state;

    for (unsigned i = 0; i < 200; i++) {
        f->ops->wake(f->loop);
        if (i % 2) { /* what comes between does not use it up */
            f->ops->flush(f->loop);
            assert_null(f->ops->reap(f->loop, 1));
        }
        if (i % 3 == 0)
            f->ops->wake(f->loop);
        f->ops->wait(f->loop, UINT64_MAX);
        if (i % 5 == 0)
            assert_null(f->ops->reap(f->loop, 1));
    }
}

static void a_wake_does_not_ring_for_ever(void **state)
{
    struct loop_fixture *f = *state;
    uint64_t until;
    unsigned rounds = 0;

    for (unsigned i = 0; i < 10; i++)
        f->ops->wake(f->loop);
    until = f->os->now_ns() + 50 * MS;
    for (; f->os->now_ns() < until; rounds++) {
        f->ops->wait(f->loop, until);
        assert_null(f->ops->reap(f->loop, 1));
    }
    assert_true(rounds < 20);
}

struct waker {
    struct loop_fixture *f;
    atomic_uint asked, seen;
    unsigned rounds;
};

static void *wake_later(void *data)
{
    struct waker *w = data;
    struct timespec pause = {0, 20 * MS};

    nanosleep(&pause, NULL);
    atomic_store(&w->asked, 1);
    w->f->ops->wake(w->f->loop);
    return NULL;
}

static void a_wake_ends_a_wait(void **state)
{
    struct loop_fixture *f = *state;

    if (f->variant->virtual_time)
        skip();
    for (unsigned i = 0; i < 5; i++) {
        struct waker w = {.f = f};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wake_later, &w), 0);
        while (!atomic_load(&w.asked)) {
            f->ops->wait(f->loop, UINT64_MAX);
            assert_null(f->ops->reap(f->loop, 1));
        }
        pthread_join(thread, NULL);
    }
}

static void *wake_often(void *data)
{
    struct waker *w = data;

    for (unsigned i = 0; i < w->rounds; i++) {
        unsigned mine = atomic_fetch_add(&w->asked, 1) + 1;

        w->f->ops->wake(w->f->loop);
        if (i % 16 == 0) /* let the owner go to sleep */
            while (atomic_load(&w->seen) < mine)
                sched_yield();
    }
    return NULL;
}

/* Three threads ring, now and then waiting to be noticed: a lost wake would hang. Reads go on. */
static void no_wake_is_lost(void **state)
{
    struct loop_fixture *f = *state;
    struct waker w = {.f = f, .rounds = 3000};
    pthread_t threads[3];
    struct loop_op op, *got;
    bool reading = false;
    char buffer[100];
    int fd;

    if (f->variant->virtual_time)
        skip();
    loop_put(f, "a", 10, 64 * KB);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &w), 0);
    while (atomic_load(&w.seen) < 3 * w.rounds) {
        if (!reading && atomic_load(&w.asked) % 3 == 0) {
            op = loop_read_op(fd, buffer, sizeof buffer, atomic_load(&w.asked));
            f->ops->submit(f->loop, &op);
            reading = true;
        }
        f->ops->wait(f->loop, UINT64_MAX);
        atomic_store(&w.seen, atomic_load(&w.asked));
        got = f->ops->reap(f->loop, 4);
        if (got) {
            assert_ptr_equal(got, &op);
            assert_true(reading);
            loop_check_bytes(buffer, 10, op.offset, (uint64_t)op.result);
            reading = false;
        }
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    if (reading)
        loop_collect(f, 1);
    f->os->close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_give_the_bytes),
        cmocka_unit_test(a_vector_is_filled_in_order),
        cmocka_unit_test(reads_end_where_the_file_ends),
        cmocka_unit_test(read_errors_are_results),
        cmocka_unit_test(cold_reads_give_the_bytes),
        cmocka_unit_test(direct_reads_give_the_bytes),
        cmocka_unit_test(more_than_the_ring_holds),
        cmocka_unit_test(more_than_the_smallest_ring_holds),
        cmocka_unit_test(reap_gives_no_more_than_asked),
        cmocka_unit_test(an_operation_can_be_used_again),
        cmocka_unit_test(nothing_to_do_is_allowed),
        cmocka_unit_test(wait_ends_at_its_time),
        cmocka_unit_test(wait_ends_with_a_completion),
        cmocka_unit_test(gather_loses_nothing),
        cmocka_unit_test(a_wake_is_kept_for_the_next_wait),
        cmocka_unit_test(a_wake_does_not_ring_for_ever),
        cmocka_unit_test(a_wake_ends_a_wait),
        cmocka_unit_test(no_wake_is_lost),
    };

    return loop_run_tests("loop", tests, sizeof tests / sizeof *tests);
}
