/* SPDX-License-Identifier: MIT */
/*
 * uring_setup.c - makes a ring and its tables, and takes them down.
 *
 * Purpose: find the best ring this kernel gives, feature by feature, and say exactly why if it
 * gives none. Each feature is asked for and, when refused, done without; gates_off refuses it here.
 *
 * The file table has two parts: slots for file_attach(), then slots for whole-file chains; the
 * kernel's limit on its size is RLIMIT_NOFILE, so it is halved until it fits. The buffer table is
 * sparse, for BUFFERS_MAX buffers.
 *
 * destroy() waits for the wake read and unregisters the tables before it closes the ring: closing
 * alone would do both some time later, and the next ring of the process could meet RLIMIT_MEMLOCK.
 *
 * Threads: the owner (SINGLE_ISSUER binds the ring to the thread that makes it); abandon() by the
 * only thread of a forked child: the ring's mappings are MADV_DONTFORK and do not exist there.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef LSIO_HAVE_URING

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mark.h"
#include "lsio/lsio.h"
#include "loop/uring_impl.h"

#define SQ_ENTRIES_MAX      256u
#define CQ_ENTRIES_MAX      65536u
#define CHAINS_MAX          128u
#define INFLIGHT_USEFUL_MAX 8192u /* more than this waits in the backlog */
#define WAKE_END_TRIES      1000
#define FEATURES_NEEDED     (IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE)

/* --------------------------------------------------------------------------------- reasons -- */

static int fail(char *why, size_t bytes, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t bytes, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (why && bytes)
        (void)vsnprintf(why, bytes, format, args);
    va_end(args);
    return error;
}

static int explain_setup(const struct loop_config *config, int error, char *why, size_t bytes)
{
    char disabled[16] = "";
    struct rlimit limit = {0, 0};

    switch (error) {
    case -EPERM:
        LSIO_MARK(uring_refused);
        if (config->os->read_text("/proc/sys/kernel/io_uring_disabled", disabled, sizeof disabled) <
            0)
            disabled[0] = '\0';
        if (disabled[0] == '2')
            return fail(why, bytes, error,
                        "io_uring_setup: EPERM: kernel.io_uring_disabled is 2 (off for everybody)");
        if (disabled[0] == '1')
            return fail(why, bytes, error,
                        "io_uring_setup: EPERM: kernel.io_uring_disabled is 1 (only for members of "
                        "kernel.io_uring_group and CAP_SYS_ADMIN)");
        return fail(why, bytes, error,
                    "io_uring_setup: EPERM: most likely a seccomp filter (container runtimes' "
                    "default profiles refuse io_uring)");
    case -ENOSYS:
        return fail(
            why, bytes, error,
            "io_uring_setup: ENOSYS: the kernel is older than 5.1 or built without io_uring, "
            "or a sandbox (gVisor, seccomp) hides it");
    case -ENOMEM:
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        return fail(
            why, bytes, error,
            "io_uring_setup: ENOMEM: RLIMIT_MEMLOCK is %llu KiB (many kernels count rings "
            "against it), or the machine is out of memory",
            (unsigned long long)limit.rlim_cur / 1024);
    case -EMFILE:
    case -ENFILE:
        LSIO_MARK(uring_no_descriptor);
        return fail(why, bytes, error, "io_uring_setup: no descriptor is free (RLIMIT_NOFILE)");
    default:
        return fail(why, bytes, error, "io_uring_setup: error %d", -error);
    }
}

/* ------------------------------------------------------------------------------------ ring -- */

static uint32_t power_of_two(uint32_t least)
{
    uint32_t value = 1;

    while (value < least)
        value *= 2;
    return value;
}

/* From the newest kernel to the oldest; each line needs all that the lines below it need. */
static const unsigned setup_ladder[] = {
    /* 6.1 */ IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    /* 6.0 */ IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SUBMIT_ALL,
    /* 5.19 */ IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    /* 5.18 */ IORING_SETUP_SUBMIT_ALL,
    /* 5.11 */ 0,
};

static unsigned allowed_flags(unsigned flags, uint32_t gates_off)
{
    if (gates_off & LSIO_GATE_SINGLE_ISSUER)
        flags &= ~(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (gates_off & LSIO_GATE_DEFER_TASKRUN)
        flags &= ~IORING_SETUP_DEFER_TASKRUN;
    if (gates_off & LSIO_GATE_COOP_TASKRUN)
        flags &= ~IORING_SETUP_COOP_TASKRUN;
    if (!(flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)))
        flags &= ~IORING_SETUP_TASKRUN_FLAG;
    return flags;
}

