/* SPDX-License-Identifier: MIT */
/*
 * record.h - what became of a batch: counters, the first failures in full, the final status, and
 * how the application learns of the end (wait, eventfd).
 *
 * Workers count completions on their own and fold them in here now and then (record_fold), so a
 * chunk costs no atomic operation. Failures are rare and take the lock.
 */
#ifndef LSIO_REQUEST_RECORD_H
#define LSIO_REQUEST_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lsio/lsio.h"

#define RECORD_ERRORS_MAX 64u
#define RECORD_STATUSES_MAX 48u

struct record {
    /* shared, atomic */
    _Atomic uint64_t chunk_count;
    _Atomic uint64_t remaining; /* chunks not folded in as complete */
    _Atomic uint64_t failed;
    _Atomic uint64_t bytes;
    _Atomic int32_t cancel_status; /* 0, or what chunks that have not begun end with */
    /* shared, under lock */
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done; /* on_done has returned */
    int event_fd;             /* -1 until asked for */
    int32_t status;           /* of the failing chunk of lowest index so far */
    uint64_t status_index;
    struct lsio_error *errors; /* first failures, and that of lowest index; made on the first one */
    uint32_t error_count;
    uint32_t status_kinds;
    struct {
        int32_t status;
        uint64_t count;
    } statuses[RECORD_STATUSES_MAX];
};

int record_init(struct record *record, uint64_t chunk_count);
/* `forked`: in a child, where the lock may be held and the condition waited for by threads that do
 * not exist. */
void record_finish(struct record *record, bool forked);

/* A chunk failed. `error` is copied if one of the first; its `status` counts always. Threads:
 * any. */
void record_failure(struct record *record, const struct lsio_error *error, bool is_failure);

/* Marks the batch done and wakes whoever waits. Threads: the worker that folded the last chunk. */
void record_done(struct record *record);
/* 0 when done, else -ETIMEDOUT. `timeout_ms` as lsio_batch_wait. */
int record_wait(struct record *record, uint64_t timeout_ms);
int record_notify(struct record *record, int *fd);
int record_error(struct record *record, uint64_t index, struct lsio_error *out);
uint64_t record_status_count(struct record *record, int status);

#endif
