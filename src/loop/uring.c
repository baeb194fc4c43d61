/* SPDX-License-Identifier: MIT */
/*
 * uring.c - the loop on io_uring: the hot path.
 *
 * Purpose: one worker's proactor with next to nothing between the worker and the kernel. submit()
 * writes the SQE itself, flush() is at most one system call, reap() reads the CQ without any.
 *
 * Invariants
 *   - `pending` counts the CQEs still to come; nothing is written that would let it exceed
 *     cq_entries, so the completion queue cannot overflow, whatever the caller does. The excess
 *     waits in lists.
 *   - SQEs of one chain are in the SQ together (a chain ends where a submission ends), and reap()
 *     writes none: what completions want to write next waits in the backlog for flush() or
 *     wait().
 *   - A wake is sticky: its CQE either lies in the CQ, or `woken` says that reap() took it after
 *     the last wait(). A CQE that was there when wait() returned has done its work already
 *     (`wait_tail`).
 *
 * Threads: the owner alone, for SINGLE_ISSUER binds the ring to it; wake() only writes to the
 * eventfd.
 *
 * Why a read of an eventfd for wake() and not IORING_OP_MSG_RING: the waker needs no ring of its
 * own, so any thread of the application can wake a worker.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef LSIO_HAVE_URING

#include "loop/uring.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mark.h"
#include "loop/uring_impl.h"

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define PAUSE_NS 1000000 /* between attempts when the kernel has no memory for a submission */

/* ---------------------------------------------------------------------------- kernel calls -- */

static bool error_passes(int error)
{
    return error == -EAGAIN || error == -EBUSY || error == -ENOMEM || error == -EINTR ||
           error == -ETIME;
}

/*
 * The ring has failed in a way that cannot pass (a filter loaded after its creation, for instance):
 * what the kernel has not taken ends with that error, as will all that follows. Operations it has
 * taken still complete.
 */
static void ring_break(struct loop *loop, int error)
{
    struct io_uring_sq *sq = &loop->ring.sq;
    unsigned head = *sq->khead, tail = sq->sqe_tail;

    LSIO_MARK(uring_broken);
    loop->broken = error;
    for (unsigned at = head; at != tail; at++) {
        struct loop_op *op = uring_complete(loop, sq->sqes[at & sq->ring_mask].user_data, error,
                                            loop->wait_tail - 1);

        if (op) {
            op->loop_flags |= OP_DONE;
            op_list_append(&loop->ready, op);
        }
        loop->pending--;
    }
    sq->sqe_head = sq->sqe_tail = head;
    IO_URING_WRITE_ONCE(*sq->ktail, head);
}

int uring_enter(struct loop *loop)
{
    int ret;

    if (UNLIKELY(loop->broken))
        return loop->broken;
    do { /* a submission ends early at an SQE that is refused */
        loop->enters++;
        /* The links of a chain are deferred work: let the same call run them. */
        ret = loop->chained ? io_uring_submit_and_get_events(&loop->ring)
                            : io_uring_submit(&loop->ring);
        loop->chained = false;
    } while (ret > 0 && io_uring_sq_ready(&loop->ring));
    if (UNLIKELY(ret < 0)) {
        LSIO_MARK(uring_enter_failed);
        if (!error_passes(ret))
            ring_break(loop, ret);
    }
    return ret < 0 ? ret : 0;
}

/* ------------------------------------------------------------------------------------ SQEs -- */

/* Room for `count` SQEs of which each gives a CQE. */
static inline bool reserve(struct loop *loop, uint32_t count, uint32_t limit)
{
    if (UNLIKELY(loop->pending + count > limit)) {
        LSIO_MARK(uring_queue_full);
        return false;
    }
    if (LIKELY(io_uring_sq_space_left(&loop->ring) >= count))
        return true;
    (void)uring_enter(loop);
    return !loop->broken && io_uring_sq_space_left(&loop->ring) >= count;
}

/* After reserve(). */
static inline struct io_uring_sqe *next_sqe(struct loop *loop)
{
    loop->pending++;
    return io_uring_get_sqe(&loop->ring);
}

static inline uint64_t tagged(const struct loop_op *op, enum uring_tag tag)
{
    return (uint64_t)(uintptr_t)op | tag;
}