static int make_ring(struct loop *loop, const struct loop_config *config, char *why, size_t bytes)
{
    uint32_t inflight =
        config->inflight_max < INFLIGHT_USEFUL_MAX ? config->inflight_max : INFLIGHT_USEFUL_MAX;
    uint32_t sq = power_of_two(3 * inflight + 2), cq = power_of_two(4 * inflight + 16);
    unsigned before = ~0u;
    int error = -EINVAL;

    sq = sq < SQ_ENTRIES_MAX ? sq : SQ_ENTRIES_MAX;
    cq = cq > 2 * sq ? cq : 2 * sq;
    cq = cq < CQ_ENTRIES_MAX ? cq : CQ_ENTRIES_MAX;
    for (size_t i = 0; i < sizeof setup_ladder / sizeof *setup_ladder && error == -EINVAL; i++) {
        unsigned flags = allowed_flags(setup_ladder[i], config->gates_off);
        struct io_uring_params params;

        if (flags == before)
            continue;
        before = flags;
        memset(&params, 0, sizeof params);
        params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = cq;
        error = io_uring_queue_init_params(sq, &loop->ring, &params);
        if (error)
            continue;
        loop->setup_flags = flags;
        loop->cq_entries = params.cq_entries;
        /* A quarter of the queue is for the wake and the results of cancels. */
        loop->op_limit = params.cq_entries - params.cq_entries / 4;
        if ((params.features & FEATURES_NEEDED) == FEATURES_NEEDED)
            return 0;
        io_uring_queue_exit(&loop->ring);
        loop->ring.ring_fd = -1;
        return fail(why, bytes, -ENOSYS, "io_uring: the kernel is older than 5.11");
    }
    return explain_setup(config, error, why, bytes);
}

/* ---------------------------------------------------------------------------------- tables -- */

static int fill_stack(uint32_t **stack, uint32_t *stack_count, uint32_t first, uint32_t count)
{
    *stack = malloc(count ? count * sizeof **stack : 1);
    if (!*stack)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        (*stack)[i] = first + count - 1 - i; /* the lowest slot is used first */
    *stack_count = count;
    return 0;
}

static int make_file_table(struct loop *loop, const struct loop_config *config)
{
    bool direct = !(config->gates_off & LSIO_GATE_DIRECT_DESCRIPTORS) &&
                  (loop->ring.features & IORING_FEAT_LINKED_FILE);
    uint32_t chains = !direct                             ? 0
                      : config->inflight_max < CHAINS_MAX ? config->inflight_max
                                                          : CHAINS_MAX;
    uint32_t files = config->gates_off & LSIO_GATE_REGISTERED_FILES ? 0 : config->files_max;
    int error;

    if (files > INT16_MAX - CHAINS_MAX)
        files = INT16_MAX - CHAINS_MAX;
    while (files + chains) {
        error = io_uring_register_files_sparse(&loop->ring, files + chains);
        if (!error)
            break;
        LSIO_MARK(uring_file_table_refused);
        if (error != -EMFILE && error != -ENOMEM) /* before 5.19: not known */
            files = chains = 0;
        files /= 2;
        chains /= 2;
    }
    loop->attach_count = files;
    loop->chain_count = chains;
    loop->has_direct = chains > 0;
    error = fill_stack(&loop->attach_free, &loop->attach_free_count, 0, files);
    if (!error)
        error = fill_stack(&loop->chain_free, &loop->chain_free_count, files, chains);
    return error;
}

int uring_create(const struct loop_config *config, struct loop **out, char *why, size_t why_bytes)
{
    struct loop *loop;
    int error;

    if (!config->inflight_max)
        return fail(why, why_bytes, -EINVAL, "uring: inflight_max is 0");
    loop = calloc(1, sizeof *loop);
    if (!loop)
        return fail(why, why_bytes, -ENOMEM, "uring: out of memory");
    loop->os = config->os;
    loop->wake_fd = loop->ring.ring_fd = -1;
    error = make_ring(loop, config, why, why_bytes);
    if (error)
        goto fail;
    error = io_uring_get_events(&loop->ring); /* a filter may let rings be made, but not used */
    if (error == -EPERM || error == -EACCES || error == -ENOSYS) {
        (void)fail(why, why_bytes, error, "io_uring_enter: error %d: a seccomp filter refuses it",
                   -error);
        goto fail;
    }
    error = io_uring_ring_dontfork(&loop->ring);
    if (error) {
        (void)fail(why, why_bytes, error, "uring: madvise(MADV_DONTFORK): error %d", -error);
        goto fail;
    }
    (void)io_uring_register_ring_fd(&loop->ring); /* 5.18: saves a look-up for each enter */
    loop->wake_fd = eventfd(0, EFD_CLOEXEC);      /* blocking: a read of it must wait in the ring */
    if (loop->wake_fd < 0) {
        error = -errno;
        (void)fail(why, why_bytes, error, "uring: eventfd: error %d", -error);
        goto fail;
    }
    loop->hows = calloc(loop->ring.sq.ring_entries, sizeof *loop->hows);
    loop->times = calloc(loop->ring.sq.ring_entries, sizeof *loop->times);
    error = loop->hows && loop->times ? make_file_table(loop, config) : -ENOMEM;
    if (error) {
        (void)fail(why, why_bytes, error, "uring: out of memory");
        goto fail;
    }
    loop->has_buffers = !(config->gates_off & LSIO_GATE_REGISTERED_BUFFERS) &&
                        io_uring_register_buffers_sparse(&loop->ring, BUFFERS_MAX) == 0;
    *out = loop;
    return 0;
fail:
    uring_destroy(loop);
    return error;
}

