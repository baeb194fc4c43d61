/* SPDX-License-Identifier: MIT */
/*
 * Design: what fault_calls.c does for system calls, for the functions of liburing that enter the
 * kernel. Submitting can fail for a while, or for good (EPERM of a filter that came late), which is
 * injected only where calls fail for ever.
 *
 * The completions that a call has brought are looked at when it returns, each once: where a read
 * succeeded the result may be changed. Only that of reads: an open that succeeds in secret would
 * leak its descriptor. The kernel did read, so a changed result never says more than it did.
 *
 * Threads: a ring is its worker's; the table of rings grows under a mutex and is searched without.
 */
#define _GNU_SOURCE
#include "fault_calls.h"

#ifndef LSIO_HAVE_URING

void fault_uring_begin(void)
{
}

bool fault_calls_broke_a_ring(void)
{
    return false;
}

#else

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "fault_inject.h"
#include "loop/loop.h"
#include "loop/uring_impl.h"

#define RINGS_MAX   64u
#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __real_io_uring_ring_dontfork(struct io_uring *ring);
int __wrap_io_uring_ring_dontfork(struct io_uring *ring);
int __real_io_uring_register_ring_fd(struct io_uring *ring);
int __wrap_io_uring_register_ring_fd(struct io_uring *ring);
int __real_io_uring_register_files_sparse(struct io_uring *ring, unsigned count);
int __wrap_io_uring_register_files_sparse(struct io_uring *ring, unsigned count);
int __real_io_uring_register_files_update(struct io_uring *ring, unsigned at, const int *fds,
                                          unsigned count);
int __wrap_io_uring_register_files_update(struct io_uring *ring, unsigned at, const int *fds,
                                          unsigned count);
int __real_io_uring_register_buffers_sparse(struct io_uring *ring, unsigned count);
int __wrap_io_uring_register_buffers_sparse(struct io_uring *ring, unsigned count);
int __real_io_uring_register_buffers_update_tag(struct io_uring *ring, unsigned at,
                                                const struct iovec *iov, const __u64 *tags,
                                                unsigned count);
int __wrap_io_uring_register_buffers_update_tag(struct io_uring *ring, unsigned at,
                                                const struct iovec *iov, const __u64 *tags,
                                                unsigned count);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned count, struct __kernel_timespec *timeout,
                                            sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned count, struct __kernel_timespec *timeout,
                                            sigset_t *mask);
int __real_io_uring_get_events(struct io_uring *ring);
int __wrap_io_uring_get_events(struct io_uring *ring);
int __real_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *timeout);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *timeout);

struct known_ring {
    _Atomic(struct io_uring *) ring;
    unsigned seen; /* completions looked at: the ring's owner */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct known_ring rings[RINGS_MAX];
static _Atomic unsigned ring_count;
static _Atomic bool ring_broke;

void fault_uring_begin(void)
{
    atomic_store(&ring_count, 0);
    atomic_store(&ring_broke, false);
}

bool fault_calls_broke_a_ring(void)
{
    return atomic_load(&ring_broke);
}

/* ----------------------------------------------------------------------------- completions -- */

static void ring_add(struct io_uring *ring)
{
    unsigned count;

    pthread_mutex_lock(&mutex);
    count = atomic_load(&ring_count);
    if (count < RINGS_MAX) {
        rings[count].seen = 0;
        atomic_store(&rings[count].ring, ring);
        atomic_store(&ring_count, count + 1);
    }
    pthread_mutex_unlock(&mutex);
}

/* The newest of that address: an older one has been freed. */
static struct known_ring *ring_find(struct io_uring *ring)
{
    for (unsigned i = atomic_load(&ring_count); i-- > 0;)
        if (atomic_load(&rings[i].ring) == ring)
            return &rings[i];
    return NULL;
}

static bool is_read(const struct io_uring_cqe *cqe)
{
    const struct loop_op *op = (struct loop_op *)(uintptr_t)(cqe->user_data & ~(__u64)TAG_MASK);
    enum uring_tag tag = (enum uring_tag)(cqe->user_data & TAG_MASK);

    return cqe->res > 0 && (tag == TAG_READ || (tag == TAG_OP && op &&
                                                (op->kind == LOOP_READ || op->kind == LOOP_READV)));
}

static void look_at_completions(struct io_uring *ring)
{
    struct known_ring *known = ring_find(ring);
    unsigned tail = io_uring_smp_load_acquire(ring->cq.ktail);

    while (known && known->seen != tail) {
        struct io_uring_cqe *cqe = &ring->cq.cqes[known->seen++ & ring->cq.ring_mask];
        int error =
            is_read(cqe)
                ? fault_call_strikes(ERRORS(EIO, FAULT_SHORT, EINTR, EAGAIN, ESTALE, ENOMEM))
                : 0;
        if (error == FAULT_SHORT)
            cqe->res -= cqe->res / 2;
        else if (error)
            cqe->res = -error;
    }
}

static int looked(struct io_uring *ring, int result)
{
    look_at_completions(ring);
    return result;
}

/* ---------------------------------------------------------------------------------- set-up -- */

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
    int error = fault_call_strikes(ERRORS(EPERM, ENOMEM, EMFILE, ENOSYS, EINVAL));
    int result = error ? -error : __real_io_uring_queue_init_params(entries, ring, params);

