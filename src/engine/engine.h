/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the types that move chunks: context, worker, batch, segment, slab, operation. The only
 * folder that knows every step. src/README.md walks one chunk through the files.
 *
 *   batch      what one submit started; made of segments
 *   segment    one request's tables plus the state of its objects; batch_add appends further ones
 *   slab       a planned piece of a segment: operations that workers claim in small runs
 *   operation  a read on its way: from start to the end of its last chain
 *
 * Who may touch what: fields are grouped frozen (set before sharing), owner (one thread), shared
 * (how is written there).
 */
#ifndef LSIO_ENGINE_ENGINE_H
#define LSIO_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/deque.h"
#include "base/log.h"
#include "base/queue.h"
#include "buffer/pool.h"
#include "chain/chain.h"
#include "driver/driver.h"
#include "loop/loop.h"
#include "lsio/lsio.h"
#include "plan/plan.h"
#include "request/record.h"
#include "request/view.h"

#define ENGINE_OPERATIONS_MAX 512u /* per worker; power of two */
#define ENGINE_RUN_MAX 64u         /* operations claimed at once */
#define ENGINE_SLAB_CHUNKS_MAX 65536u
#define ENGINE_SLAB_CHUNKS_SMALL 1024u
#define ENGINE_INLINE_CHUNKS_MAX 4u
#define ENGINE_DESCRIBE_MAX 1024u /* objects of a batch whose place on the medium is asked for */
#define ENGINE_VECTORS_MAX 64u /* vectored reads in flight per worker */
#define ENGINE_BUFFERS_MAX 16u /* registered with a loop: 0 the arena, others the user's */
#define ENGINE_DRIVERS_MAX 8u
#define ENGINE_SLICE_NS 50000u      /* of chains, then a worker looks at everything else */
#define ENGINE_DESTROY_TIMEOUT_MS 30000u

struct worker;

/* ----------------------------------------------------------------------------------- batch -- */

struct segment {
    /* frozen */
    struct segment *next;
    struct lsio_batch *batch;
    struct request_view view;
    struct driver_object *objects; /* one per object of the request; owned */
    struct plan_input input;
    uint64_t first_index; /* of its chunk 0 in the batch */
    bool stat_only;       /* lsio_stat_batch: chunks end when their object's size is known */
    /* shared: under the context's lock */
    struct segment *plan_link; /* batch's stack of segments that planning goes on with */
    uint64_t planned;          /* chunks handed to the planner so far */
    /* shared: tables made on first use; slot i is written by the worker that completes chunk i */
    _Atomic(void *) allocated; /* _Atomic(void *)[]: results of LSIO_CHUNK_ALLOC */
    _Atomic(void *) ended; /* bool[]: delivered nothing; where there are no results to say so */
};

struct lsio_batch {
    struct record record; /* first */
    /* frozen */
    struct lsio_context *context;
    lsio_chunk_fn *on_chunk;
    lsio_done_fn *on_done;
    void *data;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint32_t flags;
    /* shared, under the context's lock */
    struct segment *segments; /* oldest first; the first is embedded */
    struct segment *segments_last;
    struct slab *ready; /* planned slabs with unclaimed operations, next to claim first */
    uint32_t ready_count;
    struct segment *plan_next; /* segments not planned to their end, next first */
    bool planning;             /* a worker is at it */
    uint32_t slab_chunks;      /* size of the next slab */
    struct lsio_batch *work_next, *work_prev; /* context's ring of batches with unclaimed work */
    bool working;
    struct lsio_batch *list_next, *list_prev; /* context's list of all batches */
    bool running;  /* on_done has not returned */
    struct queue_node empty_node; /* brings a batch without chunks to a worker */
    bool detached; /* destroy was called from a callback: free after on_done */
    struct segment first;
};

