/* SPDX-License-Identifier: MIT */
/*
 * sim_loop.c - the simulated loop: see sim_loop.h.
 *
 * flush() draws for each operation when it will complete (`due`, in loop_data); reap() hands out
 * those whose time has come, in the order of `due`, and only then do they take effect: a file that
 * changes meanwhile is read as it is at that moment. A canceled operation ends at once or, by the
 * draw, as if it had been too late. All state is under the world's mutex.
 *
 * Waiting is done in one of three ways: virtual time on one thread is moved on, real time is slept
 * through (`threaded`), a fiber lets others run (sim_threads.h). In all of them only the thread
 * that made a loop may use it, but for wake().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sim_loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop/op_list.h"
#include "sim_threads.h"
#include "sim_world.h"

#define BUFFERS_MAX 16
#define EARLY_PERMILLE 10 /* waits that return for no reason */

enum { OP_CANCELED = 1, OP_FLUSHED = 2 };

struct loop {
    struct loop *next; /* all loops of the world */
    pthread_t owner;
    struct op_list queued, flying;
    uint64_t enters;
    pthread_cond_t changed; /* threaded: woken */
    bool woken, deaf;       /* deaf: a wake-up does not end this wait */
    struct sim_inode **slots;
    int *slot_flags;
    uint32_t slot_count;
    struct iovec buffers[BUFFERS_MAX];
};

static struct loop *loops;

/* ------------------------------------------------------------------------------ operations -- */

static unsigned op_vector(const struct loop_op *op, struct iovec *one, const struct iovec **iov)
{
    *one = (struct iovec){.iov_base = op->addr, .iov_len = (size_t)op->bytes};
    *iov = op->kind == LOOP_READV ? op->iov : one;
    return op->kind == LOOP_READV ? op->iov_count : 1;
}

static bool is_read(const struct loop_op *op)
{
    return op->kind == LOOP_READ || op->kind == LOOP_READV || op->kind == LOOP_READ_FILE;
}

static void poison(const struct loop_op *op)
{
    const struct iovec *iov;
    struct iovec one;

    if (!is_read(op))
        return;
    for (unsigned i = 0, count = op_vector(op, &one, &iov); i < count; i++)
        if (iov[i].iov_len)
            memset(iov[i].iov_base, SIM_POISON, iov[i].iov_len);
}

static int64_t run_read(struct loop *loop, struct loop_op *op, struct sim_inode *inode, int flags)
{
    const struct iovec *iov;
    struct iovec one;
    unsigned count = op_vector(op, &one, &iov);
    int64_t result;

    if (op->buffer >= 0) {
        const struct iovec *buffer = &loop->buffers[op->buffer];
        const char *begin = buffer->iov_base, *addr = op->addr;

        if (op->kind == LOOP_READV || !begin || addr < begin ||
            addr + op->bytes > begin + buffer->iov_len)
            return -EFAULT;
    }
    if (sim_strikes(op->kind, inode->path, &result)) {
        if (result <= 0)
            return result;
        one.iov_len = (size_t)result < op->bytes ? (size_t)result : (size_t)op->bytes;
        if (op->kind != LOOP_READV)
            iov = &one;
    }
    return sim_read_inode(inode, flags, iov, count, op->offset);
}

static int64_t run_open(struct loop_op *op, unsigned kind)
{
    char path[SIM_PATH_BYTES];
    int64_t result = sim_resolve(op->fd, op->path, op->beneath, path, sizeof path);

    if (!result && !sim_strikes(kind, path, &result))
        result = sim_open_path(path, (int)op->open_flags);
    return result;
}

static int64_t run_file(struct loop *loop, struct loop_op *op)
{
    int64_t fd, result;
    int flags;

    op->step = LOOP_STEP_OPEN;
    fd = run_open(op, LOOP_OPEN);
    if (fd < 0)
        return fd;
    op->step = LOOP_STEP_READ;
    result = run_read(loop, op, sim_fd_inode((int)fd, &flags), (int)op->open_flags);
    (void)sim_close_fd((int)fd);
    return result;
}

