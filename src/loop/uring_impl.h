/* SPDX-License-Identifier: MIT */
/*
 * uring_impl.h - what the files uring*.c share: the loop's state and the words they use.
 *
 *   uring.c            the hot path: submit, flush, wait, reap; cancel, wake
 *   uring_complete.c   completions that need a second look: errors, retries, whole-file chains
 *   uring_setup.c      the ring and its tables: create, destroy, register, describe
 *
 * An operation is always in exactly one place:
 *   in the ring   its SQEs are written, and some of its CQEs have not been seen
 *   backlog       it waits for room in the ring, or for its next step
 *   files         a LOOP_READ_FILE that waits for a slot
 *   ready         complete without a CQE of its own, to be handed out first
 */
#ifndef LSIO_LOOP_URING_IMPL_H
#define LSIO_LOOP_URING_IMPL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <liburing.h>

#include "loop/uring.h"
#include "loop/op_list.h"
#include "loop/open_how.h"

/* The low bits of user_data; the rest is the operation. */
enum uring_tag {
    TAG_OP = 0,   /* the only CQE of a simple operation */
    TAG_OPEN = 1, /* the CQEs of a whole-file chain */
    TAG_READ = 2,
    TAG_CLOSE = 3,
    TAG_STEP = 4, /* a step of a whole-file read without direct descriptors */
    TAG_CANCEL = 5,
    TAG_WAKE = 6,
    TAG_MASK = 7
};

/* loop_op.loop_flags */
enum uring_op_flags {
    OP_CANCELED = 1 << 0,   /* cancel() was called */
    OP_WAITING = 1 << 1,    /* in backlog or files */
    OP_IN_CANCELS = 1 << 2, /* its cancel request waits for room in the ring */
    OP_SAW_OPEN = 1 << 3,   /* chain: this CQE has come */
    OP_SAW_READ = 1 << 4,
    OP_SAW_CLOSE = 1 << 5,
    OP_OPENED = 1 << 6, /* chain: the slot holds a file until the close */
    OP_DONE = 1 << 7    /* in ready */
};

/* loop_op.loop_slot of a whole-file read: the slot of a chain, or the step without one. */
enum uring_step { STEP_OPEN = -1, STEP_READ = -2, STEP_CLOSE = -3 };

#define RETRIES_MAX 64
#define BUFFERS_MAX 16

struct loop {
    /* owner, hot */
    struct io_uring ring;
    uint32_t pending;    /* CQEs still to come for the SQEs written, all kinds */
    uint32_t op_limit;   /* frozen: pending may not exceed it by an operation's SQEs, */
    uint32_t cq_entries; /* nor this by any: so the CQ cannot overflow */
    bool chained;        /* a chain was written since the last enter */
    bool wake_armed;     /* the read of wake_fd is in the ring */
    bool woken;          /* a wake was reaped that wait() has not seen */
    uint32_t wait_tail;  /* CQ tail when wait() returned last: older wakes have been seen */
    struct op_list backlog;
    struct op_list files;
    struct op_list ready;
    struct op_list cancels; /* in the ring and OP_IN_CANCELS: `next` is free to use there */
    uint64_t enters;

    /* owner: tables */
    uint32_t *attach_free; /* stacks of free slots */
    uint32_t attach_free_count;
    uint32_t *chain_free;
    uint32_t chain_free_count;
    struct open_how_v0 *hows; /* one for each SQE: read by the kernel at submission */
    struct __kernel_timespec *times; /* likewise */
    uint64_t wake_value;             /* the kernel writes here */
    int32_t broken;           /* the ring refused to go on with this error; 0: it works */

    /* frozen */
    int wake_fd;
    uint32_t attach_count, chain_count; /* slots 0 .. attach_count - 1, then those of chains */
    uint32_t setup_flags;
    bool has_buffers, has_direct;
    const struct loop_os *os;
};

/* uring.c: calls the kernel to submit what is written. 0 or a negated errno that may pass. */
int uring_enter(struct loop *loop);

/* uring_complete.c: a CQE that is not simply the result of its operation. The operation if that
 * completes it. `position` is the CQE's place in the queue's count. */
struct loop_op *uring_complete(struct loop *loop, uint64_t user_data, int32_t result,
                               uint32_t position);

/* uring_setup.c */
int uring_create(const struct loop_config *config, struct loop **out, char *why, size_t why_bytes);
void uring_destroy(struct loop *loop);
void uring_abandon(struct loop *loop);
int uring_file_attach(struct loop *loop, int fd);
void uring_file_detach(struct loop *loop, int slot);
int uring_buffer_attach(struct loop *loop, unsigned index, void *addr, uint64_t bytes);
void uring_buffer_detach(struct loop *loop, unsigned index);
bool uring_can_read_file(const struct loop *loop);
void uring_describe(const struct loop *loop, char *text, size_t bytes);

/* The kernel has deferred work or an overflown CQE to hand over. */
static inline bool uring_needs_enter(const struct loop *loop)
{
    return (IO_URING_READ_ONCE(*loop->ring.sq.kflags) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

#endif