static inline void write_read(struct io_uring_sqe *sqe, const struct loop_op *op,
                              enum uring_tag tag)
{
    bool vector = op->kind == LOOP_READV, fixed = op->buffer >= 0 && !vector;

    io_uring_prep_rw(vector  ? IORING_OP_READV
                     : fixed ? IORING_OP_READ_FIXED
                             : IORING_OP_READ,
                     sqe, op->file >= 0 ? op->file : op->fd,
                     vector ? (const void *)op->iov : op->addr,
                     vector ? op->iov_count : (uint32_t)op->bytes, op->offset);
    sqe->buf_index = fixed ? (uint16_t)op->buffer : 0;
    /* A second attempt runs in a kernel thread, which can wait. */
    sqe->flags = (uint8_t)((op->file >= 0 ? IOSQE_FIXED_FILE : 0) |
                           ((uint32_t)op->loop_data ? IOSQE_ASYNC : 0));
    sqe->user_data = tagged(op, tag);
}

/* Opens into a descriptor, or into slot `file_index - 1` of the ring's table. */
static void write_open(struct loop *loop, struct io_uring_sqe *sqe, const struct loop_op *op,
                       uint32_t file_index, enum uring_tag tag)
{
    /* Slots belong to no process: the kernel refuses O_CLOEXEC there. */
    uint32_t flags =
        file_index ? op->open_flags & ~(uint32_t)O_CLOEXEC : op->open_flags | O_CLOEXEC;

    if (op->beneath || op->kind == LOOP_READ_FILE) {
        struct open_how_v0 *how = &loop->hows[sqe - loop->ring.sq.sqes];

        *how = (struct open_how_v0){
            .flags = flags,
            .resolve = (op->beneath ? OPEN_RESOLVE_BENEATH : 0) |
                       (op->kind == LOOP_READ_FILE ? OPEN_RESOLVE_NO_XDEV : 0)};
        io_uring_prep_openat2(sqe, op->fd, op->path, (struct open_how *)(void *)how);
    } else {
        io_uring_prep_openat(sqe, op->fd, op->path, (int)flags, 0);
    }
    sqe->file_index = file_index;
    sqe->flags = (uint32_t)op->loop_data ? IOSQE_ASYNC : 0;
    sqe->user_data = tagged(op, tag);
}

static void write_timer(struct loop *loop, struct io_uring_sqe *sqe, const struct loop_op *op)
{
    struct __kernel_timespec *at = &loop->times[sqe - loop->ring.sq.sqes];

    *at = (struct __kernel_timespec){.tv_sec = (long long)(op->offset / 1000000000u),
                                     .tv_nsec = (long long)(op->offset % 1000000000u)};
    io_uring_prep_timeout(sqe, at, 0, IORING_TIMEOUT_ABS);
}

/*
 * Open, read, close in one submission. A failed open cancels the rest (soft link); a short or
 * failed read does not cancel the close (hard link), else the slot would keep its file.
 */
static bool start_chain(struct loop *loop, struct loop_op *op)
{
    struct io_uring_sqe *sqe;
    uint32_t slot;

    if (!loop->chain_free_count) {
        op->loop_flags |= OP_WAITING;
        op_list_append(&loop->files, op);
        return true;
    }
    if (!reserve(loop, 3, loop->op_limit))
        return false;
    slot = loop->chain_free[--loop->chain_free_count];
    op->loop_slot = (int16_t)slot;
    op->step = LOOP_STEP_READ; /* until the open fails */
    loop->chained = true;

    sqe = next_sqe(loop);
    write_open(loop, sqe, op, slot + 1, TAG_OPEN);
    sqe->flags |= IOSQE_IO_LINK;

    sqe = next_sqe(loop);
    io_uring_prep_rw(op->buffer >= 0 ? IORING_OP_READ_FIXED : IORING_OP_READ, sqe, (int)slot,
                     op->addr, (uint32_t)op->bytes, op->offset);
    sqe->buf_index = op->buffer >= 0 ? (uint16_t)op->buffer : 0;
    sqe->flags = IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
    sqe->user_data = tagged(op, TAG_READ);

    sqe = next_sqe(loop);
    io_uring_prep_close_direct(sqe, slot);
    sqe->user_data = tagged(op, TAG_CLOSE);
    return true;
}

