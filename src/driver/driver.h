/* SPDX-License-Identifier: MIT */
/*
 * driver.h - what a kind of storage is to the engine.
 *
 * A driver turns `read these bytes of this object` into loop operations and reports once per read.
 * It runs on the worker that claimed the read, through that worker's driver_env; it owns no thread
 * and never blocks there. Store-wide calls (open, close, list) run on the caller's thread and may
 * block.
 *
 *   engine                       driver
 *   read(env, read)        ->    submits loop operations; their done() functions run on this worker
 *   env->complete(read)    <-    exactly once per read, from inside read() or later, on the same
 *                                worker. The engine only queues it there: no re-entry.
 */
#ifndef LSIO_DRIVER_DRIVER_H
#define LSIO_DRIVER_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue.h"
#include "loop/loop.h"
#include "lsio/lsio.h"
#include "plan/plan.h"

struct driver_ops;
struct driver_read;

/* A public store. Drivers embed it as their first member. Frozen after store_open, but for what
 * says otherwise. */
struct lsio_store {
    const struct driver_ops *driver;
    struct lsio_context *context;
    char *url; /* without secrets; owned */
    struct plan_profile profile; /* as it was opened; requests are planned with profile_take()'s */
    struct store_tuned *tuned;   /* the engine's; under the context's lock */
    _Atomic uint32_t users; /* batches that use it now */
    _Atomic uint32_t inflight; /* reads, where profile.inflight_max is too small to be shared out */
    struct lsio_store *next; /* the context's list; under its lock */
    uint32_t ordinal;        /* unique in the context */
};

/* One worker, as drivers see it; embedded in the engine's worker. Owner-thread only, but for
 * post(). */
struct driver_env {
    uint32_t worker;       /* 0 .. workers - 1 */
    uint32_t worker_count;
    const struct loop_ops *loop_ops;
    struct loop *loop;
    const struct loop_os *os;
    const struct log *log; /* the context's; NULL: nothing is logged */
    uint64_t cache_bytes;  /* lsio_config.cache_bytes, resolved */
    uint32_t gates_off;
    bool warm;             /* the last reads were there at once (hot window state) */

    /* Reports a read; its status, bytes_done and code are final. */
    void (*complete)(struct driver_env *env, struct driver_read *read);
    /* Says, once per read->tell_bytes, that so many have come; complete() follows all the same. */
    void (*advanced)(struct driver_env *env, struct driver_read *read);
    /* Runs node->run(env, node) on this worker, from any thread. */
    void (*post)(struct driver_env *env, struct queue_node *node);
    struct driver_env *(*peer)(struct driver_env *env, uint32_t worker);
    /* A 4096-aligned bounce buffer at once, or NULL: then do without. */
    void *(*bounce_get)(struct driver_env *env, uint64_t bytes);
    void (*bounce_put)(struct driver_env *env, void *memory, uint64_t bytes);

    /* Loop operations of drivers that belong to no read (connections, clocks): the loop lives until
     * there are none. */
    uint32_t background;

    uint64_t operations_direct; /* statistics that only a driver knows */
    uint64_t retries;
    uint64_t throttles; /* answers that asked to slow down */
    uint64_t requests, resumes, reconnects, hedges;
};

/* An object of one batch: what the planner sees, what the driver keeps. Zeroed but for `plan` and
 * the frozen part before first use; `finish_object` ends it. */
struct driver_object {
    struct plan_object plan; /* first: plan_input.objects points here */
    /* frozen */
    struct lsio_store *store;
    const char *key;
    const char *etag; /* expected, or NULL */
    uint32_t chunk_count; /* chunks that read it; 0: nobody has counted */
    /* shared */
    _Atomic(void *) handle;   /* the driver's: once set it stays for the batch */
    _Atomic bool key_checked; /* check_key() has approved */
    _Atomic int32_t changed;  /* set when the object was seen to change: LSIO_E_CHANGED for all */
    bool counts_store;        /* its batch is counted in store->users here; frozen */
    uint64_t batch_bytes;     /* estimate of the bytes this batch reads of the store */
};

enum driver_read_kind {
    DRIVER_READ = 0, /* offset, bytes -> addr or iov */
    /* The object's size: sets object->plan.size. With bytes > 0 those from offset on as well, as
     * far as there are any: bytes_done may be less. */
    DRIVER_PROBE = 1
};

/* What is known of a failure besides its status, where that is more than a constant sentence. */
struct driver_detail {
    uint32_t attempts;
    char text[192]; /* without secrets */
    char request_id[64];
};

/* The same of a call that is no read; zeroed by the caller, who frees detail. */
struct driver_failure {
    int32_t code; /* errno or HTTP status behind it; 0: the status says it */
    struct driver_detail *detail;
};