/* Ends the armed read of the eventfd, so that the kernel holds nothing of ours. */
static void end_wake(struct loop *loop)
{
    loop_uring.wake(loop);
    for (int i = 0; i < WAKE_END_TRIES && loop->wake_armed && !loop->broken; i++) {
        loop->woken = false;
        if (!io_uring_cq_ready(&loop->ring)) {
            struct __kernel_timespec pause = {0, 1000000};
            struct io_uring_cqe *cqe;

            (void)io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &pause, NULL);
        }
        (void)loop_uring.reap(loop, UINT32_MAX);
    }
}

void uring_destroy(struct loop *loop)
{
    if (!loop)
        return;
    assert(!loop->backlog.first && !loop->files.first && !loop->ready.first);
    if (loop->ring.ring_fd >= 0) {
        if (loop->wake_armed)
            end_wake(loop);
        if (loop->has_buffers)
            (void)io_uring_unregister_buffers(&loop->ring);
        if (loop->attach_count + loop->chain_count)
            (void)io_uring_unregister_files(&loop->ring);
        io_uring_queue_exit(&loop->ring);
    }
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    free(loop->hows);
    free(loop->times);
    free(loop->attach_free);
    free(loop->chain_free);
    free(loop);
}

void uring_abandon(struct loop *loop)
{
    if (!loop)
        return;
    (void)close(loop->ring.ring_fd);
    (void)close(loop->wake_fd);
    free(loop->hows);
    free(loop->times);
    free(loop->attach_free);
    free(loop->chain_free);
    free(loop);
}

/* ----------------------------------------------------------------------------- attach etc. -- */

int uring_file_attach(struct loop *loop, int fd)
{
    uint32_t slot;
    int ret;

    if (!loop->attach_count)
        return -EOPNOTSUPP;
    if (!loop->attach_free_count) {
        LSIO_MARK(uring_file_table_full);
        return -ENOSPC;
    }
    slot = loop->attach_free[loop->attach_free_count - 1];
    ret = io_uring_register_files_update(&loop->ring, slot, &fd, 1);
    if (ret < 0)
        return ret;
    loop->attach_free_count--;
    return (int)slot;
}

void uring_file_detach(struct loop *loop, int slot)
{
    int none = -1;

    assert(slot >= 0 && (uint32_t)slot < loop->attach_count + loop->chain_count);
    if (io_uring_register_files_update(&loop->ring, (unsigned)slot, &none, 1) < 0)
        return; /* out of memory: the slot stays lost, rather than name the wrong file */
    if ((uint32_t)slot < loop->attach_count)
        loop->attach_free[loop->attach_free_count++] = (uint32_t)slot;
    else
        loop->chain_free[loop->chain_free_count++] = (uint32_t)slot;
}

static int update_buffer(struct loop *loop, unsigned index, void *addr, uint64_t bytes)
{
    struct iovec iov = {.iov_base = addr, .iov_len = (size_t)bytes};
    __u64 tag = 0;
    int ret = io_uring_register_buffers_update_tag(&loop->ring, index, &iov, &tag, 1);

    if (ret < 0)
        LSIO_MARK(uring_buffer_refused);
    return ret < 0 ? ret : 0;
}

int uring_buffer_attach(struct loop *loop, unsigned index, void *addr, uint64_t bytes)
{
    if (index >= BUFFERS_MAX || !addr || !bytes)
        return -EINVAL;
    if (!loop->has_buffers)
        return -EOPNOTSUPP;
    return update_buffer(loop, index, addr, bytes);
}

void uring_buffer_detach(struct loop *loop, unsigned index)
{
    if (index < BUFFERS_MAX && loop->has_buffers)
        (void)update_buffer(loop, index, NULL, 0);
}

bool uring_can_read_file(const struct loop *loop)
{
    return loop->has_direct;
}

void uring_describe(const struct loop *loop, char *text, size_t bytes)
{
    unsigned flags = loop->setup_flags;

    if (!bytes)
        return;
    (void)snprintf(text, bytes, "sq %u cq %u%s%s%s files %u%s%s%s", loop->ring.sq.ring_entries,
                   loop->cq_entries, flags & IORING_SETUP_SINGLE_ISSUER ? " single_issuer" : "",
                   flags & IORING_SETUP_DEFER_TASKRUN ? " defer_taskrun" : "",
                   flags & IORING_SETUP_COOP_TASKRUN ? " coop_taskrun" : "", loop->attach_count,
                   loop->attach_count ? " registered" : "",
                   loop->has_buffers ? " buffers registered" : "",
                   loop->has_direct ? " direct_descriptors" : "");
}

#endif
