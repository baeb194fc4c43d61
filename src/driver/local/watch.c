/* SPDX-License-Identifier: MIT */
/*
 * watch.c - ends whole-file reads that wait for ever.
 *
 * The whole-file way reads what a name leads to without looking at it first. If that is a FIFO with
 * a writer and nothing in it, io_uring waits for the writer, whatever O_NONBLOCK says. So those
 * reads are counted in seconds by one timer of the worker's loop: what is still there at the second
 * tick is canceled, and goes the general way (read.c), which looks first. A regular file on a slow
 * disk loses nothing by that but its attempt.
 *
 * The timer runs only while such reads are in flight, and for one tick more.
 *
 * Threads: one watch per worker, its own.
 */
#include "driver/local/file.h"

#include "base/mark.h"

#define TICK_NS UINT64_C(1000000000)

static void tick(struct loop_op *op);

static void timer_start(struct local_watch *watch)
{
    struct driver_env *env = watch->env;

    watch->timer = (struct loop_op){.kind = LOOP_TIMER,
                                    .done = tick,
                                    .offset = env->os->now_ns() + TICK_NS,
                                    .fd = -1,
                                    .file = -1,
                                    .buffer = -1};
    watch->armed = true;
    env->background++;
    env->loop_ops->submit(env->loop, &watch->timer);
}

static void tick(struct loop_op *op)
{
    struct local_watch *watch = container_of(op, struct local_watch, timer);
    struct driver_env *env = watch->env;

    env->background--;
    watch->armed = false;
    watch->ticks++;
    for (struct driver_read *read = watch->first; read; read = read->next) {
        if (watch->ticks - (uint32_t)read->progress != 2)
            continue;
        LSIO_MARK(whole_file_waits_too_long);
        env->loop_ops->cancel(env->loop, &read->op);
    }
    if (watch->first)
        timer_start(watch);
}

void watch_add(struct local_cache *cache, struct driver_env *env, struct driver_read *read)
{
    struct local_watch *watch = &cache->watches[env->worker];

    watch->env = env;
    read->progress = watch->ticks;
    read->wait = NULL; /* the one before */
    read->next = watch->first;
    if (watch->first)
        watch->first->wait = read;
    watch->first = read;
    if (!watch->armed)
        timer_start(watch);
}

void watch_remove(struct local_cache *cache, struct driver_env *env, struct driver_read *read)
{
    struct local_watch *watch = &cache->watches[env->worker];
    struct driver_read *before = read->wait;

    if (before)
        before->next = read->next;
    else
        watch->first = read->next;
    if (read->next)
        read->next->wait = before;
    read->next = NULL;
    read->wait = NULL;
    read->progress = 0;
}

void local_worker_leave(void *state, struct driver_env *env)
{
    struct local_cache *cache = state;
    struct local_watch *watch = &cache->watches[env->worker];

    if (watch->armed) /* no read is left, so that its end starts no other */
        env->loop_ops->cancel(env->loop, &watch->timer);
}