/* The next step of a whole-file read through a descriptor of its own. */
static bool start_step(struct loop *loop, struct loop_op *op)
{
    struct io_uring_sqe *sqe;

    if (!reserve(loop, 1, loop->op_limit))
        return false;
    if (op->loop_slot == STEP_READ && (op->loop_flags & OP_CANCELED)) {
        op->result = -ECANCELED;
        op->step = LOOP_STEP_READ;
        op->loop_slot = STEP_CLOSE;
    }
    sqe = next_sqe(loop);
    if (op->loop_slot == STEP_OPEN) {
        write_open(loop, sqe, op, 0, TAG_STEP);
    } else if (op->loop_slot == STEP_READ) {
        write_read(sqe, op, TAG_STEP);
        sqe->fd = (int)(op->loop_data >> 32);
        sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
    } else {
        io_uring_prep_close(sqe, (int)(op->loop_data >> 32));
        sqe->user_data = tagged(op, TAG_STEP);
    }
    return true;
}

/* Writes an operation's SQEs. False: no room, try again later. */
static bool start_other(struct loop *loop, struct loop_op *op)
{
    struct io_uring_sqe *sqe;

    if (UNLIKELY(loop->broken)) {
        if (op->kind == LOOP_READ_FILE && op->loop_slot < STEP_OPEN)
            loop->os->close((int)(op->loop_data >> 32));
        op->result = loop->broken;
        op->step = LOOP_STEP_OPEN;
        op->loop_flags |= OP_DONE;
        op_list_append(&loop->ready, op);
        return true;
    }
    if (op->kind == LOOP_READ_FILE)
        return loop->has_direct ? start_chain(loop, op) : start_step(loop, op);
    if (!reserve(loop, 1, loop->op_limit))
        return false;
    sqe = next_sqe(loop);
    if (op->kind == LOOP_OPEN) {
        write_open(loop, sqe, op, 0, TAG_OP);
        return true;
    }
    if (op->kind <= LOOP_READV) {
        write_read(sqe, op, TAG_OP);
        return true;
    }
    if (op->kind == LOOP_CLOSE)
        io_uring_prep_close(sqe, op->fd);
    else if (op->kind == LOOP_POLL)
        io_uring_prep_poll_add(sqe, op->fd, op->poll_events);
    else
        write_timer(loop, sqe, op);
    sqe->user_data = tagged(op, TAG_OP);
    return true;
}

static void wait_in_backlog(struct loop *loop, struct loop_op *op)
{
    op->loop_flags |= OP_WAITING;
    op_list_append(&loop->backlog, op);
}

static void uring_submit(struct loop *loop, struct loop_op *op)
{
    op->loop_flags = 0;
    op->loop_slot = STEP_OPEN;
    op->loop_data = 0;
    if (LIKELY(op->kind <= LOOP_READV && !loop->backlog.first && !loop->broken &&
               reserve(loop, 1, loop->op_limit))) {
        write_read(next_sqe(loop), op, TAG_OP);
        return;
    }
    if (loop->backlog.first || !start_other(loop, op))
        wait_in_backlog(loop, op);
}

/* ---------------------------------------------------------------------------------- cancel -- */

/* Asks the kernel to cancel what it may still be waiting for. False: no room. */
static bool start_cancel(struct loop *loop, struct loop_op *op)
{
    bool chain = op->kind == LOOP_READ_FILE && op->loop_slot >= 0;
    enum uring_tag tag = chain ? TAG_OPEN : op->kind == LOOP_READ_FILE ? TAG_STEP : TAG_OP;

    if (!reserve(loop, chain ? 2 : 1, loop->cq_entries - 1))
        return false;
    for (;; tag = TAG_READ) {
        struct io_uring_sqe *sqe = next_sqe(loop);

        io_uring_prep_cancel64(sqe, tagged(op, tag), 0);
        sqe->user_data = TAG_CANCEL;
        if (!chain || tag == TAG_READ)
            return true;
    }
}

