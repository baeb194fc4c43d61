/* SPDX-License-Identifier: MIT */
/*
 * http.h - the driver of http, https, s3, gs and az stores: its types.
 *
 *   state      one per context: hosts, the helper thread, one http_worker per worker
 *   store      an address, settings, credentials; frozen after store_open
 *   worker     connections, transfers and the clock of one worker
 *   object     what is known of an object of a batch: its first validator
 *
 * A read becomes a transfer (transfer.h), which speaks through a transport (transport.h). What
 * differs between S3, Cloud Storage, Azure and plain HTTP is in dialect.c.
 */
#ifndef LSIO_DRIVER_HTTP_HTTP_H
#define LSIO_DRIVER_HTTP_HTTP_H

#include <pthread.h>

#include "driver/driver.h"
#include "driver/http/credential.h"
#include "driver/http/credential/cache.h"
#include "driver/http/helper_thread.h"
#include "driver/http/host.h"
#include "driver/http/options.h"
#include "driver/http/sign/sigv4.h"
#include "driver/http/transport.h"
#include "driver/http/url.h"

struct http_transfer;

struct http_worker {
    struct http_state *state;
    struct driver_env *env;
    struct transport *transport;
    struct sigv4 *signer;
    struct hash *hash; /* for Azure's signature */
    uint64_t random;   /* xorshift state: back-off's jitter */
    struct http_transfer *running;
    struct http_transfer *free_reads;
    struct loop_op clock; /* LOOP_TIMER */
    bool clock_armed;
    uint64_t clock_tick_ns;
    bool leaving;
};

struct http_state {
    /* frozen */
    const struct transport_ops *transport_ops;
    struct http_helper *helper;
    uint32_t worker_count;
    struct credential_memory memory;
    struct http_hosts hosts;
    /* shared */
    _Atomic uint64_t target_count; /* stores ever opened */
    /* shared: slot i is worker i's own */
    struct http_worker **workers;
};

struct http_store {
    struct lsio_store base; /* first */
    /* frozen */
    struct http_state *state;
    struct driver_env *env; /* of a worker: where listings are read */
    struct http_settings settings;
    struct transport_target target;
    struct fetch_client fetch_client;
    struct http_host *host;
    struct credential_cache *credentials; /* NULL: the store takes none */
    char customer_digest[48];             /* of settings.customer_key, in base64 */
    /* shared */
    _Atomic uint64_t probe_bytes; /* what a whole object is expected to have, about */
    _Atomic bool no_ranges_said;  /* the log knows that the server ignores ranges */
};

static inline struct http_store *http_store_of(const struct lsio_store *store)
{
    return (struct http_store *)(uintptr_t)store;
}

/* state.c */
int http_state_create(const struct transport_ops *transport, uint32_t worker_count,
                      struct http_state **out);
void http_state_destroy(struct http_state *state, bool forked);
/* The worker of `env`, made at its first use; NULL: no memory, or curl cannot be used. */
struct http_worker *http_worker_get(struct http_state *state, struct driver_env *env);
/* A transfer of the store is running: the clock must tick. */
void http_worker_clock(struct http_worker *worker, const struct http_store *store);
void http_worker_leave(void *state, struct driver_env *env);
uint64_t http_random(struct http_worker *worker);

/* store.c */
/* A whole object was asked for, and its size is known now. */
void http_store_saw_size(struct http_store *store, const struct driver_object *object);

/* customer_key.c */
/* Looks at settings.customer_key: -EINVAL and a sentence if it cannot be one, or would be sent in
 * the clear. */
int http_customer_key_make(struct http_store *store, char *why, size_t why_bytes);
/* Adds it to a request for an object, if there is one. */
int http_customer_key_send(const struct http_store *store, struct http_request *request);

/* dialect.c */
/* The region that requests are signed for. */
void http_region_in_use(const struct http_store *store, char out[HTTP_REGION_BYTES]);
/* Adds what the store's kind asks of every request, and signs it. */
int http_authorize(struct http_worker *worker, const struct http_store *store,
                   const struct http_credential *credential, struct http_request *request,
                   struct http_text *text);
/* Scheme, host, path and query of an object, in the region where the server said that it is. */
int http_object_request(const struct http_store *store, const char *key,
                        struct http_request *request, struct http_text *text);
/* The same of the bucket: for listings, whose query is still to be set. */
int http_bucket_request(const struct http_store *store, struct http_request *request,
                        struct http_text *text);
/* A listing of the one object `key`: a store that answers it holds the bucket. */
int http_missing_request(const struct http_store *store, const char *key,
                         struct http_request *request, struct http_text *text);

extern const struct driver_ops driver_http;

#endif
