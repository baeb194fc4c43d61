/* SPDX-License-Identifier: MIT */
/*
 * Design: the table of a real loop with a few functions replaced; a struct loop is the real one's
 * own, so everything else goes straight there. Held operations are in one array under one mutex:
 *
 *   HELD      submitted by the worker, unknown to the real loop
 *   CANCELED  to be handed back by the next reap
 *   RELEASED  submitted to the real loop
 *   BACK      complete, and waiting for the last RELEASED one of its loop
 *
 * Only a loop's owner takes operations out, in reap(); so what the owner saw in wait() is still so
 * when it sleeps, but for hold_release(), which wakes it.
 */
#define _GNU_SOURCE
#include "fault_hold.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HELD_MAX  512u
#define LOOPS_MAX 8u

enum held_state { FREE, HELD, CANCELED, RELEASED, BACK };

struct held {
    struct loop *loop;
    struct loop_op *op;
    enum held_state state;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
    const struct loop_ops *real;
    struct loop_ops ops;
    struct loop_os os;
    struct context_world world;
    unsigned kinds;
    bool late;
    bool stat_held, in_stat;
    bool used_twice;
    struct held held[HELD_MAX];
    struct {
        struct loop *loop;
        bool asleep;
    } loops[LOOPS_MAX];
} hold;

/* --------------------------------------------------------------------------------- the array -- */

static struct held *find(const struct loop *loop, const struct loop_op *op, enum held_state state)
{
    for (uint32_t i = 0; i < HELD_MAX; i++)
        if ((!loop || hold.held[i].loop == loop) && (!op || hold.held[i].op == op) &&
            hold.held[i].state == state)
            return &hold.held[i];
    return NULL;
}

static uint32_t count_of(const struct loop *loop, enum held_state state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < HELD_MAX; i++)
        count += hold.held[i].state == state && (!loop || hold.held[i].loop == loop);
    return count;
}

static struct iovec vector_of(const struct loop_op *op, uint32_t i)
{
    if (op->kind == LOOP_READV)
        return op->iov[i];
    return (struct iovec){op->addr, (size_t)op->bytes};
}

static uint32_t vector_count(const struct loop_op *op)
{
    if (op->kind == LOOP_READV)
        return op->iov_count;
    return op->kind == LOOP_READ || op->kind == LOOP_READ_FILE;
}

static bool overlap(const struct loop_op *a, const struct loop_op *b)
{
    for (uint32_t i = 0; i < vector_count(a); i++) {
        for (uint32_t j = 0; j < vector_count(b); j++) {
            struct iovec one = vector_of(a, i), two = vector_of(b, j);
            const char *from = one.iov_base, *to = two.iov_base;
            if (from < to + two.iov_len && to < from + one.iov_len)
                return true;
        }
    }
    return false;
}

static void check_memory(const struct loop_op *op)
{
    for (uint32_t i = 0; i < HELD_MAX; i++)
        if ((hold.held[i].state == HELD || hold.held[i].state == RELEASED) &&
            hold.held[i].op != op && overlap(hold.held[i].op, op))
            hold.used_twice = true;
}

/* ---------------------------------------------------------------------------------- the loop -- */

static void hold_submit(struct loop *loop, struct loop_op *op)
{
    bool held;

    pthread_mutex_lock(&mutex);
    check_memory(op);
    held = hold.kinds >> op->kind & 1;
    if (held) {
        struct held *slot = find(NULL, NULL, FREE);
        assert(slot);
        *slot = (struct held){loop, op, HELD};
        for (uint32_t i = 0; i < vector_count(op); i++)
            memset(vector_of(op, i).iov_base, HOLD_POISON, vector_of(op, i).iov_len);
    }
    pthread_mutex_unlock(&mutex);
    if (!held)
        hold.real->submit(loop, op);
}

/* Gives the kernel what is no longer held. */
static void submit_released(struct loop *loop)
{
    struct held *held;

    pthread_mutex_lock(&mutex);
    while (!hold.kinds && (held = find(loop, NULL, HELD)) != NULL) {
        held->state = RELEASED;
        hold.real->submit(loop, held->op);
    }
    pthread_mutex_unlock(&mutex);
}

static void hold_flush(struct loop *loop)
{
    submit_released(loop);
    hold.real->flush(loop);
}

/* Takes all operations of a state out of the array, onto the list that ends at `end`. */
static struct loop_op **take(struct loop *loop, enum held_state state, struct loop_op **end)
{
    struct held *held;

    while ((held = find(loop, NULL, state)) != NULL) {
        if (state == CANCELED) {
            held->op->result = -ECANCELED;
            held->op->step = LOOP_STEP_OPEN;
        }
        *end = held->op;
        end = &held->op->next;
        *held = (struct held){0};
    }
    return end;
}

static struct loop_op *hold_reap(struct loop *loop, unsigned max)
{
    struct loop_op *first = NULL, **end = &first, *op;

