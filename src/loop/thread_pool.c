/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.c - the blocking half of the epoll loop.
 *
 * Purpose: keep many cold reads in flight without io_uring. One first-in, first-out queue under one
 * mutex: an operation that comes here waits for a medium, so a lock costs nothing by comparison.
 *
 * Invariants
 *   - `idle` counts threads inside the condition wait; a thread is started only while more
 *     operations are queued than threads are idle, and never more than THREADS_MAX (few threads
 *     make cold reads 5 times slower, more than that only make the scheduler busy).
 *   - Between pool_submit() and the done function an operation is the pool's alone.
 *
 * Threads: queue and counters under `mutex`. All signals are blocked in the pool's threads: the
 * application's handlers must not run on them. Their stacks are small, for they call nothing deep.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop/thread_pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/op_list.h"

#define THREADS_MAX 32
#define STACK_BYTES ((size_t)256 * 1024)

struct thread_pool {
    /* frozen */
    const struct loop_os *os;
    pool_done_fn *done;
    pid_t pid;

    /* shared, under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct op_list queue;
    unsigned queued, idle, started;
    bool stop;
    pthread_t threads[THREADS_MAX];
};

/* --------------------------------------------------------------------- blocking operations -- */

static int64_t read_blocking(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t got;

    do {
        got = preadv(fd, iov, count, (off_t)offset);
        if (got < 0 && errno == ESPIPE)
            got = readv(fd, iov, count);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int64_t read_file_blocking(const struct loop_os *os, struct loop_op *op)
{
    struct iovec iov = {.iov_base = op->addr, .iov_len = (size_t)op->bytes};
    struct os_stat stat;
    int64_t result;
    int fd;

    op->step = LOOP_STEP_OPEN;
    fd = os->open(op->fd, op->path, (int)op->open_flags, op->beneath);
    if (fd < 0)
        return fd;
    if (os->stat_fd(fd, &stat) == 0 && (S_ISCHR(stat.mode) || S_ISBLK(stat.mode))) {
        os->close(fd);
        return -EXDEV;
    }
    op->step = LOOP_STEP_READ;
    result = read_blocking(fd, &iov, 1, op->offset);
    os->close(fd);
    return result;
}

void pool_run_blocking(const struct loop_os *os, struct loop_op *op)
{
    struct iovec iov = {.iov_base = op->addr, .iov_len = (size_t)op->bytes};

    switch ((enum loop_kind)op->kind) {
    case LOOP_READ:
        op->result = read_blocking(op->fd, &iov, 1, op->offset);
        return;
    case LOOP_READV:
        op->result = read_blocking(op->fd, op->iov, (int)op->iov_count, op->offset);
        return;
    case LOOP_OPEN:
        op->result = os->open(op->fd, op->path, (int)op->open_flags, op->beneath);
        return;
    case LOOP_CLOSE:
        /* Not os->close: the result is wanted. After EINTR the descriptor is gone too. */
        op->result = close(op->fd) == 0 || errno == EINTR ? 0 : -errno;
        return;
    case LOOP_POLL:
    case LOOP_TIMER:
        break; /* the loop's own */
    case LOOP_READ_FILE:
        op->result = read_file_blocking(os, op);
        return;
    }
    op->result = -EINVAL;
}

/* --------------------------------------------------------------------------------- threads -- */

static void *thread_main(void *data)
{
    struct thread_pool *pool = data;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct loop_op *op = op_list_take(&pool->queue);
        struct loop *loop;

        if (!op) {
            if (pool->stop)
                break;
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
            continue;
        }
        pool->queued--;
        loop = (struct loop *)(intptr_t)op->loop_data;
        pthread_mutex_unlock(&pool->mutex);
        pool_run_blocking(pool->os, op);
        pool->done(loop, op);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* With the mutex held. */
static void start_thread(struct thread_pool *pool)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    if (pthread_attr_init(&attributes))
        return;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&pool->threads[pool->started], &attributes, thread_main, pool) == 0) {
        (void)pthread_setname_np(pool->threads[pool->started], "lsio-read");
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

bool pool_submit(struct thread_pool *pool, struct loop *loop, struct loop_op *op)
{
    bool taken;

    pthread_mutex_lock(&pool->mutex);
    if (pool->queued >= pool->idle && pool->started < THREADS_MAX)
        start_thread(pool);
    taken = pool->started > 0;
    if (taken) {
        op->loop_data = (int64_t)(intptr_t)loop;
        op_list_append(&pool->queue, op);
        pool->queued++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->mutex);
    return taken;
}

bool pool_withdraw(struct thread_pool *pool, struct loop_op *op)
{
    bool found;

    pthread_mutex_lock(&pool->mutex);
    found = op_list_remove(&pool->queue, op);
    if (found)
        pool->queued--;
    pthread_mutex_unlock(&pool->mutex);
    return found;
}

int pool_create(const struct loop_os *os, pool_done_fn *done, struct thread_pool **out)
{
    struct thread_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return -ENOMEM;
    pool->os = os;
    pool->done = done;
    pool->pid = getpid();
    if (pthread_mutex_init(&pool->mutex, NULL))
        goto fail;
    if (pthread_cond_init(&pool->work, NULL)) {
        pthread_mutex_destroy(&pool->mutex);
        goto fail;
    }
    *out = pool;
    return 0;
fail:
    free(pool);
    return -ENOMEM;
}

void pool_destroy(struct thread_pool *pool)
{
    if (!pool)
        return;
    if (pool->pid != getpid()) { /* the mutex may be locked by a thread that is not here */
        free(pool);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    assert(!pool->queue.first);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