static void uring_cancel(struct loop *loop, struct loop_op *op)
{
    if (op->kind == LOOP_CLOSE || (op->loop_flags & (OP_CANCELED | OP_DONE)))
        return;
    op->loop_flags |= OP_CANCELED;
    if (op->loop_flags & OP_WAITING) {
        if (op->kind == LOOP_READ_FILE && op->loop_slot < STEP_OPEN)
            return; /* it holds a descriptor: its next step is the close */
        if (!op_list_remove(&loop->backlog, op))
            op_list_remove(&loop->files, op);
        op->result = -ECANCELED;
        op->step = LOOP_STEP_OPEN;
        op->loop_flags = OP_CANCELED | OP_DONE;
        op_list_append(&loop->ready, op);
        return;
    }
    if (loop->cancels.first || !start_cancel(loop, op)) {
        op->loop_flags |= OP_IN_CANCELS;
        op_list_append(&loop->cancels, op);
    }
}

/* -------------------------------------------------------------------------- flush and wait -- */

static void arm_wake(struct loop *loop)
{
    struct io_uring_sqe *sqe;

    if (!reserve(loop, 1, loop->cq_entries))
        return;
    sqe = next_sqe(loop);
    io_uring_prep_read(sqe, loop->wake_fd, &loop->wake_value, sizeof loop->wake_value, 0);
    sqe->user_data = TAG_WAKE;
    loop->wake_armed = true;
}

/* What waited for room in the ring. */
static void start_waiting(struct loop *loop)
{
    struct loop_op *op;

    if (!loop->wake_armed && !loop->broken)
        arm_wake(loop);
    while ((op = op_list_take(&loop->cancels)) != NULL) {
        if (!start_cancel(loop, op)) {
            op_list_prepend(&loop->cancels, op);
            break;
        }
        op->loop_flags &= (uint8_t)~OP_IN_CANCELS;
    }
    while ((op = op_list_take(&loop->backlog)) != NULL) {
        op->loop_flags &= (uint8_t)~OP_WAITING;
        if (!start_other(loop, op)) {
            op->loop_flags |= OP_WAITING;
            op_list_prepend(&loop->backlog, op);
            break;
        }
    }
    while ((loop->chain_free_count || loop->broken) && (op = op_list_take(&loop->files)) != NULL) {
        op->loop_flags &= (uint8_t)~OP_WAITING;
        if (!start_other(loop, op)) {
            op->loop_flags |= OP_WAITING;
            op_list_prepend(&loop->files, op);
            break;
        }
    }
}

static inline bool has_waiting(const struct loop *loop)
{
    return !loop->wake_armed || loop->backlog.first || loop->cancels.first ||
           (loop->files.first && (loop->chain_free_count || loop->broken));
}

static void uring_flush(struct loop *loop)
{
    if (UNLIKELY(has_waiting(loop)))
        start_waiting(loop);
    if (io_uring_sq_ready(&loop->ring) || uring_needs_enter(loop))
        (void)uring_enter(loop);
}

static uint32_t cq_tail(const struct loop *loop)
{
    return io_uring_smp_load_acquire(loop->ring.cq.ktail);
}

static struct timespec time_left(const struct loop *loop, uint64_t until_ns)
{
    uint64_t now = loop->os->now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;

    return (struct timespec){.tv_sec = (time_t)(left / 1000000000u),
                             .tv_nsec = (long)(left % 1000000000u)};
}

/* Submits what is written and waits for a CQE. */
static void enter_and_wait(struct loop *loop, uint64_t until_ns)
{
    struct timespec left = {0, 0};
    struct __kernel_timespec timeout = {0, PAUSE_NS};
    struct io_uring_cqe *cqe;
    int ret;

    if (until_ns != UINT64_MAX) {
        left = time_left(loop, until_ns);
        timeout = (struct __kernel_timespec){left.tv_sec, left.tv_nsec};
    }
    loop->enters++;
    loop->chained = false;
    ret = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1,
                                           until_ns == UINT64_MAX ? NULL : &timeout, NULL);
    if (ret >= 0 || ret == -ETIME || ret == -EINTR)
        return;
    if (!error_passes(ret)) {
        ring_break(loop, ret);
        return;
    }
    /* No memory to submit: completions free some. */
    LSIO_MARK(uring_wait_without_memory);
    timeout = (struct __kernel_timespec){0, PAUSE_NS};
    loop->enters++;
    (void)io_uring_wait_cqe_timeout(&loop->ring, &cqe, &timeout);
}

