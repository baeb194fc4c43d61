/* SPDX-License-Identifier: MIT */
/*
 * uring_complete.c - completions that need a second look.
 *
 * Purpose: everything reap() meets besides a plain success: wakes, cancel results, errors worth a
 * retry, and the steps of whole-file reads.
 *
 * Rules
 *   - EAGAIN and EINTR are the kernel's affair: the operation goes back to the backlog, at most
 *     RETRIES_MAX times. Unless it was canceled, for then EINTR is how a running read tells so.
 *     ECANCELED without our cancel is retried too.
 *   - An operation of a chain is complete when all three CQEs have come, in any order, and its
 *     slot is free when no file is left in it. A chain cut in two by a short submission can close
 *     before it opens; the slot is then emptied by a register call, and the operation starts
 *     again.
 *   - loop_data holds the attempts made (low half) and, without a slot, the descriptor (high
 *     half).
 *
 * Threads: the owner, inside reap(). Writes no SQE.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef LSIO_HAVE_URING

#include "base/mark.h"
#include "loop/uring_impl.h"

static void retry_later(struct loop *loop, struct loop_op *op)
{
    LSIO_MARK(uring_operation_retried);
    op->loop_data++;
    op->loop_flags |= OP_WAITING;
    op_list_append(&loop->backlog, op);
}

static bool may_retry(const struct loop_op *op)
{
    return !(op->loop_flags & OP_CANCELED) && (uint32_t)op->loop_data < RETRIES_MAX;
}

static bool is_passing(int32_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -ECANCELED;
}

/* How an interrupted or refused operation ends that somebody wanted to end. */
static int32_t end_result(const struct loop_op *op, int32_t result)
{
    return (op->loop_flags & OP_CANCELED) && is_passing(result) ? -ECANCELED : result;
}

static void forget_cancel(struct loop *loop, struct loop_op *op)
{
    if (op->loop_flags & OP_IN_CANCELS) {
        op_list_remove(&loop->cancels, op);
        op->loop_flags &= (uint8_t)~OP_IN_CANCELS;
    }
}

static struct loop_op *complete_simple(struct loop *loop, struct loop_op *op, int32_t result)
{
    forget_cancel(loop, op);
    if (op->kind == LOOP_CLOSE && result == -EINTR)
        result = 0; /* on Linux the descriptor is gone */
    if (op->kind == LOOP_TIMER && result == -ETIME)
        result = 0;
    if (is_passing(result) && may_retry(op)) {
        retry_later(loop, op);
        return NULL;
    }
    op->result = end_result(op, result);
    return op;
}

/* All CQEs of a chain are there. */
static struct loop_op *finish_chain(struct loop *loop, struct loop_op *op)
{
    if (op->loop_flags & OP_OPENED) { /* the close came too early or failed */
        LSIO_MARK(uring_chain_left_open);
        uring_file_detach(loop, op->loop_slot);
    } else {
        loop->chain_free[loop->chain_free_count++] = (uint32_t)op->loop_slot;
    }
    forget_cancel(loop, op);
    op->loop_slot = STEP_OPEN;
    op->loop_flags &= OP_CANCELED;
    /* EBADF of a read by slot: the chain was cut and the read came before the open. */
    if ((is_passing((int32_t)op->result) || (op->result == -EBADF && op->step == LOOP_STEP_READ)) &&
        may_retry(op)) {
        retry_later(loop, op);
        return NULL;
    }
    op->result = end_result(op, (int32_t)op->result);
    return op;
}

static struct loop_op *complete_chain(struct loop *loop, struct loop_op *op, enum uring_tag tag,
                                      int32_t result)
{
    const uint8_t all = OP_SAW_OPEN | OP_SAW_READ | OP_SAW_CLOSE;

    if (tag == TAG_OPEN) {
        op->loop_flags |= OP_SAW_OPEN;
        if (result < 0) {
            op->result = result;
            op->step = LOOP_STEP_OPEN;
        } else {
            op->loop_flags |= OP_OPENED;
        }
    } else if (tag == TAG_READ) {
        op->loop_flags |= OP_SAW_READ;
        /* After a failed open this is only the ECANCELED of the link. */
        if (op->step == LOOP_STEP_READ)
            op->result = result;
    } else {
        op->loop_flags |= OP_SAW_CLOSE;
        if (result == 0)
            op->loop_flags &= (uint8_t)~OP_OPENED;
    }
    return (op->loop_flags & all) == all ? finish_chain(loop, op) : NULL;
}

/* One step of a whole-file read through a descriptor. */
static struct loop_op *complete_step(struct loop *loop, struct loop_op *op, int32_t result)
{
    forget_cancel(loop, op);
    if (op->loop_slot == STEP_CLOSE) {
        if ((result == -EAGAIN || result == -ECANCELED) && (uint32_t)op->loop_data < RETRIES_MAX) {
            retry_later(loop, op);
            return NULL;
        }
        if (result < 0 && loop->broken)
            loop->os->close((int)(op->loop_data >> 32));
        op->loop_flags &= OP_CANCELED;
        return op;
    }
    if (is_passing(result) && may_retry(op)) {
        retry_later(loop, op);
        return NULL;
    }
    op->step = op->loop_slot == STEP_OPEN ? LOOP_STEP_OPEN : LOOP_STEP_READ;
    op->result = end_result(op, result);
    if (op->loop_slot == STEP_OPEN && result < 0)
        return op;
    if (op->loop_slot == STEP_OPEN) {
        op->loop_data = (int64_t)((uint64_t)(uint32_t)result << 32);
        op->loop_slot = STEP_READ;
    } else {
        op->loop_data &= ~(int64_t)UINT32_MAX;
        op->loop_slot = STEP_CLOSE;
    }
    op->loop_flags |= OP_WAITING;
    op_list_append(&loop->backlog, op);
    return NULL;
}

struct loop_op *uring_complete(struct loop *loop, uint64_t user_data, int32_t result,
                               uint32_t position)
{
    enum uring_tag tag = (enum uring_tag)(user_data & TAG_MASK);
    struct loop_op *op = (struct loop_op *)(uintptr_t)(user_data & ~(uint64_t)TAG_MASK);

    switch (tag) {
    case TAG_OP:
        return complete_simple(loop, op, result);
    case TAG_OPEN:
    case TAG_READ:
    case TAG_CLOSE:
        return complete_chain(loop, op, tag, result);
    case TAG_STEP:
        return complete_step(loop, op, result);
    case TAG_WAKE:
        loop->wake_armed = false;
        if ((int32_t)(position - loop->wait_tail) >= 0)
            loop->woken = true;
        return NULL;
    case TAG_CANCEL:
    case TAG_MASK:
        break;
    }
    return NULL;
}

#endif
