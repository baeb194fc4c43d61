/* SPDX-License-Identifier: MIT */
/*
 * test_loop_cancel.c - the contract of loop.h, for every loop: cancel, fork, refusal, and
 * everything at once. Pipes stand for reads that never end by themselves.
 *
 * LSIO_ROWS: L22
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KB 1024u
#define MS UINT64_C(1000000)

/* Reaps `op`, canceled while its pipe was empty. A thread that already blocks in the read is let go
 * by a byte; io_uring needs none. */
static void end_pipe_read(struct loop_fixture *f, struct loop_op *op, int write_end)
{
    struct loop_op *got = loop_reap_until(f, f->os->now_ns() + 300 * MS);

    if (!got) {
        assert_string_equal(f->ops->name, "epoll");
        assert_int_equal(write(write_end, "x", 1), 1);
        got = loop_collect(f, 1);
    }
    assert_ptr_equal(got, op);
    assert_true(op->result == -ECANCELED || op->result == 1);
}

static void a_pending_read_can_be_canceled(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op;
    int ends[2];
    char byte;

    if (f->variant->simulated)
        skip();
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        op = loop_read_op(ends[0], &byte, 1, 0);
        f->ops->submit(f->loop, &op);
        if (i % 3) {
            f->ops->flush(f->loop);
            assert_null(f->ops->reap(f->loop, 1));
        }
        if (i % 3 == 2)
            assert_null(loop_reap_until(f, f->os->now_ns() + 10 * MS));
        f->ops->cancel(f->loop, &op);
        f->ops->cancel(f->loop, &op);
        end_pipe_read(f, &op, ends[1]);
        assert_null(loop_reap_until(f, f->os->now_ns() + 5 * MS));
        close(ends[0]);
        close(ends[1]);
    }
}

/* Many wait, for the pipe and in queues; all are canceled; each comes back once. */
static void canceled_many(struct loop_fixture *f, uint32_t inflight_max, bool flush)
{
    enum { COUNT = 500 };
    struct loop_op *ops = calloc(COUNT, sizeof *ops), *op;
    char *bytes = calloc(COUNT, 1);
    unsigned back = 0, canceled = 0;
    int ends[2];

    loop_remake(f, inflight_max, 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        ops[i] = loop_read_op(ends[0], &bytes[i], 1, 0);
        f->ops->submit(f->loop, &ops[i]);
    }
    if (flush)
        f->ops->flush(f->loop);
    for (unsigned i = 0; i < COUNT; i++)
        f->ops->cancel(f->loop, &ops[(i * 7) % COUNT]);
    while (back < COUNT) {
        op = loop_reap_until(f, f->os->now_ns() + (ends[1] < 0 ? 5000 : 200) * MS);
        if (!op && ends[1] >= 0) { /* what already blocks in a read ends with 0 */
            assert_string_equal(f->ops->name, "epoll");
            close(ends[1]);
            ends[1] = -1;
            continue;
        }
        assert_non_null(op);
        assert_true(op->result == -ECANCELED || op->result == 0);
        canceled += op->result == -ECANCELED;
        assert_true(op->kind == LOOP_READ);
        op->kind = 99; /* has been seen */
        back++;
    }
    assert_true(canceled >= COUNT - 32);
    assert_null(loop_reap_until(f, f->os->now_ns() + 5 * MS));
    if (ends[1] >= 0)
        close(ends[1]);
    close(ends[0]);
    free(ops);
    free(bytes);
}

static void many_can_be_canceled(void **state)
{
    struct loop_fixture *f = *state;

    if (f->variant->simulated)
        skip();
    canceled_many(f, 1000, true);
    canceled_many(f, 1000, false);
    canceled_many(f, 2, true);
    canceled_many(f, 2, false);
}

static void cancel_of_a_done_operation_does_nothing(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[10];
    struct loop_op op;
    int fd;

    loop_put(f, "a", 1, 10);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < 500; i++) {
        op = loop_read_op(fd, buffer, 10, 0);
        f->ops->submit(f->loop, &op);
        f->ops->flush(f->loop);
        if (i % 2)
            f->ops->flush(f->loop);
        f->ops->cancel(f->loop, &op);
        loop_collect(f, 1);
        assert_true(op.result == 10 || op.result == -ECANCELED);
        /* The cancel must not hit the next use of the same memory. */
        op = loop_read_op(fd, buffer, 10, 0);
        assert_int_equal(loop_run(f, &op), 10);
    }
    f->os->close(fd);
}

