/* SPDX-License-Identifier: MIT */
/*
 * Design: each worker counts for itself, in relaxed atomics that only it writes; reading sums them
 * up. Latencies go to a log-linear histogram: two buckets per power of two, so a percentile is at
 * most 1.5 times off.
 */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

void stats_latency(struct worker_stats *stats, uint64_t ns)
{
    uint32_t log2 = ns ? 63u - (uint32_t)__builtin_clzll(ns) : 0;
    uint32_t half = log2 ? (uint32_t)(ns >> (log2 - 1)) & 1 : 0;
    uint32_t bucket = log2 * 2 + half;

    /* below 1 µs nobody waited; above 2^31 µs nobody counts */
    bucket = bucket < 20 ? 0 : bucket - 20;
    stat_add(&stats->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1], 1);
}

static uint64_t bucket_ns(uint32_t bucket)
{
    uint32_t log2 = (bucket + 20) / 2;

    return (UINT64_C(1) << log2) + (bucket % 2 ? (UINT64_C(1) << log2) / 2 : 0);
}

static void percentiles(const uint64_t *latency, uint64_t *out)
{
    static const uint32_t percent[3] = {50, 90, 99};
    uint64_t total = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        total += latency[i];
    for (uint32_t p = 0; p < 3 && total; p++) {
        uint64_t seen = 0;
        for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
            seen += latency[i];
            if (seen * 100 >= total * percent[p]) {
                out[p] = bucket_ns(i);
                break;
            }
        }
    }
}

static void sum_worker(struct lsio_stats *sum, uint64_t *latency, struct worker_stats *stats)
{
#define SUM(field) sum->field += atomic_load_explicit(&stats->field, memory_order_relaxed)
    SUM(chunks_done);
    SUM(chunks_failed);
    SUM(bytes_asked);
    SUM(bytes_read);
    SUM(bytes_wasted);
    SUM(operations);
    SUM(operations_direct);
    SUM(operations_joined);
    SUM(operations_inline);
    SUM(retries);
    SUM(throttles);
    SUM(requests);
    SUM(resumes);
    SUM(reconnects);
    SUM(hedges);
    SUM(steals);
#undef SUM
    sum->loop_enters += atomic_load_explicit(&stats->enters, memory_order_relaxed);
    uint64_t target = atomic_load_explicit(&stats->inflight_target, memory_order_relaxed);
    if (target > sum->inflight_target)
        sum->inflight_target = target;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        latency[i] += atomic_load_explicit(&stats->latency[i], memory_order_relaxed);
}

static void sum_usage(struct lsio_stats *sum, const struct lsio_context *context)
{
    struct driver_usage usage = {0};

    for (uint32_t i = 0; i < context->driver_count; i++)
        if (context->drivers[i]->usage)
            context->drivers[i]->usage(context->driver_states[i], &usage);
    sum->first_byte_ns = usage.measured.latency_ns;
    sum->stream_bytes_per_second = usage.measured.stream_bytes_per_second;
    sum->requests_limit = usage.limit;
    sum->requests_inflight = usage.used;
}

int context_stats(struct lsio_context *context, struct lsio_stats *out)
{
    struct lsio_stats sum = {.struct_bytes = out->struct_bytes};
    uint64_t latency[LATENCY_BUCKETS] = {0};
    uint64_t fixed = context->config.memory_bytes_max - context->pool.bytes_max;

    if (out->struct_bytes < offsetof(struct lsio_stats, workers) || out->struct_bytes > 65536)
        return -EINVAL;
    snprintf(sum.loop, sizeof(sum.loop), "%s", context->loop_ops->name);
    snprintf(sum.loop_reason, sizeof(sum.loop_reason), "%s", context->loop_reason);
    sum.workers = context->worker_count;
    sum.memory_bytes_max = context->config.memory_bytes_max;
    pthread_mutex_lock(&context->pool.lock);
    sum.memory_bytes_peak = fixed + context->pool.bytes_peak;
    pthread_mutex_unlock(&context->pool.lock);
    for (uint32_t i = 0; i < context->worker_count; i++) {
        struct worker *worker = &context->workers[i];
        if (worker->arena_registered)
            sum.registered_bytes += (uint64_t)worker->arena.pages * POOL_PAGE;
        sum_worker(&sum, latency, &worker->stats);
    }
    sum_worker(&sum, latency, &context->caller_stats);
    percentiles(latency, sum.latency_ns);
    sum_usage(&sum, context);
    memcpy(out, &sum, out->struct_bytes < sizeof(sum) ? out->struct_bytes : sizeof(sum));
    return 0;
}