    if (result == 0)
        ring_add(ring);
    return result;
}

int __wrap_io_uring_ring_dontfork(struct io_uring *ring)
{
    int error = fault_call_strikes(ERRORS(EINVAL, ENOMEM));

    return error ? -error : __real_io_uring_ring_dontfork(ring);
}

int __wrap_io_uring_register_ring_fd(struct io_uring *ring)
{
    int error = fault_call_strikes(ERRORS(EINVAL, ENOMEM, EBUSY));

    return error ? -error : __real_io_uring_register_ring_fd(ring);
}

int __wrap_io_uring_register_files_sparse(struct io_uring *ring, unsigned count)
{
    int error = fault_call_strikes(ERRORS(EMFILE, ENOMEM, EINVAL));

    return error ? -error : __real_io_uring_register_files_sparse(ring, count);
}

int __wrap_io_uring_register_files_update(struct io_uring *ring, unsigned at, const int *fds,
                                          unsigned count)
{
    int error = fault_call_strikes(ERRORS(ENOMEM, EMFILE));

    return error ? -error : __real_io_uring_register_files_update(ring, at, fds, count);
}

int __wrap_io_uring_register_buffers_sparse(struct io_uring *ring, unsigned count)
{
    int error = fault_call_strikes(ERRORS(ENOMEM, EINVAL));

    return error ? -error : __real_io_uring_register_buffers_sparse(ring, count);
}

int __wrap_io_uring_register_buffers_update_tag(struct io_uring *ring, unsigned at,
                                                const struct iovec *iov, const __u64 *tags,
                                                unsigned count)
{
    int error = fault_call_strikes(ERRORS(ENOMEM, EOPNOTSUPP));

    return error ? -error : __real_io_uring_register_buffers_update_tag(ring, at, iov, tags, count);
}

/* -------------------------------------------------------------------------------- entering -- */

static int enter_strikes(void)
{
    int error = fault_is_forever() ? fault_call_strikes(ERRORS(EAGAIN, EPERM, EBUSY, EINTR, EINVAL))
                                   : fault_call_strikes(ERRORS(EAGAIN, EBUSY, ENOMEM, EINTR));

    if (error == EPERM || error == EINVAL)
        atomic_store(&ring_broke, true);
    return error;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
    int error = enter_strikes();

    return error ? -error : looked(ring, __real_io_uring_submit(ring));
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
    int error = enter_strikes();

    return error ? -error : looked(ring, __real_io_uring_submit_and_get_events(ring));
}

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned count, struct __kernel_timespec *timeout,
                                            sigset_t *mask)
{
    int error = enter_strikes();

    return error ? -error
                 : looked(ring,
                          __real_io_uring_submit_and_wait_timeout(ring, cqe, count, timeout, mask));
}

int __wrap_io_uring_get_events(struct io_uring *ring)
{
    int error = fault_call_strikes(ERRORS(EINTR, EAGAIN));

    return error ? -error : looked(ring, __real_io_uring_get_events(ring));
}

int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     struct __kernel_timespec *timeout)
{
    int error = fault_call_strikes(ERRORS(EINTR, EAGAIN));

    return error ? -error : looked(ring, __real_io_uring_wait_cqe_timeout(ring, cqe, timeout));
}

#endif