/* A long chunk cut into parts, which any workers read into one place. */
struct split {
    /* frozen */
    struct segment *segment;
    uint64_t chunk;
    uint64_t offset, bytes, part_bytes;
    uint8_t *addr;        /* destination: the chunk's dst, allocated memory, or `buffer` */
    void *buffer;         /* pool memory to give back, or NULL */
    uint64_t buffer_bytes;
    void *allocated;      /* LSIO_CHUNK_ALLOC memory, or NULL */
    bool padded;
    /* shared */
    _Atomic uint32_t remaining; /* parts not complete */
    _Atomic int32_t status;     /* first failure */
    _Atomic int32_t code;
    struct driver_detail *detail; /* of the first failure; its part writes it, the last one reads */
};

struct slab {
    /* frozen once published */
    struct plan_slab plan;
    struct segment *segment;
    bool is_split;        /* operations are the parts of `split`; plan holds only op_count */
    struct split split;
    uint32_t capacity;    /* chunks */
    uint32_t run_max;     /* operations per claim */
    const struct plan_profile *profile; /* sets the pace; may be NULL */
    bool urgent;          /* from a callback, a probe or a split: goes to the front */
    /* shared */
    _Atomic uint32_t next; /* next operation to claim; may run past op_count */
    _Atomic uint32_t refs; /* list, claims, operations that read its member order */
    /* under the context's lock */
    struct slab *link;
    bool listed;
    uint32_t holder; /* worker + 1 that reads it, where only one may; 0: none yet */
};

/* ------------------------------------------------------------------------------- operation -- */

struct operation {
    struct driver_read read;
    /* owner until complete, then whoever runs it */
    struct worker *home;
    struct segment *segment;
    struct slab *slab; /* referenced while set: JOIN, VECTOR, PROBE, parts of a split */
    const struct plan_op *plan; /* in slab */
    struct split *split;
    uint64_t chunk;    /* of a single-chunk operation */
    void *buffer;      /* pool memory, or NULL */
    uint64_t buffer_bytes;
    void *allocated;   /* LSIO_CHUNK_ALLOC memory read into directly */
    uint64_t started_ns; /* 0: not timed */
    uint32_t flush_sequence; /* of the flush that submits it */
    uint8_t kind;      /* enum plan_kind */
    bool in_arena;
    bool active;       /* submitted and not completed; owner */
    bool cancel_asked;
    bool advancing;          /* in worker->advancing; owner */
    uint32_t delivered;      /* members of a JOIN that ended before the read did */
    struct operation *advancing_next;
    struct iovec *iov; /* VECTOR: from the worker's stock */
    struct operation *free_next;
    struct queue_node home_node; /* brings it home after it was stolen */
};

/* ---------------------------------------------------------------------------------- worker -- */

/* Memory of the user registered with the loops; slot 0 is the arena's. */
struct user_buffer {
    void *addr;
    uint64_t bytes;
};

/* Operations of a slab that are this worker's to start. */
struct claim {
    struct slab *slab; /* referenced */
    uint32_t next, end;
};

struct fold {
    struct lsio_batch *batch;
    uint64_t done, failed, bytes;
};

/* Others wake whoever is not AWAKE for a message, and only the HUNGRY for work. */
enum worker_park_state {
    WORKER_AWAKE,
    WORKER_WAITING, /* parked, with as much in flight as it may have */
    WORKER_HUNGRY   /* parked, and would take more work */
};

#define LATENCY_BUCKETS 64u

/* Written by the worker, read by anybody: relaxed atomics. */
struct worker_stats {
    _Atomic uint64_t chunks_done, chunks_failed;
    _Atomic uint64_t bytes_asked, bytes_read, bytes_wasted;
    _Atomic uint64_t operations, operations_direct, operations_joined, operations_inline;
    _Atomic uint64_t retries, throttles, steals, enters, inflight_target;
    _Atomic uint64_t requests, resumes, reconnects, hedges;
    _Atomic uint64_t latency[LATENCY_BUCKETS]; /* by log2 of ns, in halves */
};