/* One read. Frozen fields are set by the engine before read() and stay until complete(). */
struct driver_read {
    /* frozen */
    struct driver_object *object;
    uint64_t offset;
    uint64_t bytes;          /* exactly these: fewer is LSIO_E_TRUNCATED */
    uint8_t *addr;           /* where they go; NULL with iov */
    const struct iovec *iov; /* borrowed; may be changed by the driver to continue a short read. A
                                NULL base, with profiles that say `discards`: bytes not wanted */
    uint32_t iov_count;
    int16_t buffer;          /* registered buffer that holds addr, or -1 */
    uint8_t kind;            /* enum driver_read_kind */
    bool padded;             /* addr lies in a pool buffer: the bytes from align_down(addr) up to
                                align_up(addr + bytes) may be overwritten, and addr is congruent to
                                offset modulo 4096 */
    bool part;               /* of a split chunk: all parts must be of one version of the object */
    /* Set by the engine, also later. Not 0: a driver whose bytes come one after another may, once
     * so many are final whatever becomes of the rest, set it to 0, call env->advanced() and from
     * then on keep ready_bytes at what has come. */
    uint64_t tell_bytes;
    uint64_t ready_bytes;
    /* result */
    int32_t status;
    int32_t code;        /* errno or HTTP status behind it */
    uint64_t bytes_done; /* bytes that came from storage */
    char *text;          /* NULL, or a static sentence that says more than the status */
    struct driver_detail *detail; /* NULL, or malloc'ed by the driver; the engine frees it */
    /* the driver's */
    struct loop_op op;
    struct queue_node node;
    void *wait; /* what it waits for */
    struct driver_env *env;
    struct driver_read *next;
    uint64_t progress;
    void *bounce;
    uint64_t bounce_bytes;
    uint8_t state;
    uint8_t attempts;
    bool direct;
};

/* What the servers of a context are like now. */
struct driver_usage {
    uint64_t requests;             /* that the server asked most has had */
    struct plan_measured measured; /* of that server */
    uint64_t limit, used;          /* requests that may be in flight, and are; of all servers */
};

/* One of the ranges that read_inline() reads. */
struct driver_range {
    uint64_t offset, bytes;
    void *addr;
};

struct driver_open {
    const struct driver_ops *driver;
    struct lsio_context *context;
    struct driver_env *env; /* some worker's, for post(); lives as long as the context */
    const struct loop_os *os;
    const char *url;                  /* as given */
    const char *rest;                 /* after "scheme://", or the driver's prefix */
    const struct lsio_option *options;
    size_t option_count;
    uint32_t worker_count;
    void *state; /* what state_create() of this driver made */
    char *why;   /* NULL, or room for a sentence about a failure, for the log */
    size_t why_bytes;
};

struct driver_ops {
    const char *name;
    const char *const *schemes;  /* "file", …, NULL-terminated */
    const char *const *prefixes; /* other beginnings of its URLs, "/vsis3/", …; NULL: none */

    /* State shared by all stores of a context (local: the descriptor cache); may be NULL. */
    int (*state_create)(struct lsio_context *context, const struct loop_os *os,
                        uint32_t worker_count, void **out);
    /* `forked`: in a child; close descriptors, take no lock. */
    void (*state_destroy)(void *state, bool forked);

    /* The worker is about to end, no read is left: cancels what env->background counts. NULL:
     * nothing. */
    void (*worker_leave)(void *state, struct driver_env *env);

    int (*store_open)(const struct driver_open *open, struct lsio_store **out);
    void (*store_close)(struct lsio_store *store, bool forked);
    /* A URL as messages may show it: without secrets, cut to fit. NULL: it never holds any. */
    void (*show_url)(const char *url, char *out, size_t bytes);

    void (*read)(struct driver_env *env, struct driver_read *read);
    /* How many bytes a probe should ask for, for it costs as much as a read. NULL: none. */
    uint64_t (*probe_bytes)(const struct lsio_store *store);
    /* What requests to the store have shown; any thread, often: profiles follow it. NULL: they are
     * not measured. */
    void (*measure)(const struct lsio_store *store, struct plan_measured *out);
    /* Adds what is known of all servers to *out; any thread. NULL: there are none. */
    void (*usage)(void *state, struct driver_usage *out);
    /* Asks for an early end; the read still completes once. */
    void (*cancel)(struct driver_env *env, struct driver_read *read);

    /* -EINVAL for a key this store can never hold; NULL: any key goes. */
    int (*check_key)(const struct lsio_store *store, const char *key);
    /* The batch has no more reads of the object: compares validators (0 or LSIO_E_CHANGED; `any
     * thread`). */
    int (*verify_object)(struct driver_object *object);
    void (*finish_object)(struct driver_object *object);
    int (*object_info)(struct driver_object *object, struct lsio_object_info *out);
    /* Physical extents for the planner, or none; called where blocking is allowed. NULL: never. */
    void (*describe_object)(struct driver_object *object);

    /* Reads ranges of one state of an object at once on the caller's thread, if they are cached: 0,
     * or -EAGAIN: take the ordinary way, whatever was read. NULL: never. */
    int (*read_inline)(struct lsio_store *store, const char *key, const struct driver_range *ranges,
                       size_t count);
    int (*list)(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
                void *data, struct driver_failure *failure);
    int (*put)(struct lsio_store *store, const char *key, const void *bytes, uint64_t length);
    int (*remove)(struct lsio_store *store, const char *key);
    /* Asks `ask` for credentials from now on; no batch uses the store. NULL: it takes none. */
    int (*set_credentials)(struct lsio_store *store, lsio_credential_fn *ask, void *data);
};

#endif