/* Descriptors are counted by the fixture. */
static void canceled_files_leave_no_descriptor(void **state)
{
    struct loop_fixture *f = *state;
    enum { COUNT = 300 };
    struct loop_op *ops = calloc(COUNT, sizeof *ops);
    char *bytes = malloc(COUNT * 100);

    loop_put(f, "a", 2, 64 * KB);
    for (unsigned round = 0; round < 8; round++) {
        loop_make_cold(f, "a");
        for (unsigned i = 0; i < COUNT; i++) {
            ops[i] = loop_file_op(f, "a", bytes + i * 100, 100, i * 100);
            f->ops->submit(f->loop, &ops[i]);
            if (round % 2 && i % 50 == 0)
                f->ops->flush(f->loop);
            if (round % 4 >= 2 && i > 20 && i % 3 == 0)
                f->ops->cancel(f->loop, &ops[i - 20]);
        }
        for (unsigned i = 0; i < COUNT && round % 4 < 2; i++)
            f->ops->cancel(f->loop, &ops[i]);
        loop_collect(f, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
            int64_t result = ops[i].result; /* short where only the first page was there */

            assert_true(result == -ECANCELED || (result > 0 && result <= 100));
            if (result > 0)
                loop_check_bytes(bytes + i * 100, 2, i * 100, (uint64_t)result);
        }
    }
    free(ops);
    free(bytes);
}

static void canceled_opens_and_closes_end(void **state)
{
    struct loop_fixture *f = *state;

    loop_put(f, "a", 3, 10);
    for (unsigned i = 0; i < 200; i++) {
        struct loop_op op = loop_read_op(f->dirfd, NULL, 0, 0);

        op.kind = LOOP_OPEN;
        op.path = "a";
        op.open_flags = O_RDONLY | (i % 2 ? O_NONBLOCK : 0);
        f->ops->submit(f->loop, &op);
        if (i % 3)
            f->ops->flush(f->loop);
        f->ops->cancel(f->loop, &op);
        loop_collect(f, 1);
        assert_true(op.result >= 0 || op.result == -ECANCELED);
        if (op.result < 0)
            continue;
        op = loop_read_op((int)op.result, NULL, 0, 0);
        op.kind = LOOP_CLOSE;
        f->ops->submit(f->loop, &op);
        f->ops->cancel(f->loop, &op); /* a close is never given up */
        loop_collect(f, 1);
        assert_int_equal(op.result, 0);
    }
}

/* --------------------------------------------------------------------------- fork, refusal -- */