/* The operation takes effect. */
static int64_t run(struct loop *loop, struct loop_op *op)
{
    struct sim_inode *inode;
    int flags = 0;

    sim_call_hook(op);
    switch ((enum loop_kind)op->kind) {
    case LOOP_READ:
    case LOOP_READV:
        if (op->file >= 0) {
            assert((uint32_t)op->file < loop->slot_count);
            inode = loop->slots[op->file];
            flags = loop->slot_flags[op->file];
        } else {
            inode = sim_fd_inode(op->fd, &flags);
        }
        return inode ? run_read(loop, op, inode, flags) : -EBADF;
    case LOOP_OPEN:
        return run_open(op, LOOP_OPEN);
    case LOOP_CLOSE:
        return sim_close_fd(op->fd);
    case LOOP_READ_FILE:
        return run_file(loop, op);
    case LOOP_POLL:
        return -EBADF; /* the world has no sockets */
    case LOOP_TIMER:
        return 0;
    }
    return -EINVAL;
}

/* --------------------------------------------------------------------- submit, flush, reap -- */

/* Each call by the owner begins so. */
static void loop_enter(struct loop *loop)
{
    assert(pthread_equal(loop->owner, pthread_self()));
    sim_point();
    sim_lock();
}

static void sim_submit(struct loop *loop, struct loop_op *op)
{
    loop_enter(loop);
    op->loop_flags = 0;
    poison(op);
    op_list_append(&loop->queued, op);
    sim_unlock();
}

static void flush_locked(struct loop *loop)
{
    const struct sim_config *config = sim_settings();
    uint64_t now = sim_clock();
    uint32_t span = (uint32_t)(config->latency_max_ns - config->latency_min_ns);
    struct loop_op *op;

    loop->enters += loop->queued.first != NULL;
    while ((op = op_list_take(&loop->queued)) != NULL) {
        uint64_t latency = 0;

        if (!(op->loop_flags & OP_CANCELED) && !sim_chance(config->cached_permille))
            latency = config->latency_min_ns + (span ? sim_draw(span) : 0);
        op->loop_data = (int64_t)(now + latency);
        if (op->kind == LOOP_TIMER && !(op->loop_flags & OP_CANCELED))
            op->loop_data = (int64_t)(op->offset > now ? op->offset : now);
        op->loop_flags |= OP_FLUSHED;
        op_list_append(&loop->flying, op);
    }
}

static void sim_flush(struct loop *loop)
{
    loop_enter(loop);
    flush_locked(loop);
    sim_unlock();
}

static uint64_t loop_next(const struct loop *loop)
{
    uint64_t next = SIM_NEVER;

    for (const struct loop_op *op = loop->flying.first; op; op = op->next)
        if ((uint64_t)op->loop_data < next)
            next = (uint64_t)op->loop_data;
    return next;
}

/* The operation that is due first, if its time has come. */
static struct loop_op *take_due(struct loop *loop, uint64_t now)
{
    struct loop_op *best = NULL;

    for (struct loop_op *op = loop->flying.first; op; op = op->next)
        if ((uint64_t)op->loop_data <= now && (!best || op->loop_data < best->loop_data))
            best = op;
    if (best)
        (void)op_list_remove(&loop->flying, best);
    return best;
}

static struct loop_op *sim_reap(struct loop *loop, unsigned max)
{
    struct loop_op *first = NULL, **end = &first, *op;
    uint64_t now;

    loop_enter(loop);
    now = sim_clock();
    for (unsigned count = 0; count < max && (op = take_due(loop, now)) != NULL; count++) {
        op->result = op->loop_flags & OP_CANCELED ? -ECANCELED : run(loop, op);
        *end = op;
        end = &op->next;
    }
    *end = NULL;
    sim_unlock();
    return first;
}

/* ---------------------------------------------------------------------------- wait, cancel -- */

static void wait_threaded(struct loop *loop, uint64_t until_ns)
{
    struct timespec time = {.tv_sec = (time_t)(until_ns / 1000000000u),
                            .tv_nsec = (long)(until_ns % 1000000000u)};

    if (until_ns == SIM_NEVER)
        pthread_cond_wait(&loop->changed, sim_mutex());
    else
        (void)pthread_cond_timedwait(&loop->changed, sim_mutex(), &time);
}

static bool has_woken(void *loop)
{
    const struct loop *own = loop;

    return own->woken && !own->deaf;
}

