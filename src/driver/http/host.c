/* SPDX-License-Identifier: MIT */
/*
 * Design: a request asks twice for the lock of its host, to get a permit and to give it back with
 * what was seen; at the rates of real servers that is nothing. A permit given back goes straight to
 * the one who has waited longest, by a message to its worker, so none is lost between a release and
 * the next look.
 *
 * The limit grows by one for each round of successes, and is halved when the server says that it is
 * too much. Before that was ever heard, it grows by one for each success while all of it is in use:
 * as TCP's slow start does (RFC 5681 section 3.1), for the first reads of a program are often its
 * only ones.
 *
 * Measuring. The rate of a stream is that of bodies of STREAM_BYTES_MIN or more, which are mostly
 * past TCP's slow start (RFC 5681); shorter ones would show the window's growth instead. It is
 * delivered bytes over the time that they took, as in "Delivery Rate Estimation"
 * (draft-cheng-iccrg-delivery-rate-estimation), and the median over requests. That draft leaves out
 * samples that a slow application limited. Here that is the reader whose worker runs chains, and
 * nothing tells such samples apart; but then the rate is what this program takes, which is what
 * planning wants. A body that had come before it was read looks too quick, and first bytes then
 * look late; the median bears some of those.
 *
 * Invariants: used <= limit but for the time after the limit was halved; a queued permit means that
 * used >= limit. Hosts live as long as the context.
 *
 * Threads: any.
 */
#define _GNU_SOURCE
#include "driver/http/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_FACTOR      4u
#define QUANTILE_MIN     8u /* quantiles of fewer mean nothing */
#define STREAM_BYTES_MIN (UINT64_C(256) << 10)

/* ----------------------------------------------------------------------------------- table -- */

void http_hosts_init(struct http_hosts *hosts)
{
    pthread_mutex_init(&hosts->lock, NULL);
    hosts->first = NULL;
}

void http_hosts_finish(struct http_hosts *hosts, bool forked)
{
    while (hosts->first) {
        struct http_host *host = hosts->first;
        hosts->first = host->next;
        if (!forked)
            pthread_mutex_destroy(&host->lock);
        free(host->name);
        free(host);
    }
    if (!forked)
        pthread_mutex_destroy(&hosts->lock);
}

static struct http_host *host_create(const char *name, uint32_t start, uint32_t ceiling)
{
    struct http_host *host = calloc(1, sizeof(*host));

    if (!host)
        return NULL;
    host->name = strdup(name);
    if (!host->name) {
        free(host);
        return NULL;
    }
    pthread_mutex_init(&host->lock, NULL);
    host->ceiling = ceiling ? ceiling : 1;
    host->limit = start < host->ceiling ? start : host->ceiling;
    host->limit = host->limit ? host->limit : 1;
    host->retry_tokens = HTTP_RETRY_TOKENS;
    return host;
}

int http_hosts_get(struct http_hosts *hosts, const char *name, uint32_t start, uint32_t ceiling,
                   struct http_host **out)
{
    struct http_host *host;

    pthread_mutex_lock(&hosts->lock);
    for (host = hosts->first; host && strcmp(host->name, name) != 0; host = host->next)
        ;
    if (!host) {
        host = host_create(name, start, ceiling);
        if (host) {
            host->next = hosts->first;
            hosts->first = host;
        }
    }
    pthread_mutex_unlock(&hosts->lock);
    if (!host)
        return -ENOMEM;
    *out = host;
    return 0;
}

/* --------------------------------------------------------------------------------- permits -- */

bool http_host_acquire(struct http_host *host, struct http_permit *permit)
{
    bool granted;

    pthread_mutex_lock(&host->lock);
    granted = host->used < host->limit;
    if (granted) {
        host->used++;
        host->requests++;
    } else {
        permit->next = NULL;
        permit->queued = true;
        if (host->first)
            host->last->next = permit;
        else
            host->first = permit;
        host->last = permit;
    }
    pthread_mutex_unlock(&host->lock);
    return granted;
}

bool http_host_try(struct http_host *host)
{
    bool granted;

    pthread_mutex_lock(&host->lock);
    granted = host->used < host->limit;
    host->used += granted;
    pthread_mutex_unlock(&host->lock);
    return granted;
}

bool http_host_withdraw(struct http_host *host, struct http_permit *permit)
{
    struct http_permit *before = NULL, *at;
    bool queued;

    pthread_mutex_lock(&host->lock);
    queued = permit->queued;
    for (at = queued ? host->first : NULL; at && at != permit; at = at->next)
        before = at;
    if (at) {
        if (before)
            before->next = at->next;
        else
            host->first = at->next;
        if (host->last == at)
            host->last = before;
        permit->queued = false;
    }
    pthread_mutex_unlock(&host->lock);
    return queued;
}

static uint64_t quantile_locked(const struct http_host *host, uint32_t percent)
{
    return samples_count(&host->first_bytes) < QUANTILE_MIN
               ? 0
               : samples_quantile(&host->first_bytes, percent);
}

