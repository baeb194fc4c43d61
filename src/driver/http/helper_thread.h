/* SPDX-License-Identifier: MIT */
/*
 * helper_thread.h - one thread per context for what blocks: names, credentials, the application's
 * credential callback. It is started by the first job.
 *
 *     job->run = resolve;                     blocks, on the helper thread; looks at
 *     helper_post(helper, job);               helper_stopping() in long waits
 *
 * run() is called once per posted job, in the order of posting, on the helper thread; when it
 * returns the helper has forgotten the job, so run() may free it, or hand it to its asker with
 * env->post() as its last act. At helper_destroy() the jobs that have not begun run too, with
 * helper_stopping() true: they should end themselves with -ECANCELED.
 */
#ifndef LSIO_DRIVER_HTTP_HELPER_THREAD_H
#define LSIO_DRIVER_HTTP_HELPER_THREAD_H

#include <stdbool.h>

#define HELPER_JOBS_MAX 1024u /* queued at a time */

struct http_helper;

struct helper_job {
    void (*run)(struct http_helper *helper, struct helper_job *job);
    struct helper_job *next; /* the helper's */
};

/* 0 or -ENOMEM. Starts no thread. */
int helper_create(struct http_helper **out);

/* Runs what is queued, joins the thread, frees. NULL is allowed. `forked`: in a child, where the
 * thread does not exist: frees only, and no job runs. Threads: any; no other call may be running or
 * follow, but for those that jobs make. */
void helper_destroy(struct http_helper *helper, bool forked);

/* 0; -EAGAIN if HELPER_JOBS_MAX jobs are queued or no thread can be started; -ECANCELED once
 * helper_destroy() has begun. Threads: any, never blocks for long. */
int helper_post(struct http_helper *helper, struct helper_job *job);

/* True if the job was still queued: it is the caller's again and will not run. Threads: any. */
bool helper_withdraw(struct http_helper *helper, struct helper_job *job);

/* True once helper_destroy() has begun. Threads: any. */
bool helper_stopping(const struct http_helper *helper);

#endif
