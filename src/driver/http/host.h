/* SPDX-License-Identifier: MIT */
/*
 * host.h - what a context knows of one server: how many requests it takes at a time, how often it
 * may be asked again, how fast it answers, where a bucket lives. Shared by all workers.
 *
 * Concurrency is bounded by permits whose number follows the server (additive increase,
 * multiplicative decrease): it starts low; `limit` answers in time add one, and until it was first
 * found to be too much each does while all of it is in use; a throttling answer halves it, at most
 * once per max(median first-byte time, 100 ms). First bytes later than four times the fastest stop
 * the growth.
 *
 * What answers show - the time to the first byte, the rate of a body - is kept as the last few
 * dozen values, whose medians the planner's profiles follow (plan_profile_follow).
 *
 * Retries cost tokens, so that a failing server meets few of them: 500 at the start, 5 per retry,
 * one back per success.
 */
#ifndef LSIO_DRIVER_HTTP_HOST_H
#define LSIO_DRIVER_HTTP_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "base/samples.h"
#include "driver/driver.h"

#define HTTP_RETRY_TOKENS 500u
#define HTTP_RETRY_COST   5u
#define HTTP_HALVE_NS_MIN UINT64_C(100000000)
#define HTTP_REGION_BYTES 64u

/* A place in the queue for a permit. */
struct http_permit {
    struct http_permit *next;
    struct driver_env *env; /* where the answer goes */
    struct queue_node node; /* its run() is called on that worker when the permit is granted */
    bool queued;            /* under the host's lock */
};

enum http_outcome {
    HTTP_OUTCOME_OK,
    HTTP_OUTCOME_THROTTLED, /* 429, 503 and their kin */
    HTTP_OUTCOME_OTHER      /* says nothing of how much the server can take */
};

/* What one answer has shown. */
struct http_seen {
    uint64_t first_byte_ns;       /* from the request to its answer; 0: none came */
    uint64_t body_bytes, body_ns; /* of a body that came whole; from its first byte to its last */
};

struct http_host {
    /* frozen */
    struct http_host *next; /* the table's list */
    char *name;             /* scheme://host:port/bucket */
    uint32_t ceiling;
    /* shared, under lock */
    pthread_mutex_t lock;
    uint32_t limit, used;
    uint32_t successes;         /* since the limit was changed */
    bool slowed;                /* the limit was found: it was halved, or answers began to queue */
    uint64_t halved_ns;         /* when it was last halved */
    struct samples first_bytes; /* nanoseconds */
    struct samples streams;     /* bytes per second */
    uint64_t first_byte_min_ns;
    uint32_t retry_tokens;
    uint64_t requests, hedges;
    uint64_t throttled;
    struct http_permit *first, *last;
    char region[HTTP_REGION_BYTES]; /* where the server said that the bucket is; "" */
    int64_t clock_offset_s;         /* the server's clock less ours */
    bool answered;                  /* some request had a 2xx answer */
};

/* All hosts of a context. */
struct http_hosts {
    pthread_mutex_t lock;
    struct http_host *first;
};

void http_hosts_init(struct http_hosts *hosts);
void http_hosts_finish(struct http_hosts *hosts, bool forked);
/* The host of that name, made if there is none: `start` permits, `ceiling` at most. It lives as
 * long as the table. -ENOMEM. */
int http_hosts_get(struct http_hosts *hosts, const char *name, uint32_t start, uint32_t ceiling,
                   struct http_host **out);

/* True: the caller has a permit. False: `permit` is queued, and its node runs with the permit in
 * hand. */
bool http_host_acquire(struct http_host *host, struct http_permit *permit);
/* A permit if one is free, without a place in the queue. */
bool http_host_try(struct http_host *host);
/* Leaves the queue. False: too late, the node will run with a permit to give back. */
bool http_host_withdraw(struct http_host *host, struct http_permit *permit);
/* Gives a permit back, to the longest-waiting one if there is one. `seen` NULL: nothing. */
void http_host_release(struct http_host *host, enum http_outcome outcome,
                       const struct http_seen *seen, uint64_t now_ns);

/* Pays for one retry; false: there have been too many. */
bool http_host_retry(struct http_host *host);
/* Counts a hedge; false: `percent` of the requests have had one. */
bool http_host_hedge(struct http_host *host, uint32_t percent);
/* A quantile (0 .. 100) of the last first-byte times; 0: too few to say. */
uint64_t http_host_first_byte(struct http_host *host, uint32_t percent);
/* What its answers have shown so far. */
void http_host_measured(struct http_host *host, struct plan_measured *out);
/* Adds all hosts to *out. */
void http_hosts_usage(struct http_hosts *hosts, struct driver_usage *out);

/* Decorrelated jitter (as in "Exponential Backoff And Jitter", AWS Architecture Blog): random
 * between min_ns and three times the last sleep, max_ns at most. `random` is any 64 bits. */
uint64_t http_backoff_ns(uint64_t min_ns, uint64_t max_ns, uint64_t last_ns, uint64_t random);

#endif