static void limit_halve(struct http_host *host, uint64_t now_ns)
{
    uint64_t pause_ns = quantile_locked(host, 50);

    if (pause_ns < HTTP_HALVE_NS_MIN)
        pause_ns = HTTP_HALVE_NS_MIN;
    host->throttled++;
    host->slowed = true;
    if (host->halved_ns && now_ns - host->halved_ns < pause_ns)
        return; /* answers to requests that were sent before */
    host->limit = host->limit / 2 ? host->limit / 2 : 1;
    host->successes = 0;
    host->halved_ns = now_ns;
}

static void limit_grow(struct http_host *host, uint64_t first_byte_ns)
{
    if (host->retry_tokens < HTTP_RETRY_TOKENS)
        host->retry_tokens++;
    host->answered = true;
    if (first_byte_ns > SLOW_FACTOR * host->first_byte_min_ns) {
        host->slowed = true; /* it queues */
        return;
    }
    host->successes++;
    if (host->limit < host->ceiling && (host->successes >= host->limit ||
                                        (!host->slowed && host->used == host->limit))) {
        host->limit++;
        host->successes = 0;
    }
}

static void seen_take(struct http_host *host, const struct http_seen *seen)
{
    if (seen->first_byte_ns) {
        samples_add(&host->first_bytes, seen->first_byte_ns);
        if (!host->first_byte_min_ns || seen->first_byte_ns < host->first_byte_min_ns)
            host->first_byte_min_ns = seen->first_byte_ns;
    }
    if (seen->body_bytes >= STREAM_BYTES_MIN && seen->body_ns)
        samples_add(&host->streams,
                    (uint64_t)((double)seen->body_bytes * 1e9 / (double)seen->body_ns));
}

void http_host_release(struct http_host *host, enum http_outcome outcome,
                       const struct http_seen *seen, uint64_t now_ns)
{
    struct http_permit *next = NULL, **end = &next;

    pthread_mutex_lock(&host->lock);
    if (seen)
        seen_take(host, seen);
    if (outcome == HTTP_OUTCOME_THROTTLED)
        limit_halve(host, now_ns);
    else if (outcome == HTTP_OUTCOME_OK)
        limit_grow(host, seen ? seen->first_byte_ns : 0);
    host->used--;
    while (host->first && host->used < host->limit) {
        struct http_permit *permit = host->first;
        host->first = permit->next;
        permit->queued = false;
        permit->next = NULL;
        host->used++;
        host->requests++;
        *end = permit;
        end = &permit->next;
    }
    pthread_mutex_unlock(&host->lock);
    while (next) { /* once posted it belongs to its worker */
        struct http_permit *permit = next;
        next = permit->next;
        permit->env->post(permit->env, &permit->node);
    }
}

/* ---------------------------------------------------------------------------------- tokens -- */

bool http_host_retry(struct http_host *host)
{
    bool enough;

    pthread_mutex_lock(&host->lock);
    enough = host->retry_tokens >= HTTP_RETRY_COST;
    if (enough)
        host->retry_tokens -= HTTP_RETRY_COST;
    pthread_mutex_unlock(&host->lock);
    return enough;
}

bool http_host_hedge(struct http_host *host, uint32_t percent)
{
    bool allowed;

    pthread_mutex_lock(&host->lock);
    allowed = (host->hedges + 1) * 100 <= host->requests * percent;
    if (allowed)
        host->hedges++;
    pthread_mutex_unlock(&host->lock);
    return allowed;
}

uint64_t http_host_first_byte(struct http_host *host, uint32_t percent)
{
    uint64_t time_ns;

    pthread_mutex_lock(&host->lock);
    time_ns = quantile_locked(host, percent);
    pthread_mutex_unlock(&host->lock);
    return time_ns;
}

static void measured_locked(const struct http_host *host, struct plan_measured *out)
{
    *out = (struct plan_measured){
        .latency_ns = samples_quantile(&host->first_bytes, 50),
        .stream_bytes_per_second = samples_quantile(&host->streams, 50),
        .latency_count = samples_count(&host->first_bytes),
        .stream_count = samples_count(&host->streams),
        .throttled = host->throttled != 0,
    };
}

void http_host_measured(struct http_host *host, struct plan_measured *out)
{
    pthread_mutex_lock(&host->lock);
    measured_locked(host, out);
    pthread_mutex_unlock(&host->lock);
}

void http_hosts_usage(struct http_hosts *hosts, struct driver_usage *out)
{
    pthread_mutex_lock(&hosts->lock);
    for (struct http_host *host = hosts->first; host; host = host->next) {
        pthread_mutex_lock(&host->lock);
        out->limit += host->limit;
        out->used += host->used;
        if (host->requests > out->requests) {
            out->requests = host->requests;
            measured_locked(host, &out->measured);
        }
        pthread_mutex_unlock(&host->lock);
    }
    pthread_mutex_unlock(&hosts->lock);
}

uint64_t http_backoff_ns(uint64_t min_ns, uint64_t max_ns, uint64_t last_ns, uint64_t random)
{
    uint64_t most = 3 * (last_ns < min_ns ? min_ns : last_ns);

    if (most > max_ns)
        most = max_ns;
    return most > min_ns ? min_ns + random % (most - min_ns + 1) : min_ns;
}