static void a_forked_child_abandons_it(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op, pending;
    int ends[2], fd, status = -1;
    char byte, buffer[100];
    pid_t child;

    if (f->variant->simulated)
        skip();
    loop_put(f, "a", 4, 100);
    fd = loop_open_file(f, "a", 0);
    op = loop_read_op(fd, buffer, 100, 0);
    assert_int_equal(loop_run(f, &op), 100);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pending = loop_read_op(ends[0], &byte, 1, 0);
    f->ops->submit(f->loop, &pending);
    f->ops->flush(f->loop);

    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *shared = f->shared;

        f->ops->abandon(f->loop);
        if (f->ops->shared_destroy)
            f->ops->shared_destroy(shared);
        f->shared = NULL;
        f->loop = NULL;
        /* A loop of its own works. */
        if (f->ops->shared_create && f->ops->shared_create(f->os, &f->shared))
            _exit(2);
        loop_remake(f, 8, 8);
        op = loop_read_op(fd, buffer, 100, 0);
        if (loop_run(f, &op) != 100)
            _exit(3);
        f->ops->destroy(f->loop);
        if (f->ops->shared_destroy)
            f->ops->shared_destroy(f->shared);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_null(f->ops->reap(f->loop, 1));
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_ptr_equal(loop_collect(f, 1), &pending);
    assert_int_equal(pending.result, 1);
    op = loop_read_op(fd, buffer, 100, 0);
    assert_int_equal(loop_run(f, &op), 100);
    f->os->close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void a_refused_loop_says_why(void **state)
{
    struct loop_fixture *f = *state;
    int status = -1;
    pid_t child;

    if (f->variant->simulated)
        skip();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct loop_config config = {.inflight_max = 4,
                                     .gates_off = f->variant->gates_off,
                                     .os = f->os,
                                     .shared = f->shared};
        struct rlimit none = {0, 0};
        struct loop *loop = NULL;
        char why[200] = "";
        int error;

        setrlimit(RLIMIT_NOFILE, &none);
        error = f->ops->create(&config, &loop, why, sizeof why);
        _exit(error == -EMFILE && strlen(why) > 10 && !loop ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void loops_come_and_go(void **state)
{
    struct loop_fixture *f = *state;
    static char memory[64 * KB];

    for (unsigned i = 0; i < 200; i++) { /* locked memory must be given back at once */
        loop_remake(f, 1 + i % 300, i % 100);
        (void)f->ops->buffer_attach(f->loop, 0, memory, sizeof memory);
        if (i % 2)
            f->ops->flush(f->loop);
        if (i % 3)
            f->ops->wake(f->loop);
    }
}

/* ----------------------------------------------------------------------------- all at once -- */

enum { JOBS = 96, FILES = 10, FILE_BYTES = 40000 };

struct job {
    struct loop_op op;
    bool busy, canceled;
    uint32_t file;
    char bytes[3000];
    struct iovec iov[2];
};

struct world {
    struct loop_fixture *f;
    uint32_t random;
    int fds[FILES], slots[FILES];
    char names[FILES][8];
    struct job jobs[JOBS];
    unsigned busy;
};

static uint32_t pick(struct world *w, uint32_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return w->random % below;
}

static void begin_job(struct world *w, struct job *job)
{
    uint64_t offset = pick(w, FILE_BYTES + 2000), bytes = 1 + pick(w, sizeof job->bytes);

    job->busy = true;
    job->canceled = false;
    job->file = pick(w, FILES);
    memset(job->bytes, 0, sizeof job->bytes);
    if (pick(w, 3) == 0) {
        job->op = loop_file_op(w->f, w->names[job->file], job->bytes, bytes, offset);
    } else {
        job->op = loop_read_op(w->fds[job->file], job->bytes, bytes, offset);
        if (w->slots[job->file] >= 0 && pick(w, 2))
            job->op.file = w->slots[job->file];
        if (pick(w, 4) == 0) {
            job->iov[0] = (struct iovec){job->bytes, bytes / 3};
            job->iov[1] = (struct iovec){job->bytes + bytes / 3, bytes - bytes / 3};
            job->op.kind = LOOP_READV;
            job->op.iov = job->iov;
            job->op.iov_count = 2;
        }
    }
    w->f->ops->submit(w->f->loop, &job->op);
    w->busy++;
}

static void end_jobs(struct world *w, struct loop_op *op)
{
    for (struct loop_op *next; op; op = next) {
        struct job *job = (struct job *)(void *)((char *)op - offsetof(struct job, op));
        uint64_t left = op->offset < FILE_BYTES ? FILE_BYTES - op->offset : 0;
        uint64_t want = left < op->bytes ? left : op->bytes;

        next = op->next;
        assert_true(job->busy);
        job->busy = false;
        w->busy--;
        if (op->result == -ECANCELED && job->canceled)
            continue;
        if (op->result < 0 || (uint64_t)op->result > want || (want && !op->result))
            fail_msg("kind %d: result %lld, wanted %llu", op->kind, (long long)op->result,
                     (unsigned long long)want);
        loop_check_bytes(job->bytes, 50 + job->file, op->offset, (uint64_t)op->result);
    }
}

static void everything_at_once(void **state)
{
    struct loop_fixture *f = *state;
    struct world *w = calloc(1, sizeof *w);
    unsigned steps = 30000 / loop_scale();

    w->f = f;
    w->random = 12345;
    loop_remake(f, 40, FILES / 2);
    for (uint32_t i = 0; i < FILES; i++) {
        (void)snprintf(w->names[i], sizeof w->names[i], "w%u", i);
        loop_put(f, w->names[i], 50 + i, FILE_BYTES);
        w->fds[i] = loop_open_file(f, w->names[i], 0);
        w->slots[i] = f->ops->file_attach(f->loop, w->fds[i]);
    }
    for (unsigned step = 0; step < steps || w->busy;) {
        struct job *job = &w->jobs[pick(w, JOBS)];
        uint32_t what = pick(w, 100);

        if (what < 60 && step < steps) {
            step++;
            if (!job->busy)
                begin_job(w, job);
        } else if (what < 75) {
            f->ops->flush(f->loop);
            end_jobs(w, f->ops->reap(f->loop, 1 + pick(w, 40)));
        } else if (what < 85 && job->busy) {
            job->canceled = true;
            f->ops->cancel(f->loop, &job->op);
        } else if (what < 90) {
            f->ops->wake(f->loop);
        } else if (what < 91) {
            loop_make_cold(f, w->names[pick(w, FILES)]);
        } else if (w->busy) {
            f->ops->wait(f->loop, f->os->now_ns() + 1 * MS);
            end_jobs(w, f->ops->reap(f->loop, 1 + pick(w, 40)));
        }
    }
    assert_null(f->ops->reap(f->loop, 10));
    for (uint32_t i = 0; i < FILES; i++) {
        if (w->slots[i] >= 0)
            f->ops->file_detach(f->loop, w->slots[i]);
        f->os->close(w->fds[i]);
    }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pending_read_can_be_canceled),
        cmocka_unit_test(many_can_be_canceled),
        cmocka_unit_test(cancel_of_a_done_operation_does_nothing),
        cmocka_unit_test(canceled_files_leave_no_descriptor),
        cmocka_unit_test(canceled_opens_and_closes_end),
        cmocka_unit_test(a_forked_child_abandons_it),
        cmocka_unit_test(a_refused_loop_says_why),
        cmocka_unit_test(loops_come_and_go),
        cmocka_unit_test(everything_at_once),
    };

    return loop_run_tests("loop cancel", tests, sizeof tests / sizeof *tests);
}