    hold_flush(loop);
    op = hold.real->reap(loop, max);
    pthread_mutex_lock(&mutex);
    while (op) {
        struct loop_op *next = op->next;
        struct held *held = find(loop, op, RELEASED);
        if (held) {
            held->state = BACK;
        } else {
            *end = op;
            end = &op->next;
        }
        op = next;
    }
    end = take(loop, CANCELED, end);
    if (!find(loop, NULL, RELEASED))
        end = take(loop, BACK, end);
    *end = NULL;
    pthread_mutex_unlock(&mutex);
    return first;
}

static void sleeps(struct loop *loop, bool asleep)
{
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < LOOPS_MAX; i++)
        if (hold.loops[i].loop == loop)
            hold.loops[i].asleep = asleep;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void hold_wait_loop(struct loop *loop, uint64_t until_ns)
{
    bool ready;

    submit_released(loop);
    pthread_mutex_lock(&mutex);
    ready = find(loop, NULL, CANCELED) != NULL;
    pthread_mutex_unlock(&mutex);
    if (ready) {
        hold.real->wait(loop, 0);
        return;
    }
    sleeps(loop, true);
    hold.real->wait(loop, until_ns);
    sleeps(loop, false);
}

static void hold_cancel(struct loop *loop, struct loop_op *op)
{
    struct held *held;

    pthread_mutex_lock(&mutex);
    held = find(loop, op, HELD);
    if (held && !hold.late)
        held->state = CANCELED;
    pthread_mutex_unlock(&mutex);
    if (!held)
        hold.real->cancel(loop, op);
}

static int hold_create(const struct loop_config *config, struct loop **out, char *why,
                       size_t why_bytes)
{
    int error = hold.real->create(config, out, why, why_bytes);

    if (error)
        return error;
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < LOOPS_MAX; i++) {
        if (hold.loops[i].loop)
            continue;
        hold.loops[i].loop = *out;
        break;
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void hold_destroy(struct loop *loop)
{
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < LOOPS_MAX; i++)
        if (hold.loops[i].loop == loop)
            hold.loops[i].loop = NULL;
    pthread_mutex_unlock(&mutex);
    hold.real->destroy(loop);
}

static int hold_stat_fd(int fd, struct os_stat *out)
{
    pthread_mutex_lock(&mutex);
    hold.in_stat = hold.stat_held;
    pthread_cond_broadcast(&changed);
    while (hold.stat_held)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return loop_os_linux.stat_fd(fd, out);
}

/* Opens that are held are not in memory. */
static int hold_open_nowait(int dirfd, const char *path, int flags, bool beneath)
{
    bool held;

    pthread_mutex_lock(&mutex);
    held = hold.kinds >> LOOP_OPEN & 1;
    pthread_mutex_unlock(&mutex);
    return held ? -EAGAIN : loop_os_linux.open_nowait(dirfd, path, flags, beneath);
}

/* ---------------------------------------------------------------------------------- the test -- */

void hold_begin(const char *loop)
{
    memset(&hold, 0, sizeof(hold));
    hold.real = registry_loop(loop);
    assert(hold.real);
    hold.ops = *hold.real;
    hold.ops.create = hold_create;
    hold.ops.destroy = hold_destroy;
    hold.ops.submit = hold_submit;
    hold.ops.flush = hold_flush;
    hold.ops.reap = hold_reap;
    hold.ops.wait = hold_wait_loop;
    hold.ops.gather = NULL; /* it could not be ended */
    hold.ops.cancel = hold_cancel;
    hold.os = loop_os_linux;
    hold.os.stat_fd = hold_stat_fd;
    hold.os.open_nowait = hold_open_nowait;
    hold.world = (struct context_world){.os = &hold.os, .loop = &hold.ops};
}

const struct context_world *hold_world(void)
{
    return &hold.world;
}

bool hold_end(void)
{
    return !hold.used_twice && count_of(NULL, FREE) == HELD_MAX;
}

void hold_operations(unsigned kinds, bool late)
{
    pthread_mutex_lock(&mutex);
    hold.kinds = kinds;
    hold.late = late;
    pthread_mutex_unlock(&mutex);
}

void hold_stat(void)
{
    pthread_mutex_lock(&mutex);
    hold.stat_held = true;
    pthread_mutex_unlock(&mutex);
}

void hold_release(void)
{
    pthread_mutex_lock(&mutex);
    hold.kinds = 0;
    hold.stat_held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    hold_poke();
}

uint32_t hold_count(void)
{
    uint32_t count;

    pthread_mutex_lock(&mutex);
    count = count_of(NULL, HELD);
    pthread_mutex_unlock(&mutex);
    return count;
}

static bool one_is_asleep(uint32_t count)
{
    for (uint32_t i = 0; i < LOOPS_MAX; i++)
        if (hold.loops[i].loop && hold.loops[i].asleep &&
            count_of(hold.loops[i].loop, HELD) >= count)
            return true;
    return false;
}

void hold_wait(uint32_t count)
{
    pthread_mutex_lock(&mutex);
    while (!one_is_asleep(count))
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

void hold_wait_stat(void)
{
    pthread_mutex_lock(&mutex);
    while (!hold.in_stat)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

void hold_poke(void)
{
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < LOOPS_MAX; i++)
        if (hold.loops[i].loop)
            hold.real->wake(hold.loops[i].loop);
    pthread_mutex_unlock(&mutex);
}