struct worker {
    struct driver_env env; /* first */
    /* frozen */
    struct lsio_context *context;
    pthread_t thread;
    uint32_t index;
    /* owner */
    struct arena arena;
    bool arena_registered;
    struct chain_env chain;
    struct operation *operations; /* ENGINE_OPERATIONS_MAX */
    struct operation *free_operations;
    struct iovec *iov_stock; /* ENGINE_VECTORS_MAX blocks of 2 * PLAN_VECTOR_MAX */
    uint64_t iov_free;       /* bit i: block i is free */
    struct user_buffer user_buffers[ENGINE_BUFFERS_MAX]; /* registered with this worker's loop */
    uint32_t user_buffer_count;                          /* highest slot in use + 1 */
    uint8_t *junk; /* where the gaps of vectored reads go */
    struct claim claim;
    struct claim waiting; /* found no memory, put aside while parts of splits are read */
    struct fold fold;
    struct planner *planner; /* made on first use */
    struct operation *resumed, *resumed_last; /* probed, with their reads still to start */
    struct operation *advancing; /* joins of which further members have come whole */
    uint32_t inflight;       /* operations submitted and not reaped */
    uint32_t unflushed;      /* submitted since the last flush */
    uint32_t flush_sequence; /* counts flushes */
    uint64_t window_bytes;   /* submitted, or reaped and not processed */
    uint32_t depth;          /* adaptive target of operations in flight when cold */
    uint32_t depth_max;      /* of the store read last */
    bool remote;             /* that store is across a network */
    uint32_t immediate;      /* bit i: the i-th last sampled operation was there at once */
    uint32_t immediate_now;  /* completions since the last fill that needed no waiting */
    uint32_t sampled;        /* how many of those bits count, up to 32 */
    uint32_t parks;          /* every few parks one tries whether data has become warm */
    uint32_t seen_epoch;     /* work_epoch before the last search for work */
    uint64_t chain_ns;       /* of one operation, in the last slice */
    bool left;               /* drivers were told that it ends */
    bool woke;               /* parked since the last reap */
    bool starved;            /* the last start found no memory */
    bool starved_waiting;    /* has said so in pool.waiters, ... */
    uint32_t starved_epoch;  /* ... when the context's was this */
    uint32_t steal_next;
    uint64_t reads_started;
    uint64_t completions;
    uint64_t gathered_at; /* completions at the last gather */
    /* shared */
    struct deque ready; /* completed operations */
    _Atomic(void *) ready_slots[ENGINE_OPERATIONS_MAX];
    struct queue mailbox;
    _Atomic uint64_t chains_since_ns; /* since when there was always something in `ready`; or 0 */
    _Atomic int parked; /* enum worker_park_state */
    _Atomic bool cancel_scan; /* some batch was canceled: look through operations */
    _Atomic bool exit_asked;
    struct worker_stats stats;
};

/* --------------------------------------------------------------------------------- context -- */

