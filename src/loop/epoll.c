/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - the loop without io_uring.
 *
 * Purpose: the same contract where a sandbox or an old kernel refuses io_uring. flush() tries each
 * operation on the worker without blocking (preadv2 with RWF_NOWAIT, openat2 with RESOLVE_CACHED):
 * what is cached is done there, on the core that will use it. The rest goes to the context's thread
 * pool.
 *
 * Invariants
 *   - An operation is in `queued` (submitted), with the pool, in `done` (pushed by pool threads),
 *     in `polls` or `timers` (ordered by time), or in `ready` (the owner's, to be reaped).
 *   - `sleeping` is set before the owner looks at `done` and `woken` for the last time and
 *     sleeps; those who push look at it after their push (both seq_cst): one of the two sees the
 *     other, so no wake is lost, and no eventfd is written while the owner is awake.
 *
 * Threads: the owner; pool threads push to `done` and signal; any thread sets `woken` and signals.
 *
 * A LOOP_POLL is a one-shot registration with the epoll instance, which stays there, disarmed,
 * until the descriptor is closed or polled again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop/epoll.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/mark.h"
#include "loop/op_list.h"
#include "loop/thread_pool.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define DIRECT_ALIGN_MIN 512u
#define EVENTS_MAX       64

/* loop_op.loop_flags */
enum { OP_IN_POOL = 1, OP_READY = 2, OP_POLLS = 4, OP_TIMES = 8 };

struct loop {
    /* frozen */
    const struct loop_os *os;
    struct thread_pool *pool;
    int epoll_fd, wake_fd;

    /* owner */
    struct op_list queued;
    struct op_list ready;
    struct op_list polls;
    struct op_list timers; /* the earliest first */
    uint64_t enters;
    int asked_fd; /* in this flush, by is_direct() */
    bool asked_direct;
    bool no_pwait2; /* before 5.11 */

    /* shared */
    _Atomic(struct loop_op *) done; /* newest first */
    atomic_bool woken;
    atomic_bool sleeping;
    atomic_uint pushing; /* pool threads inside push_done(): they still use this memory */
};

/* ------------------------------------------------------------------------------ completion -- */

static void make_ready(struct loop *loop, struct loop_op *op)
{
    op->loop_flags = OP_READY;
    op_list_append(&loop->ready, op);
}

static void signal_owner(struct loop *loop)
{
    uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* A pool thread is through with an operation. */
static void push_done(struct loop *loop, struct loop_op *op)
{
    struct loop_op *head = atomic_load_explicit(&loop->done, memory_order_relaxed);

    atomic_fetch_add_explicit(&loop->pushing, 1, memory_order_relaxed);
    do {
        op->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->done, &head, op, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if (!head && atomic_load(&loop->sleeping))
        signal_owner(loop);
    atomic_fetch_sub_explicit(&loop->pushing, 1, memory_order_release);
}

static void take_done(struct loop *loop)
{
    struct loop_op *op, *oldest = NULL;

    if (!atomic_load_explicit(&loop->done, memory_order_relaxed))
        return;
    op = atomic_exchange_explicit(&loop->done, NULL, memory_order_acquire);
    while (op) {
        struct loop_op *next = op->next;

        op->next = oldest;
        oldest = op;
        op = next;
    }
    while (oldest) {
        op = oldest;
        oldest = op->next;
        make_ready(loop, op);
    }
}

/* --------------------------------------------------------------- attempts without blocking -- */

/* O_DIRECT reads wait for the device even with RWF_NOWAIT. One flush asks once about each fd. */
static bool is_direct(struct loop *loop, const struct loop_op *op, const struct iovec *iov)
{
    int flags;

    if (((uintptr_t)iov->iov_base | iov->iov_len | op->offset) % DIRECT_ALIGN_MIN)
        return false;
    if (op->fd != loop->asked_fd) {
        flags = fcntl(op->fd, F_GETFL);
        loop->asked_fd = op->fd;
        loop->asked_direct = flags >= 0 && (flags & O_DIRECT);
    }
    return loop->asked_direct;
}

static int64_t try_read(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t got;

    do {
        got = preadv2(fd, iov, count, (off_t)offset, RWF_NOWAIT);
        if (got < 0 && errno == ESPIPE)
            got = preadv2(fd, iov, count, -1, RWF_NOWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == ENOSYS || errno == EPERM))
        return -EOPNOTSUPP; /* before 4.6, or a filter refuses it: the pool uses older calls */
    return got < 0 ? -errno : got;
}

static int64_t try_read_file(struct loop *loop, struct loop_op *op)
{
    struct iovec iov = {.iov_base = op->addr, .iov_len = (size_t)op->bytes};
    int64_t result;
    int fd;

    op->step = LOOP_STEP_OPEN;
    if ((op->open_flags & (O_DIRECT | O_NONBLOCK)) != O_NONBLOCK)
        return -EAGAIN;
    fd = loop->os->open_nowait(op->fd, op->path, (int)op->open_flags, op->beneath);
    if (fd < 0)
        return fd;
    op->step = LOOP_STEP_READ;
    result = try_read(fd, &iov, 1, op->offset);
    loop->os->close(fd);
    return result;
}

/* The result, or -EAGAIN or -EOPNOTSUPP if it would block. */
static int64_t try_operation(struct loop *loop, struct loop_op *op)
{
    struct iovec iov = {.iov_base = op->addr, .iov_len = (size_t)op->bytes};

    switch ((enum loop_kind)op->kind) {
    case LOOP_READ:
        return is_direct(loop, op, &iov) ? -EAGAIN : try_read(op->fd, &iov, 1, op->offset);
    case LOOP_READV:
        return op->iov_count && is_direct(loop, op, op->iov)
                   ? -EAGAIN
                   : try_read(op->fd, op->iov, (int)op->iov_count, op->offset);
    case LOOP_OPEN: /* without O_NONBLOCK a FIFO waits for its other end */
        return !(op->open_flags & O_NONBLOCK)
                   ? -EAGAIN
                   : loop->os->open_nowait(op->fd, op->path, (int)op->open_flags, op->beneath);
    case LOOP_CLOSE: /* network file systems flush here */
        return -EAGAIN;
    case LOOP_READ_FILE:
        return try_read_file(loop, op);
    case LOOP_POLL:
    case LOOP_TIMER:
        break; /* started by wait_begin() */
    }
    return -EINVAL;
}

/* ----------------------------------------------------------------------- polls and timers -- */

static void timer_insert(struct loop *loop, struct loop_op *op)
{
    struct loop_op *before = NULL, *at = loop->timers.first;

    while (at && at->offset <= op->offset) {
        before = at;
        at = at->next;
    }
    if (!before) {
        op_list_prepend(&loop->timers, op);
    } else if (!at) {
        op_list_append(&loop->timers, op);
    } else {
        op->next = at;
        before->next = op;
    }
}

/* LOOP_POLL and LOOP_TIMER: they end when the world says so, not by running. */
static void wait_begin(struct loop *loop, struct loop_op *op)
{
    struct epoll_event event = {.events = op->poll_events | EPOLLONESHOT, .data.ptr = op};

    if (op->kind == LOOP_TIMER) {
        op->loop_flags = OP_TIMES;
        timer_insert(loop, op);
        return;
    }
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, op->fd, &event) != 0 &&
        (errno != ENOENT || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, op->fd, &event) != 0)) {
        op->result = -errno;
        make_ready(loop, op);
        return;
    }
    op->loop_flags = OP_POLLS;
    op_list_append(&loop->polls, op);
}

