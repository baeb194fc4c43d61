/* SPDX-License-Identifier: MIT */
/* Design: what runs on workers - counting callbacks and a stage that waits - and the time they
 * need. */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <time.h>

/* -------------------------------------------------------------------------------- counting -- */

void api_seen_init(struct api_seen *seen, uint64_t count)
{
    memset(seen, 0, sizeof(*seen));
    seen->count = count;
    seen->caller = pthread_self();
    seen->chunk = calloc(count + 1, sizeof(*seen->chunk));
    assert_non_null(seen->chunk);
}

void api_seen_on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                       void *data)
{
    struct api_seen *seen = data;

    (void)batch;
    if (index < seen->count)
        atomic_fetch_add(&seen->chunk[index], 1);
    else
        atomic_fetch_add(&seen->wrong, 1);
    if (atomic_load(&seen->done) || pthread_equal(pthread_self(), seen->caller))
        atomic_fetch_add(&seen->wrong, 1);
    if (result->status > 0)
        atomic_fetch_add(&seen->wrong, 1);
    if (result->status < 0)
        atomic_fetch_add(&seen->failed, 1);
    if (result->status == -ECANCELED)
        atomic_fetch_add(&seen->canceled, 1);
}

void api_seen_on_done(struct lsio_batch *batch, int status, void *data)
{
    struct api_seen *seen = data;

    (void)batch;
    if (pthread_equal(pthread_self(), seen->caller))
        atomic_fetch_add(&seen->wrong, 1);
    atomic_store(&seen->status, status);
    atomic_fetch_add(&seen->done, 1);
}

void api_seen_check(struct api_seen *seen)
{
    for (uint64_t i = 0; i < seen->count; i++)
        if (atomic_load(&seen->chunk[i]) != 1)
            fail_msg("chunk %llu was reported %u times", (unsigned long long)i,
                     atomic_load(&seen->chunk[i]));
    assert_int_equal(atomic_load(&seen->wrong), 0);
    assert_int_equal(atomic_load(&seen->done), 1);
    free(seen->chunk);
    seen->chunk = NULL;
}

/* ------------------------------------------------------------------------------------ gate -- */

int api_gate_stage(struct lsio_call *call)
{
    struct api_gate *gate = call->user;

    atomic_fetch_add(&gate->entered, 1);
    while (!atomic_load(&gate->open))
        api_sleep_ms(1);
    return 0;
}

void api_gate_wait(struct api_gate *gate, int count)
{
    uint64_t until = api_now_ms() + 30000;

    while (atomic_load(&gate->entered) < count && api_now_ms() < until)
        api_sleep_ms(1);
    if (atomic_load(&gate->entered) < count) {
        fprintf(stderr, "only %d of %d stages began\n", atomic_load(&gate->entered), count);
        abort();
    }
}

void api_gate_open(struct api_gate *gate)
{
    atomic_store(&gate->open, true);
}

/* ------------------------------------------------------------------------------------ time -- */

uint64_t api_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void api_sleep_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}