/* Until that time, or until wake(). */
static void wait_locked(struct loop *loop, uint64_t until_ns)
{
    if (has_woken(loop) || until_ns <= sim_clock())
        return;
    if (sim_settings()->threaded) {
        wait_threaded(loop, until_ns);
    } else if (sim_threads_running()) {
        sim_unlock();
        sim_threads_wait(has_woken, loop, until_ns);
        sim_lock();
    } else if (until_ns == SIM_NEVER) {
        (void)fprintf(stderr, "sim: a wait that nothing will end\n");
        abort();
    } else {
        sim_unlock();
        sim_advance(until_ns);
        sim_lock();
    }
}

static void sim_wait(struct loop *loop, uint64_t until_ns)
{
    uint64_t next;

    loop_enter(loop);
    flush_locked(loop);
    loop->enters++;
    next = loop_next(loop);
    if (!sim_threads_running() || !sim_chance(EARLY_PERMILLE))
        wait_locked(loop, next < until_ns ? next : until_ns);
    loop->woken = false;
    sim_unlock();
}

/* When `want` operations are due; SIM_NEVER: there are not so many. */
static uint64_t due_count(const struct loop *loop, unsigned want)
{
    uint64_t time = 0;

    while (want) {
        uint64_t next = SIM_NEVER;
        unsigned count = 0;

        for (const struct loop_op *op = loop->flying.first; op; op = op->next) {
            uint64_t due = (uint64_t)op->loop_data;

            count += due <= time;
            if (due > time && due < next)
                next = due;
        }
        if (count >= want || next == SIM_NEVER)
            return count >= want ? time : SIM_NEVER;
        time = next;
    }
    return time;
}

/* Sometimes a wake-up ends it; it is kept for the next wait(). */
static void sim_gather(struct loop *loop, unsigned want, uint64_t for_ns)
{
    uint64_t until_ns, due_ns;

    loop_enter(loop);
    flush_locked(loop);
    loop->enters++;
    until_ns = sim_clock() + for_ns;
    due_ns = due_count(loop, want);
    loop->deaf = sim_chance(500);
    wait_locked(loop, due_ns < until_ns ? due_ns : until_ns);
    loop->deaf = false;
    sim_unlock();
}

static bool is_alive(const struct loop *loop)
{
    const struct loop *at = loops;

    while (at && at != loop)
        at = at->next;
    return at != NULL;
}

static void sim_wake(struct loop *loop)
{
    sim_point();
    sim_lock();
    assert(is_alive(loop)); /* also where nothing watches freed memory */
    loop->woken = true;
    if (sim_settings()->threaded)
        pthread_cond_signal(&loop->changed);
    sim_unlock();
}

static void sim_cancel(struct loop *loop, struct loop_op *op)
{
    loop_enter(loop);
    if (op->kind != LOOP_CLOSE && !(op->loop_flags & OP_CANCELED)) {
        uint64_t now = sim_clock();

        if (!(op->loop_flags & OP_FLUSHED)) {
            op->loop_flags |= OP_CANCELED;
        } else if ((uint64_t)op->loop_data > now && (op->kind == LOOP_TIMER || sim_chance(700))) {
            op->loop_flags |= OP_CANCELED;
            op->loop_data = (int64_t)now;
        }
    }
    sim_unlock();
}

/* ---------------------------------------------------------------------------------- tables -- */

static int sim_file_attach(struct loop *loop, int fd)
{
    struct sim_inode *inode;
    int64_t slot = -ENOSPC;
    int flags = 0;

    if (sim_settings()->no_tables || !loop->slot_count)
        return -EOPNOTSUPP;
    loop_enter(loop);
    inode = sim_fd_inode(fd, &flags);
    if (!inode)
        slot = -EBADF;
    else
        (void)sim_strikes(SIM_ATTACH_FILE, inode->path, &slot);
    for (uint32_t i = 0; slot == -ENOSPC && i < loop->slot_count; i++) {
        if (loop->slots[i])
            continue;
        loop->slots[i] = sim_keep(inode);
        loop->slot_flags[i] = flags;
        slot = (int)i;
    }
    sim_unlock();
    return (int)slot;
}

static void sim_file_detach(struct loop *loop, int slot)
{
    loop_enter(loop);
    assert(slot >= 0 && (uint32_t)slot < loop->slot_count && loop->slots[slot]);
    for (const struct loop_op *op = loop->flying.first; op; op = op->next)
        assert(op->file != slot || (op->kind != LOOP_READ && op->kind != LOOP_READV));
    sim_drop(loop->slots[slot]);
    loop->slots[slot] = NULL;
    sim_unlock();
}