static void take_timers(struct loop *loop)
{
    uint64_t now;

    if (!loop->timers.first)
        return;
    now = loop->os->now_ns();
    while (loop->timers.first && loop->timers.first->offset <= now) {
        struct loop_op *op = op_list_take(&loop->timers);

        op->result = 0;
        make_ready(loop, op);
    }
}

static void take_events(struct loop *loop, const struct epoll_event *events, int count)
{
    uint64_t wakes;

    for (int i = 0; i < count; i++) {
        struct loop_op *op = events[i].data.ptr;

        if (op) {
            (void)op_list_remove(&loop->polls, op);
            op->result = (int64_t)events[i].events;
            make_ready(loop, op);
        } else if (read(loop->wake_fd, &wakes, sizeof wakes) < 0) {
            /* Nonblocking, and ours alone: at worst the next wait returns at once. */
        }
    }
}

/* What has become ready without our sleeping. */
static void take_polls(struct loop *loop)
{
    struct epoll_event events[EVENTS_MAX];

    if (loop->polls.first)
        take_events(loop, events, epoll_wait(loop->epoll_fd, events, EVENTS_MAX, 0));
}

/* ------------------------------------------------------------------------ submit and flush -- */

static void epoll_submit(struct loop *loop, struct loop_op *op)
{
    op->loop_flags = 0;
    op_list_append(&loop->queued, op);
}

