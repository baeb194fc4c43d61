/* SPDX-License-Identifier: MIT */
/*
 * helper_thread.c - see helper_thread.h. A list under a mutex and a condition: a job takes
 * milliseconds to seconds, so nothing here needs to be fast.
 *
 * Invariants
 *   - A job belongs to the helper from helper_post() until its run() is entered, never after run()
 *     has returned.
 *   - `stop` is set once, under the mutex; no job is taken in after that, so the thread ends when
 *     the list is empty.
 *
 * Threads: the list under `mutex`; `stop` is read without it. All signals are blocked in the
 * helper: the application's handlers must not run on it. One job at a time: a slow provider delays
 * the names that are asked for after it, and is bounded by its own deadline.
 */
#define _GNU_SOURCE /* pthread_setname_np */
#include "driver/http/helper_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"

struct http_helper {
    /* shared, under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct helper_job *first, **last;
    unsigned queued;
    bool started;
    pthread_t thread;

    /* shared */
    _Atomic bool stop;
};

/* The oldest job, or NULL once all is done and none will come. */
static struct helper_job *job_take(struct http_helper *helper)
{
    struct helper_job *job;

    pthread_mutex_lock(&helper->mutex);
    while (!helper->first && !atomic_load(&helper->stop))
        pthread_cond_wait(&helper->work, &helper->mutex);
    job = helper->first;
    if (job) {
        helper->first = job->next;
        if (!helper->first)
            helper->last = &helper->first;
        helper->queued--;
    }
    pthread_mutex_unlock(&helper->mutex);
    return job;
}

static void *helper_main(void *data)
{
    struct http_helper *helper = data;
    struct helper_job *job;

    while ((job = job_take(helper)))
        job->run(helper, job);
    return NULL;
}

/* With the mutex held. */
static bool helper_start(struct http_helper *helper)
{
    sigset_t all, before;

    if (helper->started)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&helper->thread, NULL, helper_main, helper) == 0) {
        (void)pthread_setname_np(helper->thread, "lsio-helper");
        helper->started = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return helper->started;
}

int helper_post(struct http_helper *helper, struct helper_job *job)
{
    int status = 0;

    pthread_mutex_lock(&helper->mutex);
    if (atomic_load(&helper->stop)) {
        status = -ECANCELED;
    } else if (helper->queued == HELPER_JOBS_MAX || !helper_start(helper)) {
        status = -EAGAIN;
    } else {
        job->next = NULL;
        *helper->last = job;
        helper->last = &job->next;
        helper->queued++;
        pthread_cond_signal(&helper->work);
    }
    pthread_mutex_unlock(&helper->mutex);
    return status;
}

bool helper_stopping(const struct http_helper *helper)
{
    return atomic_load(&helper->stop);
}

bool helper_withdraw(struct http_helper *helper, struct helper_job *job)
{
    struct helper_job **at;
    bool found;

    pthread_mutex_lock(&helper->mutex);
    at = &helper->first;
    while (*at && *at != job)
        at = &(*at)->next;
    found = *at != NULL;
    if (found) {
        *at = job->next;
        helper->queued--;
        if (!*at)
            helper->last = at;
    }
    pthread_mutex_unlock(&helper->mutex);
    return found;
}

int helper_create(struct http_helper **out)
{
    struct http_helper *helper = calloc(1, sizeof(*helper));

    if (!helper)
        return -ENOMEM;
    helper->last = &helper->first;
    if (pthread_mutex_init(&helper->mutex, NULL))
        goto fail;
    if (pthread_cond_init(&helper->work, NULL)) {
        pthread_mutex_destroy(&helper->mutex);
        goto fail;
    }
    *out = helper;
    return 0;
fail:
    free(helper);
    return -ENOMEM;
}

void helper_destroy(struct http_helper *helper, bool forked)
{
    if (!helper)
        return;
    if (!forked) { /* in a child the mutex may be locked by a thread that is not here */
        pthread_mutex_lock(&helper->mutex);
        atomic_store(&helper->stop, true);
        pthread_cond_signal(&helper->work);
        pthread_mutex_unlock(&helper->mutex);
        if (helper->started)
            pthread_join(helper->thread, NULL);
        pthread_cond_destroy(&helper->work);
        pthread_mutex_destroy(&helper->mutex);
    }
    free(helper);
}
