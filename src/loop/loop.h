/* SPDX-License-Identifier: MIT */
/*
 * loop.h - what the operating system gives: a small proactor that holds every touch of the outside
 * world.
 *
 * One loop belongs to one worker thread: it is created, used and destroyed there. The exceptions
 * are wake(), which any thread may call, and abandon(), for a forked child.
 *
 * The contract
 *   - submit() queues an operation; the operation and the memory it names belong to the loop until
 *     reap() hands it back. Each submitted operation is handed back exactly once, also after
 *     cancel().
 *   - Nothing completes from inside submit(): only reap() gives completions, and the loop never
 *   calls
 *     the submitter.
 *   - flush() hands queued operations to the kernel without blocking. What completed at once can be
 *     reaped straight after it.
 *   - wait() flushes, then blocks until at least one completion can be reaped, wake() was called
 *   since
 *     the last wait() returned, or `until` has passed. It may return early for no reason.
 *   - No operation fails because a queue is full: the loop keeps a backlog (intrusive, unbounded,
 *   for
 *     the caller bounds what is in flight by `inflight_max`).
 *   - EINTR and EAGAIN of the kernel's own making are retried inside the loop; short reads are not:
 *     the result is what one read gave.
 */
#ifndef LSIO_LOOP_LOOP_H
#define LSIO_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/os.h"

enum loop_kind {
    LOOP_READ = 0,  /* fd or file, offset, addr, bytes (<= 1 GiB): result = bytes read */
    LOOP_READV = 1, /* fd or file, offset, iov, iov_count (<= 1024) */
    LOOP_OPEN = 2,  /* dirfd in fd, path, open_flags, beneath: result = a real descriptor */
    LOOP_CLOSE = 3, /* fd */
    /* open, read, close as one: dirfd in fd, path, open_flags, beneath, offset, addr, bytes.
     * result = bytes read, or the error of the step named in `step`. Devices are not read: -EXDEV,
     * which may also mean that the path leaves dirfd's mount; open it then by itself, and look. */
    LOOP_READ_FILE = 4,
    /* fd, poll_events (POLLIN, POLLOUT): result = what is ready (POLLHUP and POLLERR too), once.
     * One at a time per descriptor; it is canceled and reaped before the descriptor is closed. */
    LOOP_POLL = 5,
    /* offset, a time of os->now_ns(): result = 0 when it has come. */
    LOOP_TIMER = 6
};

enum loop_step { LOOP_STEP_OPEN = 0, LOOP_STEP_READ = 1 };

struct loop_op {
    struct loop_op *next; /* the loop's while submitted; links the list that reap() returns */
    void (*done)(struct loop_op *op); /* the submitter's; the loop does not call it */
    int64_t result;       /* >= 0, or a negated errno */
    uint8_t kind;         /* enum loop_kind */
    uint8_t step;         /* enum loop_step, with LOOP_READ_FILE and result < 0 */
    uint8_t beneath;      /* open with RESOLVE_BENEATH */
    uint8_t loop_flags;   /* the loop's */
    int16_t buffer;       /* index of the registered buffer that holds addr; -1: none */
    int16_t loop_slot;    /* the loop's */
    int32_t fd;           /* a descriptor, or the directory for OPEN and READ_FILE */
    int32_t file;         /* a slot from file_attach(), used instead of fd; -1: none */
    union {
        uint32_t open_flags;  /* O_*; the loop adds O_CLOEXEC */
        uint32_t poll_events;
    };
    uint32_t iov_count;
    uint64_t offset; /* in the file; LOOP_TIMER: the time */
    void *addr;
    uint64_t bytes;
    const struct iovec *iov; /* borrowed until reaped */
    const char *path;        /* borrowed until reaped */
    int64_t loop_data;       /* the loop's */
};

struct loop; /* each loop's own; begins with nothing public */

struct loop_config {
    uint32_t inflight_max; /* operations that will be submitted and not reaped, at most */
    uint32_t files_max;    /* slots wanted for file_attach */
    uint32_t gates_off;    /* enum lsio_gate */
    uint32_t worker;       /* ordinal, for messages */
    const struct loop_os *os;
    void *shared;          /* what shared_create() of this loop made, or NULL */
};

struct loop_ops {
    const char *name;
    /* State shared by all loops of a context (epoll: its pool of pread threads); may be NULL. */
    int (*shared_create)(const struct loop_os *os, void **out);
    void (*shared_destroy)(void *shared);

    /* Makes a loop on the calling thread, which owns it from then on. On failure `why` says what
     * the kernel refused and what that usually means (seccomp, sysctl, old kernel). */
    int (*create)(const struct loop_config *config, struct loop **out, char *why, size_t why_bytes);
    void (*destroy)(struct loop *loop); /* with nothing in flight */
    /* In a forked child: frees memory and closes inherited descriptors, touching nothing shared
     * with the parent. Any thread. */
    void (*abandon)(struct loop *loop);

    void (*submit)(struct loop *loop, struct loop_op *op);
    void (*flush)(struct loop *loop);
    struct loop_op *(*reap)(struct loop *loop, unsigned max); /* oldest first; NULL: none */
    void (*wait)(struct loop *loop, uint64_t until_ns);       /* UINT64_MAX: no limit */
    /* Flushes, and waits until `want` completions can be reaped or `for_ns` (< 1 s) have passed.
     * Wake-ups need not end it: keep it short. NULL: the loop has nothing cheaper than wait(). */
    void (*gather)(struct loop *loop, unsigned want, uint64_t for_ns);
    void (*wake)(struct loop *loop);                          /* any thread; async, sticky */
    /* Asks for an early end of a submitted operation; it still is reaped once: -ECANCELED or its
     * real result. */
    void (*cancel)(struct loop *loop, struct loop_op *op);

    int (*file_attach)(struct loop *loop, int fd); /* a slot >= 0, or -errno: use the fd */
    void (*file_detach)(struct loop *loop, int slot);
    /* Registers memory as buffer `index` (0 .. 15): 0 or -errno. */
    int (*buffer_attach)(struct loop *loop, unsigned index, void *addr, uint64_t bytes);
    void (*buffer_detach)(struct loop *loop, unsigned index);

    bool (*can_read_file)(const struct loop *loop); /* LOOP_READ_FILE is cheaper than its steps */
    void (*describe)(const struct loop *loop, char *text, size_t bytes); /* features in use */
    /* True once the kernel refuses to go on, and nothing waits in the loop itself any more:
     * operations end with its errno, and of those that were in flight then, some may never come
     * back. NULL: that cannot be. */
    bool (*broken)(const struct loop *loop);
    uint64_t (*enters)(const struct loop *loop); /* system calls that submitted or waited */
};

#endif
