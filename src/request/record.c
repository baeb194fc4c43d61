/* SPDX-License-Identifier: MIT */
/*
 * Design: everything here is off the hot path. The lock guards the end-of-batch handshake and the
 * bounded error memory; counters that workers fold in are atomics. A thread that saw `done` under
 * the lock may free the record: record_done() touches nothing after it unlocked.
 */
#define _GNU_SOURCE
#include "request/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mark.h"

int record_init(struct record *record, uint64_t chunk_count)
{
    pthread_condattr_t attr;

    memset(record, 0, sizeof(*record));
    atomic_init(&record->chunk_count, chunk_count);
    atomic_init(&record->remaining, chunk_count);
    record->event_fd = -1;
    record->status_index = UINT64_MAX;
    if (pthread_mutex_init(&record->lock, NULL))
        return -ENOMEM;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(&record->done_cond, &attr)) {
        pthread_condattr_destroy(&attr);
        pthread_mutex_destroy(&record->lock);
        return -ENOMEM;
    }
    pthread_condattr_destroy(&attr);
    return 0;
}

void record_finish(struct record *record, bool forked)
{
    if (record->event_fd >= 0)
        close(record->event_fd);
    free(record->errors);
    if (forked)
        return;
    pthread_cond_destroy(&record->done_cond);
    pthread_mutex_destroy(&record->lock);
}

static void count_status(struct record *record, int32_t status)
{
    for (uint32_t i = 0; i < record->status_kinds; i++) {
        if (record->statuses[i].status == status) {
            record->statuses[i].count++;
            return;
        }
    }
    if (record->status_kinds < RECORD_STATUSES_MAX) {
        record->statuses[record->status_kinds].status = status;
        record->statuses[record->status_kinds++].count = 1;
    }
}

void record_failure(struct record *record, const struct lsio_error *error, bool is_failure)
{
    pthread_mutex_lock(&record->lock);
    count_status(record, error->status);
    if (is_failure && error->index < record->status_index) {
        record->status_index = error->index;
        record->status = error->status;
    }
    if (is_failure && !record->errors)
        record->errors = calloc(RECORD_ERRORS_MAX + 1, sizeof(*record->errors));
    if (is_failure && record->errors) {
        if (record->error_count < RECORD_ERRORS_MAX)
            record->errors[record->error_count++] = *error;
        else if (error->index == record->status_index) { /* the lowest is kept however late it is */
            LSIO_MARK(error_detail_replaced);
            record->errors[RECORD_ERRORS_MAX] = *error;
            record->error_count = RECORD_ERRORS_MAX + 1;
        }
    }
    pthread_mutex_unlock(&record->lock);
}

void record_done(struct record *record)
{
    uint64_t one = 1;

    pthread_mutex_lock(&record->lock);
    record->done = true;
    if (record->event_fd >= 0)
        while (write(record->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
            ;
    pthread_cond_broadcast(&record->done_cond);
    pthread_mutex_unlock(&record->lock);
}

int record_wait(struct record *record, uint64_t timeout_ms)
{
    struct timespec until;
    int error = 0;

    if (timeout_ms != LSIO_FOREVER) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)(timeout_ms / 1000 > 1000000000 ? 1000000000 : timeout_ms / 1000);
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
    }
    pthread_mutex_lock(&record->lock);
    while (!record->done && error != ETIMEDOUT) {
        if (timeout_ms == LSIO_FOREVER)
            pthread_cond_wait(&record->done_cond, &record->lock);
        else
            error = pthread_cond_timedwait(&record->done_cond, &record->lock, &until);
    }
    error = record->done ? 0 : -ETIMEDOUT;
    pthread_mutex_unlock(&record->lock);
    return error;
}

int record_notify(struct record *record, int *fd)
{
    int error = 0;

    pthread_mutex_lock(&record->lock);
    if (record->event_fd < 0) {
        record->event_fd = eventfd(record->done ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (record->event_fd < 0)
            error = -errno;
    }
    if (!error)
        *fd = record->event_fd;
    pthread_mutex_unlock(&record->lock);
    return error;
}

int record_error(struct record *record, uint64_t index, struct lsio_error *out)
{
    size_t bytes = out->struct_bytes;
    int error = -ENOENT;

    if (bytes < offsetof(struct lsio_error, text) || bytes > 65536)
        return -EINVAL;
    pthread_mutex_lock(&record->lock);
    for (uint32_t i = 0; i < record->error_count; i++) {
        if (record->errors[i].index == index) {
            memcpy(out, &record->errors[i],
                   bytes < sizeof(*out) ? bytes : sizeof(*out));
            out->struct_bytes = bytes;
            error = 0;
            break;
        }
    }
    pthread_mutex_unlock(&record->lock);
    return error;
}

uint64_t record_status_count(struct record *record, int status)
{
    uint64_t count = 0;

    pthread_mutex_lock(&record->lock);
    if (status == 0) { /* folds are not one instant */
        uint64_t failed = atomic_load(&record->failed);
        uint64_t done = atomic_load(&record->chunk_count) - atomic_load(&record->remaining);
        count = done > failed ? done - failed : 0;
    }
    for (uint32_t i = 0; i < record->status_kinds; i++)
        if (record->statuses[i].status == status)
            count += record->statuses[i].count;
    pthread_mutex_unlock(&record->lock);
    return count;
}