struct lsio_context {
    /* frozen */
    const uint8_t *alive; /* a page that a fork wipes: 1 in the creator, 0 in its children */
    struct lsio_config config;
    struct log log;
    const struct loop_os *os;
    const struct loop_ops *loop_ops;
    bool loop_given; /* by the creator's world: there is no other to fall back to */
    void *loop_shared;
    char loop_reason[160];
    const struct driver_ops *drivers[ENGINE_DRIVERS_MAX];
    uint32_t driver_count;
    uint32_t worker_count;
    struct worker *workers;
    uint64_t hot_window_bytes;
    uint64_t arena_bytes;
    uint64_t cache_bytes;
    void *driver_states[ENGINE_DRIVERS_MAX];
    struct pool pool;
    /* shared: the lock orders work lists, stores, batches */
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    uint32_t workers_started;
    uint32_t workers_stepping; /* workers whose loops may still be woken */
    int32_t start_error;
    char start_why[128];
    struct lsio_batch *work;    /* ring of batches with unclaimed operations, next first */
    struct lsio_batch *batches; /* all that are not freed */
    uint32_t running_count;
    bool ending; /* its destroy has begun */
    pthread_cond_t idle_cond; /* running_count fell to 0 */
    struct lsio_chain **chains;
    uint32_t chain_count, chain_room;
    struct lsio_store *stores;
    uint32_t store_count;
    struct slab *free_slabs_small, *free_slabs_large;
    struct user_buffer user_buffers[ENGINE_BUFFERS_MAX]; /* slot 0 unused */
    /* shared, atomic */
    _Atomic uint32_t work_count;  /* batches in `work` */
    _Atomic uint32_t hungry_count; /* parked workers that would take more work */
    _Atomic uint64_t next_deadline_ns;
    _Atomic uint32_t user_buffer_count;
    _Atomic uint32_t work_epoch; /* counts publications: what a parking worker must not miss */
    _Atomic uint32_t starved_epoch; /* counts wake-ups of those that found no memory */
    _Atomic uint32_t wake_next;  /* where the search for a parked worker begins */
    /* shared, own lock: chains beyond their scratch, one worker at a time */
    pthread_mutex_t lane_lock;
    pthread_cond_t lane_cond;
    uint32_t lane_owner, lane_depth; /* lane_owner: worker + 1; 0: free */
    struct pool lane_pool;
    /* a thread inside lsio_read_batch that runs a tiny request itself */
    pthread_mutex_t caller_lock;
    struct chain_env caller_chain;
    uint8_t *caller_memory; /* for what it reads into; hot_window_bytes */
    uint8_t *scratch;       /* one mapping behind all scratch regions */
    uint64_t scratch_mapped_bytes;
    struct worker_stats caller_stats;
};

/* Whose callback the calling thread is inside of; NULL outside of callbacks. */
struct callback_frame {
    struct lsio_context *context;
    struct lsio_batch *batch; /* whose stage or on_chunk is running */
};
extern _Thread_local struct callback_frame *callback_current;

/* -------------------------------------------------------------------------- what does what -- */

/* context.c */
static inline bool context_is_alive(const struct lsio_context *context)
{
    return *(const volatile uint8_t *)context->alive != 0;
}
/* The outside of a context. NULL members, and a NULL world, are the real thing; a simulation brings
 * its own. */
struct context_world {
    const struct loop_os *os;
    const struct loop_ops *loop;
    const struct driver_ops *driver; /* one more than the built-in ones */
};
int context_create(const struct lsio_config *config, const struct context_world *world,
                   struct lsio_context **out);
/* The driver for a URL, by how it begins, or NULL; what follows that beginning in *rest. */
const struct driver_ops *context_driver_for(const struct lsio_context *context, const char *url,
                                            const char **rest, uint32_t *index);
int context_destroy(struct lsio_context *context);
void context_wake_one(struct lsio_context *context);
void context_wake_all(struct lsio_context *context);

/* config.c: defaults from the machine */
uint32_t config_cpu_count(const struct loop_os *os);
uint64_t config_memory_bytes(const struct loop_os *os);
uint64_t config_available_bytes(const struct loop_os *os);
uint64_t config_hot_window_bytes(const struct loop_os *os);
uint64_t config_memlock_bytes(const struct loop_os *os);
const char *config_loop_name(void);
bool config_valgrind(void);
void config_pin(uint32_t worker);

/* registry.c: the only place that names loops and drivers */
const struct loop_ops *registry_loop(const char *name);
const struct loop_ops *registry_loop_fallback(void);
/* Up to ENGINE_DRIVERS_MAX - 1 built-in drivers; the first takes bare paths. */
uint32_t registry_driver_count(void);
const struct driver_ops *registry_driver(uint32_t index);

/* worker.c */
int worker_init(struct worker *worker, struct lsio_context *context, uint32_t index);
void worker_finish(struct worker *worker, bool forked);
void *worker_main(void *worker);
enum { WORKER_RAN, WORKER_IDLE, WORKER_EXIT };
void worker_messages(struct worker *worker);
/* One step: never blocks, holds no lock on return. WORKER_IDLE: nothing to do before *until_ns. */
int worker_step(struct worker *worker, uint64_t *until_ns);
void worker_complete(struct driver_env *env, struct driver_read *read);
void worker_wake(struct worker *worker);
void worker_publish_stats(struct worker *worker); /* what drivers and loops have counted */