/* One wake-up for several completions: a sleep and a wake cost more than a read's own system calls.
 * A wake that comes meanwhile is left for wait(): wait_tail stays. */
static void uring_gather(struct loop *loop, unsigned want, uint64_t for_ns)
{
    struct __kernel_timespec timeout = {0, (long long)for_ns};
    struct io_uring_cqe *cqe;

    if (has_waiting(loop) || loop->ready.first || loop->woken || loop->broken ||
        io_uring_cq_ready(&loop->ring) >= want) {
        uring_flush(loop);
        return;
    }
    loop->enters++;
    loop->chained = false;
    (void)io_uring_submit_and_wait_timeout(&loop->ring, &cqe, want, &timeout, NULL);
}

static void uring_wait(struct loop *loop, uint64_t until_ns)
{
    if (has_waiting(loop))
        start_waiting(loop);
    if (loop->ready.first || loop->woken || io_uring_cq_ready(&loop->ring)) {
        if (io_uring_sq_ready(&loop->ring))
            (void)uring_enter(loop);
    } else if (LIKELY(!loop->broken)) {
        enter_and_wait(loop, until_ns);
    } else {
        struct timespec pause = {0, PAUSE_NS};
        nanosleep(&pause, NULL);
    }
    loop->woken = false;
    loop->wait_tail = cq_tail(loop);
}

static void uring_wake(struct loop *loop)
{
    uint64_t one = 1;

    /* Blocks only at 2^64 - 2 unread wakes. */
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* ------------------------------------------------------------------------------------ reap -- */

static struct loop_op *uring_reap(struct loop *loop, unsigned max)
{
    struct io_uring_cq *cq = &loop->ring.cq;
    uint32_t head = *cq->khead, mask = cq->ring_mask, seen = 0;
    uint32_t there = cq_tail(loop) - head;
    struct loop_op *first = NULL, **end = &first, *op;
    unsigned count = 0;

    while (UNLIKELY(loop->ready.first) && count < max) {
        op = op_list_take(&loop->ready);
        *end = op;
        end = &op->next;
        count++;
    }
    /* also of a ring that takes nothing any more: what it has taken must still come back */
    if (there == 0 && UNLIKELY(uring_needs_enter(loop))) {
        loop->enters++;
        (void)io_uring_get_events(&loop->ring); /* what fails here is tried again */
        there = cq_tail(loop) - head;
    }
    while (seen < there && count < max) {
        const struct io_uring_cqe *cqe = &cq->cqes[(head + seen) & mask];
        uint64_t user_data = cqe->user_data;

        op = (struct loop_op *)(uintptr_t)user_data;
        if (LIKELY(!(user_data & TAG_MASK) && cqe->res >= 0 && !op->loop_flags))
            op->result = cqe->res;
        else
            op = uring_complete(loop, user_data, cqe->res, head + seen);
        seen++;
        if (LIKELY(op != NULL)) {
            *end = op;
            end = &op->next;
            count++;
        }
    }
    *end = NULL;
    loop->pending -= seen;
    io_uring_cq_advance(&loop->ring, seen);
    return first;
}

static bool uring_broken(const struct loop *loop)
{
    return loop->broken && !loop->backlog.first && !loop->files.first && !loop->ready.first;
}

static uint64_t uring_enters(const struct loop *loop)
{
    return loop->enters;
}

const struct loop_ops loop_uring = {
    .name = "uring",
    .create = uring_create,
    .destroy = uring_destroy,
    .abandon = uring_abandon,
    .submit = uring_submit,
    .flush = uring_flush,
    .reap = uring_reap,
    .wait = uring_wait,
    .gather = uring_gather,
    .wake = uring_wake,
    .cancel = uring_cancel,
    .file_attach = uring_file_attach,
    .file_detach = uring_file_detach,
    .buffer_attach = uring_buffer_attach,
    .buffer_detach = uring_buffer_detach,
    .can_read_file = uring_can_read_file,
    .describe = uring_describe,
    .broken = uring_broken,
    .enters = uring_enters,
};

#endif
