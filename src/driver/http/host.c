/* SPDX-License-Identifier: MIT */
/*
 * Design: a request asks twice for the lock of its host, to get a permit and to give it back with
 * what was seen; at the rates of real servers that is nothing. A permit given back goes straight to
 * the one who has waited longest, by a message to its worker, so none is lost between a release and
 * the next look.
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

#define SLOW_FACTOR 4u
#define SAMPLES_MIN 8u

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

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t quantile_locked(const struct http_host *host, uint32_t percent)
{
    uint64_t sorted[HTTP_LATENCY_SLOTS];
    uint32_t count =
        host->first_byte_count < HTTP_LATENCY_SLOTS ? host->first_byte_count : HTTP_LATENCY_SLOTS;

    if (count < SAMPLES_MIN)
        return 0;
    memcpy(sorted, host->first_byte_ns, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    return sorted[(count - 1) * percent / 100];
}

static void limit_halve(struct http_host *host, uint64_t now_ns)
{
    uint64_t pause_ns = quantile_locked(host, 50);

    if (pause_ns < HTTP_HALVE_NS_MIN)
        pause_ns = HTTP_HALVE_NS_MIN;
    host->throttled++;
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
    if (first_byte_ns > SLOW_FACTOR * host->first_byte_min_ns)
        return; /* it queues */
    if (++host->successes >= host->limit && host->limit < host->ceiling) {
        host->limit++;
        host->successes = 0;
    }
}

void http_host_release(struct http_host *host, enum http_outcome outcome, uint64_t first_byte_ns,
                       uint64_t now_ns)
{
    struct http_permit *next = NULL, **end = &next;

    pthread_mutex_lock(&host->lock);
    if (first_byte_ns) {
        host->first_byte_ns[host->first_byte_count++ % HTTP_LATENCY_SLOTS] = first_byte_ns;
        if (!host->first_byte_min_ns || first_byte_ns < host->first_byte_min_ns)
            host->first_byte_min_ns = first_byte_ns;
    }
    if (outcome == HTTP_OUTCOME_THROTTLED)
        limit_halve(host, now_ns);
    else if (outcome == HTTP_OUTCOME_OK)
        limit_grow(host, first_byte_ns);
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

uint64_t http_backoff_ns(uint64_t min_ns, uint64_t max_ns, uint64_t last_ns, uint64_t random)
{
    uint64_t most = 3 * (last_ns < min_ns ? min_ns : last_ns);

    if (most > max_ns)
        most = max_ns;
    return most > min_ns ? min_ns + random % (most - min_ns + 1) : min_ns;
}
