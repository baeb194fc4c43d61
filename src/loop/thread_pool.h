/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.h - threads that run blocking file operations for the epoll loops of a context.
 *
 * pool_submit() hands an operation over; some thread runs pool_run_blocking() on it and then gives
 * it back through the `done` function of its loop. Threads are started when all are busy, up to a
 * limit.
 */
#ifndef LSIO_LOOP_THREAD_POOL_H
#define LSIO_LOOP_THREAD_POOL_H

#include <stdbool.h>

#include "loop/loop.h"

struct thread_pool;

/* Takes a finished operation back. Threads: the pool's. */
typedef void pool_done_fn(struct loop *loop, struct loop_op *op);

/* 0 or -ENOMEM. Starts no thread. */
int pool_create(const struct loop_os *os, pool_done_fn *done, struct thread_pool **out);

/* Joins the threads; nothing may be queued or running. In a forked child, where the threads do not
 * exist, frees the memory only. */
void pool_destroy(struct thread_pool *pool);

/* False if there is no thread and none can be started: the caller has to run it. The pool uses
 * op->next and op->loop_data. Threads: any. */
bool pool_submit(struct thread_pool *pool, struct loop *loop, struct loop_op *op);

/* True if the operation was still queued: it is the caller's again, not run. Threads: any. */
bool pool_withdraw(struct thread_pool *pool, struct loop_op *op);

/* Runs an operation to its end on the calling thread and sets its result. */
void pool_run_blocking(const struct loop_os *os, struct loop_op *op);

#endif