/* advance.c */
/* For a JOIN about to be submitted: asks its driver to tell when the first member is there. */
void operation_advance_begin(struct operation *operation, uint64_t offset);
void worker_advanced(struct driver_env *env, struct driver_read *read);
/* The read has ended: what is left is operation_finish()'s. */
void operation_advance_end(struct worker *worker, struct operation *operation);
/* Runs the chains of members that have come; false: there are none. */
bool worker_advance(struct worker *worker);

/* sweep.c */
/* Reports what has not begun of canceled batches. */
void worker_sweep(struct worker *worker);

/* claim.c */
bool claim_next(struct worker *worker); /* makes worker->claim non-empty, or false */
/* For a worker whose claim found no memory: parts of a split, which hold their memory already. The
 * claim is put aside as `waiting`; claim_resume() takes it up again. */
bool claim_parts(struct worker *worker);
bool claim_resume(struct worker *worker);
void claim_drop(struct worker *worker);
void batch_publish(struct lsio_batch *batch, struct slab *slab); /* takes the context's lock */
void batch_work_add(struct lsio_batch *batch, bool front);             /* under the lock */
void batch_work_drop(struct lsio_batch *batch);                        /* under the lock */
struct slab *batch_ready_take(struct lsio_batch *batch);               /* under the lock; or NULL */
struct slab *slab_get(struct lsio_context *context, uint32_t chunks);  /* takes the lock; or NULL */
void slab_put(struct lsio_context *context, struct slab *slab);        /* drops a reference */
struct planner *worker_planner(struct worker *worker);
void slabs_free(struct lsio_context *context);

/* start.c */
enum start_result {
    START_OK,        /* under way, or already at its end */
    START_NO_MEMORY, /* try again when memory was given back */
    START_NO_SLOT,   /* try again when an operation has ended */
    START_FAILED     /* the system has no memory: its chunks end with -ENOMEM */
};
enum start_result operation_start(struct worker *worker, struct slab *slab, uint32_t op_index);
struct operation *operation_get(struct worker *worker);
/* Starts the oldest of worker->resumed; false: no memory now. */
bool operation_resume(struct worker *worker);
/* Reports an operation that is not started, or what is resumed of canceled batches, as canceled. */
void operation_cancel(struct worker *worker, struct slab *slab, uint32_t op_index, int32_t status);
void operation_resumed_cancel(struct worker *worker);
/* Gives back buffer and slot, on the worker it belongs to; from another worker by message. */
void operation_release(struct worker *worker, struct operation *operation);
/* The i-th chunk of a JOIN, VECTOR or PROBE, its index and resolved range. */
const struct lsio_chunk *operation_member(const struct operation *operation, uint32_t i,
                                          uint64_t *index, uint64_t *offset, uint64_t *length);
/* 0, or why nothing of an object can be read: a bad key, or it was seen to change. */
int object_status(struct driver_object *object);
/* Gives shared pool memory back and wakes workers that wait for some. */
void pool_give(struct worker *worker, void *addr, uint64_t bytes);
/* Wakes workers that wait for memory, or for a store to admit one more read. */
void starved_wake(struct lsio_context *context);
/* 0, or the status with which a chunk of that resolved length ends before any read. */
int chunk_starts_read(const struct worker *worker, const struct segment *segment,
                      const struct lsio_chunk *chunk, uint64_t length);
/* Starts reading a chunk's resolved range with an operation that has no buffer yet. */
enum start_result operation_read_chunk(struct worker *worker, struct operation *operation,
                                       const struct lsio_chunk *chunk, uint64_t offset,
                                       uint64_t length);
enum start_result split_start(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                              uint64_t offset, uint64_t length, uint64_t part_bytes);