static void epoll_flush(struct loop *loop)
{
    struct loop_op *op;

    loop->asked_fd = -1;
    while ((op = op_list_take(&loop->queued)) != NULL) {
        int64_t result;

        loop->enters++;
        if (op->kind >= LOOP_POLL) {
            wait_begin(loop, op);
            continue;
        }
        result = try_operation(loop, op);
        if (result == -EAGAIN || result == -EOPNOTSUPP) {
            LSIO_MARK(epoll_operation_would_block);
            op->loop_flags = OP_IN_POOL;
            if (pool_submit(loop->pool, loop, op))
                continue;
            LSIO_MARK(epoll_no_thread);
            pool_run_blocking(loop->os, op); /* no thread to be had: block rather than fail */
            result = op->result;
        }
        op->result = result;
        make_ready(loop, op);
    }
}

static struct loop_op *epoll_reap(struct loop *loop, unsigned max)
{
    struct loop_op *first, *last = NULL;

    take_done(loop);
    take_polls(loop);
    take_timers(loop);
    first = max ? loop->ready.first : NULL;
    for (unsigned count = 0; count < max && loop->ready.first; count++) {
        last = loop->ready.first;
        loop->ready.first = last->next;
    }
    if (last)
        last->next = NULL;
    return first;
}

/* ------------------------------------------------------------------------------------ wait -- */

static int timeout_ms(const struct timespec *left)
{
    if (left->tv_sec >= INT_MAX / 1000 - 1)
        return INT_MAX;
    return (int)(left->tv_sec * 1000 + (left->tv_nsec + 999999) / 1000000);
}

static void sleep_until(struct loop *loop, uint64_t until_ns)
{
    bool limited = until_ns != UINT64_MAX;
    uint64_t now = limited ? loop->os->now_ns() : 0;
    uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
    struct timespec left = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                            .tv_nsec = (long)(wait_ns % 1000000000u)};
    struct epoll_event events[EVENTS_MAX];
    int ready = -1;

    loop->enters++;
    if (!loop->no_pwait2) {
        ready = (int)syscall(SYS_epoll_pwait2, loop->epoll_fd, events, EVENTS_MAX,
                             limited ? &left : NULL, NULL, 0);
        loop->no_pwait2 = ready < 0 && (errno == ENOSYS || errno == EPERM);
    }
    if (loop->no_pwait2)
        ready = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, limited ? timeout_ms(&left) : -1);
    take_events(loop, events, ready);
}

static void epoll_wait_for(struct loop *loop, uint64_t until_ns)
{
    epoll_flush(loop);
    take_done(loop);
    take_timers(loop);
    if (loop->timers.first && loop->timers.first->offset < until_ns)
        until_ns = loop->timers.first->offset;
    if (!loop->ready.first) {
        atomic_store(&loop->sleeping, true);
        if (!atomic_load(&loop->done) && !atomic_load(&loop->woken))
            sleep_until(loop, until_ns);
        atomic_store(&loop->sleeping, false);
    }
    atomic_store(&loop->woken, false);
}

static void epoll_wake(struct loop *loop)
{
    atomic_store(&loop->woken, true);
    if (atomic_load(&loop->sleeping))
        signal_owner(loop);
}

