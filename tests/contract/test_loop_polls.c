/* SPDX-License-Identifier: MIT */
/*
 * test_loop_polls.c - the contract of loop.h, for every loop: readiness of descriptors and timers.
 * The simulated world has no sockets; its timers pass the same tests.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct loop_op poll_op(int fd, uint32_t events)
{
    return (struct loop_op){
        .kind = LOOP_POLL, .fd = fd, .poll_events = events, .file = -1, .buffer = -1};
}

static struct loop_op timer_op(uint64_t at_ns)
{
    return (struct loop_op){
        .kind = LOOP_TIMER, .offset = at_ns, .fd = -1, .file = -1, .buffer = -1};
}

static void pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}

static void readiness_is_reported_once(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op;
    int ends[2];
    char byte;

    if (f->variant->simulated)
        skip();
    pair(ends);
    for (unsigned i = 0; i < 5; i++) {
        op = poll_op(ends[0], POLLIN);
        if (i % 2) /* ready before it is asked for */
            assert_int_equal(write(ends[1], "x", 1), 1);
        f->ops->submit(f->loop, &op);
        f->ops->flush(f->loop);
        if (i % 2 == 0) {
            assert_null(f->ops->reap(f->loop, 10));
            assert_int_equal(write(ends[1], "x", 1), 1);
        }
        assert_ptr_equal(loop_collect(f, 1), &op);
        assert_int_equal(op.result & (POLLIN | POLLOUT), POLLIN);
        /* still readable, but nobody asks */
        assert_null(loop_reap_until(f, f->os->now_ns() + 2 * MS));
        assert_int_equal(read(ends[0], &byte, 1), 1);
    }
    op = poll_op(ends[0], POLLIN | POLLOUT);
    assert_int_equal(loop_run(f, &op) & (POLLIN | POLLOUT), POLLOUT);
    close(ends[1]);
    op = poll_op(ends[0], POLLIN);
    assert_true(loop_run(f, &op) & POLLHUP);
    close(ends[0]);
}

/* A number that is closed and given out again is a new descriptor. */
static void descriptors_may_come_again(void **state)
{
    struct loop_fixture *f = *state;

    if (f->variant->simulated)
        skip();
    for (unsigned i = 0; i < 20; i++) {
        struct loop_op op;
        int ends[2];

        pair(ends);
        op = poll_op(ends[0], POLLIN);
        f->ops->submit(f->loop, &op);
        if (i % 2)
            f->ops->flush(f->loop);
        if (i % 3 == 0) {
            f->ops->cancel(f->loop, &op);
            assert_ptr_equal(loop_collect(f, 1), &op);
            assert_int_equal(op.result, -ECANCELED);
        } else {
            assert_int_equal(write(ends[1], "x", 1), 1);
            assert_ptr_equal(loop_collect(f, 1), &op);
            assert_true(op.result & POLLIN);
        }
        close(ends[0]);
        close(ends[1]);
    }
}

static void many_sockets_at_once(void **state)
{
    enum { COUNT = 300 };
    struct loop_fixture *f = *state;
    static struct loop_op ops[COUNT];
    static int ends[COUNT][2];
    unsigned ready = 0, canceled = 0;

    if (f->variant->simulated)
        skip();
    loop_remake(f, 64, 0); /* more polls than the ring was made for */
    for (unsigned i = 0; i < COUNT; i++) {
        pair(ends[i]);
        ops[i] = poll_op(ends[i][0], POLLIN);
        f->ops->submit(f->loop, &ops[i]);
    }
    f->ops->flush(f->loop);
    assert_null(f->ops->reap(f->loop, COUNT));
    for (unsigned i = 0; i < COUNT; i += 2)
        assert_int_equal(write(ends[i][1], "x", 1), 1);
    for (unsigned i = 1; i < COUNT; i += 2)
        f->ops->cancel(f->loop, &ops[i]);
    for (struct loop_op *op = loop_collect(f, COUNT); op; op = op->next) {
        if ((op - ops) % 2)
            canceled += op->result == -ECANCELED;
        else
            ready += op->result > 0 && (op->result & POLLIN);
    }
    assert_int_equal(ready, COUNT / 2);
    assert_int_equal(canceled, COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static struct loop_op *reap_one(struct loop_fixture *f)
{
    struct loop_op *op;

    while ((op = f->ops->reap(f->loop, 1)) == NULL)
        f->ops->wait(f->loop, UINT64_MAX);
    return op;
}

static void timers_end_in_order(void **state)
{
    struct loop_fixture *f = *state;
    static const uint64_t after_ms[] = {9, 3, 0, 6, 3};
    struct loop_op ops[5], *op;
    uint64_t begin = f->os->now_ns(), last = 0;

    for (unsigned i = 0; i < 5; i++) {
        ops[i] = timer_op(i == 2 ? 0 : begin + after_ms[i] * MS); /* one is long past */
        f->ops->submit(f->loop, &ops[i]);
    }
    for (unsigned i = 0; i < 5; i++) {
        op = reap_one(f);
        assert_int_equal(op->result, 0);
        assert_true(op->offset >= last);
        assert_true(f->os->now_ns() >= op->offset);
        last = op->offset;
    }
}

static void timers_can_be_canceled(void **state)
{
    struct loop_fixture *f = *state;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t far = f->os->now_ns() + 3600 * 1000 * MS;
        struct loop_op ops[2] = {timer_op(far), timer_op(far)};

        f->ops->submit(f->loop, &ops[0]);
        f->ops->submit(f->loop, &ops[1]);
        if (i % 2)
            f->ops->flush(f->loop);
        if (i / 2)
            assert_null(f->ops->reap(f->loop, 2));
        f->ops->cancel(f->loop, &ops[1]);
        f->ops->cancel(f->loop, &ops[0]);
        for (struct loop_op *op = loop_collect(f, 2); op; op = op->next)
            assert_int_equal(op->result, -ECANCELED);
    }
}

static void a_wake_ends_the_wait_for_a_timer(void **state)
{
    struct loop_fixture *f = *state;
    uint64_t far = f->os->now_ns() + 3600 * 1000 * MS;
    struct loop_op op = timer_op(far);

    f->ops->submit(f->loop, &op);
    f->ops->wake(f->loop);
    f->ops->wait(f->loop, UINT64_MAX);
    assert_true(f->os->now_ns() < far);
    f->ops->cancel(f->loop, &op);
    assert_ptr_equal(loop_collect(f, 1), &op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readiness_is_reported_once),
        cmocka_unit_test(descriptors_may_come_again),
        cmocka_unit_test(many_sockets_at_once),
        cmocka_unit_test(timers_end_in_order),
        cmocka_unit_test(timers_can_be_canceled),
        cmocka_unit_test(a_wake_ends_the_wait_for_a_timer),
    };

    return loop_run_tests("loop polls", tests, sizeof tests / sizeof *tests);
}