/* finish.c */
void operation_finish(struct worker *worker, struct operation *operation);
/* Fills in what *error, whose status is set, says of the chunk: index, range, names, the sentence,
 * which begins with `text`; NULL: with that of the status. */
void chunk_describe(const struct segment *segment, uint64_t chunk, const char *text,
                    struct lsio_error *error);
/* Ends one chunk without running its chain. `text` may be NULL. */
void split_part_cancel(struct worker *worker, struct split *split, int32_t status);
void chunk_fail(struct worker *worker, struct segment *segment, uint64_t chunk, int32_t status,
                int32_t code, const char *text);
/* At the batch's end: what was delivered of the chunk, if anything, is not valid. */
void chunk_revoke(struct segment *segment, uint64_t chunk, int32_t status, const char *text);
/* Runs the chain over a chunk's bytes and reports it. */
void chunk_deliver(struct worker *worker, struct segment *segment, uint64_t chunk, void *bytes,
                   uint64_t length, void *allocated);
void fold_flush(struct worker *worker);

/* submit.c */
/* *refusal: why, if the request is to blame; its status is 0 otherwise. */
int batch_create(struct lsio_context *context, const struct lsio_request *request, bool copy,
                 struct lsio_error *refusal, struct lsio_batch **out);
void batch_start(struct lsio_batch *batch);
void batch_free(struct lsio_batch *batch, bool forked);
int batch_add(struct lsio_batch *batch, const struct lsio_request *more, uint64_t *first_index);
void batch_cancel(struct lsio_batch *batch, int32_t status);
void context_cancel_scan(struct lsio_context *context); /* all workers look for canceled batches */
int batch_destroy(struct lsio_batch *batch);
/* The whole of lsio_read_batch that workers do; *error is written if a chunk failed or the request
 * was refused. */
int batch_read(struct lsio_context *context, const struct lsio_request *request,
               struct lsio_error *error);
void *batch_result_take(struct lsio_batch *batch, struct lsio_result *result);
/* *error is written if an object failed or the request was refused. */
int batch_stat(struct lsio_context *context, const struct lsio_object *objects, size_t count,
               struct lsio_object_info *infos, size_t info_bytes, int *statuses,
               struct lsio_error *error);
void batch_complete(struct lsio_batch *batch); /* the last chunk was folded in */
void context_check_deadlines(struct lsio_context *context, uint64_t now_ns);

/* inline.c: -EAGAIN: take the ordinary way; *error is written if a chain failed */
int read_inline(struct lsio_context *context, const struct lsio_request *request,
                struct lsio_error *error);

/* list.c: *error is written if it failed, other than by what on_page returned */
int store_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
               void *data, struct lsio_error *error);

/* memory.c: blocks until every worker has done it */
int context_memory_register(struct lsio_context *context, void *addr, uint64_t bytes);
int context_memory_unregister(struct lsio_context *context, void *addr);

/* tune.c */
/* What the next request to the store is to be planned with; give it back with profile_drop(). */
const struct plan_profile *profile_take(struct lsio_store *store);
void profile_drop(struct lsio_store *store, const struct plan_profile *profile);
/* Closes a store that nobody uses. */
void store_end(struct lsio_store *store, bool forked);

/* stats.c */
void stats_latency(struct worker_stats *stats, uint64_t ns);
int context_stats(struct lsio_context *context, struct lsio_stats *out);

/* explain.c */
int explain_request(struct lsio_context *context, const struct lsio_request *request, int format,
                    char **out);

static inline void stat_add(_Atomic uint64_t *counter, uint64_t value)
{
    /* one writer: no locked instruction is needed */
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

/* True if reads in flight on a store are counted over all workers. */
static inline bool store_is_counted(const struct lsio_context *context,
                                    const struct lsio_store *store)
{
    return store->profile.inflight_max < 4 * context->worker_count;
}

static inline const struct lsio_chain *chunk_chain(const struct segment *segment,
                                                   const struct lsio_chunk *chunk)
{
    return chunk->chain ? chunk->chain : segment->view.chain;
}

#endif
