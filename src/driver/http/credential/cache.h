/* SPDX-License-Identifier: MIT */
/*
 * cache.h - a store's credentials: looked for when first needed, kept, renewed before they expire,
 * by one thread while all others go on with the old ones.
 *
 * A worker, which must not block:
 *
 *     status = credential_cache_get(cache, &wait, &ref);
 *     0                  sign with ref->credential, then credential_ref_release(ref)
 *     CREDENTIAL_WAIT    wait.node.run() runs on this worker when there is an answer: get again
 *     negative           nothing to sign with: credential_cache_report() says why; the status is
 *                        about the provider, never about what was to be read
 *
 * Any other thread: credential_cache_get_blocking().
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_CACHE_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_CACHE_H

#include "base/queue.h"
#include "driver/driver.h"
#include "driver/http/credential/chain.h"
#include "driver/http/helper_thread.h"

#define CREDENTIAL_WAIT 1

struct credential_cache;

/* Credentials in use. Frozen; freed with the last reference. */
struct credential_ref {
    struct http_credential credential;
    _Atomic uint32_t users;
};

/* A worker's place in the queue; zero it, set node.run and env. */
struct credential_wait {
    struct queue_node node;
    struct driver_env *env;
    struct credential_wait *next; /* the cache's */
};

struct credential_cache_config {
    enum credential_store store;
    const struct credential_settings *settings; /* copied */
    const struct credential_world *world;       /* copied; what its data points to is borrowed */
    struct credential_memory *memory;           /* borrowed: the context's */
    struct http_helper *helper;                 /* borrowed: the context's */
};

/* 0 or -ENOMEM. Asks nobody yet. */
int credential_cache_create(const struct credential_cache_config *config,
                            struct credential_cache **out);

/* Ends a search that is going on, frees. Nobody may be waiting; references may outlive it. NULL is
 * allowed. `forked`: in a child, takes no lock. */
void credential_cache_destroy(struct credential_cache *cache, bool forked);

/* See above. Threads: any; `wait` belongs to the cache from CREDENTIAL_WAIT until its node runs or
 * credential_cache_cancel() gives it back. */
int credential_cache_get(struct credential_cache *cache, struct credential_wait *wait,
                         struct credential_ref **out);

/* True: the wait is the caller's again and its node will not run. False: its node is on its way.
 * Threads: any. */
bool credential_cache_cancel(struct credential_cache *cache, struct credential_wait *wait);

/* The same as get, but waits for the answer: at most timeout_ms, then -ETIMEDOUT. Threads: any but
 * workers and the helper. */
int credential_cache_get_blocking(struct credential_cache *cache, uint32_t timeout_ms,
                                  struct credential_ref **out);

/* The server says that these have expired or are unknown: if they are still the cache's they are
 * not given out again, and the next get looks for new ones. Threads: any. */
void credential_cache_refused(struct credential_cache *cache, const struct credential_ref *ref);

/* Who was asked in the last search and what they said, without secrets; "" before the first.
 * Threads: any. */
void credential_cache_report(struct credential_cache *cache, char *out, size_t bytes);

void credential_ref_release(struct credential_ref *ref); /* NULL is allowed. Threads: any */

#endif