static int sim_buffer_attach(struct loop *loop, unsigned index, void *addr, uint64_t bytes)
{
    int64_t result = 0;

    if (index >= BUFFERS_MAX || !addr || !bytes)
        return -EINVAL;
    if (sim_settings()->no_tables)
        return -EOPNOTSUPP;
    loop_enter(loop);
    if (!sim_strikes(SIM_ATTACH_BUFFER, NULL, &result))
        loop->buffers[index] = (struct iovec){.iov_base = addr, .iov_len = (size_t)bytes};
    sim_unlock();
    return (int)result;
}

static void sim_buffer_detach(struct loop *loop, unsigned index)
{
    loop_enter(loop);
    if (index < BUFFERS_MAX)
        loop->buffers[index] = (struct iovec){NULL, 0};
    sim_unlock();
}

/* -------------------------------------------------------------------------------- lifetime -- */

static uint64_t all_next(void)
{
    uint64_t next = SIM_NEVER;

    for (const struct loop *loop = loops; loop; loop = loop->next) {
        uint64_t own = loop_next(loop);

        next = own < next ? own : next;
    }
    return next;
}

static unsigned all_left(void)
{
    unsigned left = 0;

    for (const struct loop *loop = loops; loop; loop = loop->next)
        left++;
    if (left)
        (void)fprintf(stderr, "sim: %u loops were not destroyed\n", left);
    return left;
}

static int sim_create(const struct loop_config *config, struct loop **out, char *why,
                      size_t why_bytes)
{
    struct loop *loop;
    pthread_condattr_t attributes;
    int64_t error;
    bool refused;

    sim_point();
    sim_lock();
    refused = sim_strikes(SIM_LOOP_CREATE, NULL, &error);
    sim_unlock();
    if (refused) {
        (void)snprintf(why, why_bytes, "a fault of the simulation");
        return (int)error;
    }
    loop = calloc(1, sizeof *loop);
    assert(loop && config->os == &loop_os_sim);
    loop->owner = pthread_self();
    loop->slot_count = config->files_max;
    loop->slots = calloc(config->files_max + 1, sizeof *loop->slots);
    loop->slot_flags = calloc(config->files_max + 1, sizeof *loop->slot_flags);
    assert(loop->slots && loop->slot_flags);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sim_lock();
    loop->next = loops;
    loops = loop;
    sim_next_event_hook = all_next;
    sim_left_hook = all_left;
    sim_unlock();
    *out = loop;
    return 0;
}

static void sim_destroy(struct loop *loop)
{
    struct loop **at = &loops;

    if (!loop)
        return;
    loop_enter(loop);
    assert(!loop->queued.first && !loop->flying.first);
    while (*at != loop)
        at = &(*at)->next;
    *at = loop->next;
    for (uint32_t i = 0; i < loop->slot_count; i++)
        if (loop->slots[i])
            sim_drop(loop->slots[i]);
    sim_unlock();
    pthread_cond_destroy(&loop->changed);
    free(loop->slots);
    free(loop->slot_flags);
    free(loop);
}

static void sim_abandon(struct loop *loop)
{
    (void)loop; /* nobody forks a simulation */
}

static bool sim_can_read_file(const struct loop *loop)
{
    (void)loop;
    return !sim_settings()->no_read_file;
}

static void sim_describe(const struct loop *loop, char *text, size_t bytes)
{
    (void)loop;
    (void)snprintf(text, bytes, "seed %llu", (unsigned long long)sim_settings()->seed);
}

static uint64_t sim_enters(const struct loop *loop)
{
    return loop->enters;
}

const struct loop_ops loop_sim = {
    .name = "sim",
    .create = sim_create,
    .destroy = sim_destroy,
    .abandon = sim_abandon,
    .submit = sim_submit,
    .flush = sim_flush,
    .reap = sim_reap,
    .wait = sim_wait,
    .gather = sim_gather,
    .wake = sim_wake,
    .cancel = sim_cancel,
    .file_attach = sim_file_attach,
    .file_detach = sim_file_detach,
    .buffer_attach = sim_buffer_attach,
    .buffer_detach = sim_buffer_detach,
    .can_read_file = sim_can_read_file,
    .describe = sim_describe,
    .enters = sim_enters,
};