static void epoll_cancel(struct loop *loop, struct loop_op *op)
{
    if (op->kind == LOOP_CLOSE || (op->loop_flags & OP_READY))
        return;
    if (op->loop_flags & OP_POLLS) {
        (void)op_list_remove(&loop->polls, op);
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, op->fd, NULL);
    } else if (op->loop_flags & OP_TIMES) {
        (void)op_list_remove(&loop->timers, op);
    } else if (op->loop_flags & OP_IN_POOL ? !pool_withdraw(loop->pool, op)
                                           : !op_list_remove(&loop->queued, op)) {
        return; /* it is running, or done */
    }
    op->step = LOOP_STEP_OPEN;
    op->result = -ECANCELED;
    make_ready(loop, op);
}

/* ------------------------------------------------------------------------------ the others -- */

static int epoll_shared_create(const struct loop_os *os, void **out)
{
    struct thread_pool *pool;
    int error = pool_create(os, push_done, &pool);

    if (!error)
        *out = pool;
    return error;
}

static void epoll_shared_destroy(void *shared)
{
    pool_destroy(shared);
}

static void close_and_free(struct loop *loop)
{
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    free(loop);
}

static int epoll_loop_create(const struct loop_config *config, struct loop **out, char *why,
                             size_t why_bytes)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct loop *loop;
    int error;

    if (!config->shared) {
        (void)snprintf(why, why_bytes, "epoll: no thread pool");
        return -EINVAL;
    }
    loop = calloc(1, sizeof *loop);
    if (!loop) {
        (void)snprintf(why, why_bytes, "epoll: out of memory");
        return -ENOMEM;
    }
    loop->os = config->os;
    loop->pool = config->shared;
    atomic_init(&loop->done, NULL);
    atomic_init(&loop->woken, false);
    atomic_init(&loop->sleeping, false);
    atomic_init(&loop->pushing, 0);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event)) {
        error = -errno;
        (void)snprintf(why, why_bytes, "epoll: no descriptors: error %d", -error);
        close_and_free(loop);
        return error;
    }
    *out = loop;
    return 0;
}

static void epoll_destroy(struct loop *loop)
{
    if (!loop)
        return;
    assert(!loop->queued.first && !loop->ready.first && !atomic_load(&loop->done));
    assert(!loop->polls.first && !loop->timers.first);
    /* The last operation may have been reaped before its thread has looked at `sleeping`. */
    while (atomic_load_explicit(&loop->pushing, memory_order_acquire))
        sched_yield();
    close_and_free(loop);
}

static void epoll_abandon(struct loop *loop)
{
    if (loop)
        close_and_free(loop);
}

static int epoll_file_attach(struct loop *loop, int fd)
{
    (void)loop;
    (void)fd;
    return -EOPNOTSUPP;
}

static void epoll_file_detach(struct loop *loop, int slot)
{
    (void)loop;
    (void)slot;
}

static int epoll_buffer_attach(struct loop *loop, unsigned index, void *addr, uint64_t bytes)
{
    (void)loop;
    (void)index;
    (void)addr;
    (void)bytes;
    return -EOPNOTSUPP;
}

static void epoll_buffer_detach(struct loop *loop, unsigned index)
{
    (void)loop;
    (void)index;
}

static bool epoll_can_read_file(const struct loop *loop)
{
    (void)loop;
    return true;
}

static void epoll_describe(const struct loop *loop, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, "preadv2 nowait, then threads%s",
                   loop->no_pwait2 ? ", millisecond timeouts" : "");
}

static uint64_t epoll_enters(const struct loop *loop)
{
    return loop->enters;
}

const struct loop_ops loop_epoll = {
    .name = "epoll",
    .shared_create = epoll_shared_create,
    .shared_destroy = epoll_shared_destroy,
    .create = epoll_loop_create,
    .destroy = epoll_destroy,
    .abandon = epoll_abandon,
    .submit = epoll_submit,
    .flush = epoll_flush,
    .reap = epoll_reap,
    .wait = epoll_wait_for,
    .wake = epoll_wake,
    .cancel = epoll_cancel,
    .file_attach = epoll_file_attach,
    .file_detach = epoll_file_detach,
    .buffer_attach = epoll_buffer_attach,
    .buffer_detach = epoll_buffer_detach,
    .can_read_file = epoll_can_read_file,
    .describe = epoll_describe,
    .enters = epoll_enters,
};
