/* SPDX-License-Identifier: MIT */
/*
 * Design: one worker per core, each with its own loop. A worker's life is steps; a step never
 * blocks:
 *
 *   messages -> fill (claim, start) -> flush -> reap -> run chains
 *
 * and between steps with nothing to do it parks inside its loop's wait().
 *
 * Warm and cold. When reads are there straight after they were submitted (page cache), the copy out
 * of the kernel happened inside flush(), on this core: the worker then keeps the bytes of one flush
 * within the hot window, a part of its L2 cache, and runs all chains before it reads on. When the
 * device is the limit it keeps `depth` reads in flight, doubles depth while that is short of the
 * store's share, and tops up between chains. Which it is, is sampled: of the last 32 operations of
 * a flush, how many were reaped right after it.
 *
 * Parking. A worker sets `parked`, then looks once more at everything that others may have done
 * (sequentially consistent, as is the other side: do it, then look at `parked`), then waits.
 * Whoever makes work wakes one parked worker; each woken worker wakes one more while operations are
 * unclaimed.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"

#define WARM_SAMPLES 32u
#define DEPTH_START 4u
#define STARVED_WAIT_NS UINT64_C(20000000)
#define GATHER_NS 4000000u
#define GATHER_MAX 16u
#define FILL_MAX 256u /* operations started before messages are looked at again */

/* ----------------------------------------------------------------------------- completions -- */

void worker_complete(struct driver_env *env, struct driver_read *read)
{
    struct worker *worker = container_of(env, struct worker, env);
    struct operation *operation = container_of(read, struct operation, read);

    if (store_is_counted(worker->context, read->object->store)) {
        atomic_fetch_sub(&read->object->store->inflight, 1);
        starved_wake(worker->context);
    }
    operation->active = false;
    operation_advance_end(worker, operation);
    worker->inflight--;
    worker->completions++;
    if (worker->flush_sequence - operation->flush_sequence <= 1)
        worker->immediate_now++;
    if (operation->started_ns)
        stats_latency(&worker->stats, env->os->now_ns() - operation->started_ns);
    deque_push(&worker->ready, operation);
}

static void env_post(struct driver_env *env, struct queue_node *node)
{
    struct worker *worker = container_of(env, struct worker, env);

    if (queue_push(&worker->mailbox, node))
        worker_wake(worker);
}

static struct driver_env *env_peer(struct driver_env *env, uint32_t index)
{
    return &container_of(env, struct worker, env)->context->workers[index].env;
}

static void *env_bounce_get(struct driver_env *env, uint64_t bytes)
{
    struct worker *worker = container_of(env, struct worker, env);
    void *memory = arena_get(&worker->arena, bytes);
    bool hopeless;

    return memory ? memory : pool_get(&worker->context->pool, bytes, &hopeless);
}

static void env_bounce_put(struct driver_env *env, void *memory, uint64_t bytes)
{
    struct worker *worker = container_of(env, struct worker, env);

    if (arena_holds(&worker->arena, memory))
        arena_put(&worker->arena, memory, bytes);
    else
        pool_give(worker, memory, bytes);
}

/* ------------------------------------------------------------------------------------ wake -- */

/* Marks a parked worker awake; true if it was this call that did. */
static bool worker_unpark(struct worker *worker, bool hungry_only)
{
    int state = atomic_load_explicit(&worker->parked, memory_order_seq_cst);

    while (state == WORKER_HUNGRY || (state == WORKER_WAITING && !hungry_only)) {
        if (!atomic_compare_exchange_weak(&worker->parked, &state, WORKER_AWAKE))
            continue;
        if (state == WORKER_HUNGRY)
            atomic_fetch_sub(&worker->context->hungry_count, 1);
        return true;
    }
    return false;
}

void worker_wake(struct worker *worker)
{
    if (worker_unpark(worker, false))
        worker->env.loop_ops->wake(worker->env.loop);
}

void context_wake_one(struct lsio_context *context)
{
    uint32_t first;

    if (atomic_load(&context->hungry_count) == 0)
        return;
    first = atomic_fetch_add_explicit(&context->wake_next, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < context->worker_count; i++) {
        struct worker *worker = &context->workers[(first + i) % context->worker_count];
        if (worker_unpark(worker, true)) {
            worker->env.loop_ops->wake(worker->env.loop);
            return;
        }
    }
}

void context_wake_all(struct lsio_context *context)
{
    for (uint32_t i = 0; i < context->worker_count; i++)
        worker_wake(&context->workers[i]);
}

/* ---------------------------------------------------------------------------------- warmth -- */

static void warmth_sample(struct worker *worker, uint32_t flushed, uint32_t immediate)
{
    if (flushed > WARM_SAMPLES) {
        immediate = immediate * WARM_SAMPLES / flushed;
        flushed = WARM_SAMPLES;
    }
    worker->immediate = flushed == 32 ? 0 : worker->immediate << flushed;
    worker->immediate |= immediate == 32 ? UINT32_MAX : (1u << immediate) - 1;
    worker->sampled = worker->sampled + flushed > WARM_SAMPLES ? WARM_SAMPLES
                                                               : worker->sampled + flushed;
    if (worker->sampled < WARM_SAMPLES)
        worker->immediate &= (1u << worker->sampled) - 1;
    bool warm = (uint32_t)__builtin_popcount(worker->immediate) * 4 >= worker->sampled * 3;
    if (warm && !worker->env.warm && worker->depth > DEPTH_START)
        worker->depth /= 2;
    worker->env.warm = warm;
}

/* A store's share for one worker; of a disk that seeks, which one worker at a time reads, the
 * whole. */
static uint32_t depth_share(const struct worker *worker, const struct slab *slab)
{
    const struct plan_profile *profile = slab->profile;
    uint32_t workers = worker->context->worker_count;
    uint32_t share = profile ? profile->inflight_max : 1;

    if (profile && !profile->physical_order)
        share = share / workers + (worker->index < share % workers);
    if (share > ENGINE_OPERATIONS_MAX / 2)
        share = ENGINE_OPERATIONS_MAX / 2;
    return share ? share : 1;
}

/* Takes on the pace of the store that is read next. Across a network nothing is there at once, nor
 * does one read stand in another's way: there the whole share is worth having from the first on. */
static void pace_take(struct worker *worker, const struct slab *slab)
{
    worker->remote = slab->profile && slab->profile->remote;
    worker->depth_max = depth_share(worker, slab);
    if (worker->remote)
        worker->env.warm = false;
    if (worker->remote || worker->depth > worker->depth_max)
        worker->depth = worker->depth_max;
}

/* ------------------------------------------------------------------------------------ step -- */

static bool fill_more(const struct worker *worker)
{
    if (worker->env.warm)
        return worker->window_bytes < worker->context->hot_window_bytes &&
               worker->inflight < ENGINE_OPERATIONS_MAX / 4;
    return worker->inflight < worker->depth &&
           worker->inflight + (uint64_t)deque_count(&worker->ready) < 2ull * worker->depth;
}

static bool claim_is_parts(const struct worker *worker)
{
    return worker->claim.next != worker->claim.end && worker->claim.slab->is_split;
}

/* True if there is more to do at once: it ran chains, or started as much as is good for others. */
static bool worker_fill(struct worker *worker)
{
    bool ran = false, blocked = false;

    worker->starved = false;
    worker->immediate_now = 0;
    for (uint32_t started = 0; fill_more(worker); started++) {
        if (started == FILL_MAX)
            return true; /* there is more to do after a look at the messages */
        struct operation *operation;
        enum start_result result;
        if (worker->resumed && !blocked) {
            if (operation_resume(worker))
                continue;
            LSIO_MARK(probed_chunk_starved);
            blocked = true;
            /* parts that are claimed already hold the memory that is missing: they go on */
            if (!claim_is_parts(worker) && !claim_parts(worker)) {
                worker->starved = true;
                return ran;
            }
        }
        if (worker->claim.next == worker->claim.end) {
            if (!claim_resume(worker) && !claim_next(worker))
                return ran;
            pace_take(worker, worker->claim.slab);
        }
        result = operation_start(worker, worker->claim.slab, worker->claim.next);
        if (result == START_NO_MEMORY && claim_parts(worker))
            continue;
        if (result != START_OK) {
            LSIO_MARK(worker_starved);
            worker->starved = true;
            return ran;
        }
        worker->claim.next++;
        /* what the driver had at once is used at once: the next read gets the same hot buffer */
        if (worker->env.warm && (operation = deque_pop(&worker->ready)) != NULL) {
            operation_finish(worker, operation);
            ran = true;
        }
        if (worker->env.warm && worker->fold.done && worker->inflight == 0 &&
            worker->claim.next == worker->claim.end)
            fold_flush(worker); /* operations that ended at their start */
    }
    /* the queue is full to its target: let the target grow while the device is the limit */
    if (!worker->env.warm && worker->depth < worker->depth_max)
        worker->depth = worker->depth * 2 < worker->depth_max ? worker->depth * 2
                                                              : worker->depth_max;
    return ran;
}

/* Hands queued operations over; the caller reaps next. */
static uint32_t worker_flush(struct worker *worker)
{
    uint32_t flushed = worker->unflushed;

    worker->env.loop_ops->flush(worker->env.loop);
    worker->unflushed = 0;
    worker->flush_sequence++;
    return flushed;
}

/* Takes completions off the loop and lets drivers go on with them. With `flushed`, samples
 * warmth. */
static uint32_t worker_reap(struct worker *worker, uint32_t flushed)
{
    struct loop_op *op = worker->env.loop_ops->reap(worker->env.loop, UINT32_MAX);
    uint32_t reaped = 0;

    while (op) {
        struct loop_op *next = op->next;
        op->done(op);
        reaped++;
        op = next;
    }
    if (flushed)
        warmth_sample(worker, flushed,
                      worker->immediate_now < flushed ? worker->immediate_now : flushed);
    return reaped;
}

/* Bringing a stolen operation's buffer home costs more than a short chain: only who has been at
 * chains for a while is stolen from. */
static bool may_be_stolen_from(const struct worker *victim, uint64_t now_ns)
{
    uint64_t since_ns = atomic_load_explicit(&victim->chains_since_ns, memory_order_relaxed);

    return since_ns && now_ns > since_ns + ENGINE_SLICE_NS && deque_count(&victim->ready) >= 2;
}

static bool worker_steal(struct worker *worker)
{
    struct lsio_context *context = worker->context;
    uint64_t now_ns = worker->env.os->now_ns();

    for (uint32_t i = 0; i < context->worker_count; i++) {
        struct worker *victim =
            &context->workers[(worker->steal_next + i) % context->worker_count];
        struct operation *operation;
        if (victim == worker || !may_be_stolen_from(victim, now_ns))
            continue;
        operation = deque_steal(&victim->ready, 2);
        if (!operation)
            continue;
        worker->steal_next = victim->index;
        stat_add(&worker->stats.steals, 1);
        operation_finish(worker, operation);
        return true;
    }
    return false;
}

/* Runs chains of what is ready: all of it while warm; else for a slice of time, so that the queue
 * is topped up between long chains and not after each short one. */
static bool worker_process(struct worker *worker)
{
    struct operation *operation = deque_pop(&worker->ready);
    uint64_t begin_ns, spent_ns = 0;
    uint32_t count = 0;

    if (!operation) {
        atomic_store_explicit(&worker->chains_since_ns, 0, memory_order_relaxed);
        return false;
    }
    begin_ns = worker->env.os->now_ns();
    if (!atomic_load_explicit(&worker->chains_since_ns, memory_order_relaxed))
        atomic_store_explicit(&worker->chains_since_ns, begin_ns, memory_order_relaxed);
    do {
        operation_finish(worker, operation);
        count++;
        if (count == 1 || (count & 15) == 0 || worker->chain_ns > ENGINE_SLICE_NS / 16) {
            spent_ns = worker->env.os->now_ns() - begin_ns;
            worker->chain_ns = spent_ns / count;
            if (worker->chain_ns * (uint64_t)deque_count(&worker->ready) > ENGINE_SLICE_NS)
                context_wake_one(worker->context); /* somebody may steal */
            if (spent_ns > ENGINE_SLICE_NS && !worker->env.warm)
                break;
        }
    } while ((operation = deque_pop(&worker->ready)) != NULL);
    worker->chain_ns = (worker->env.os->now_ns() - begin_ns) / count;
    return true;
}

void worker_messages(struct worker *worker)
{
    struct queue_node *node = queue_take_all(&worker->mailbox);

    while (node) {
        struct queue_node *next = node->next;
        node->run(&worker->env, node);
        node = next;
    }
}

static void worker_cancel_scan(struct worker *worker)
{
    atomic_store(&worker->cancel_scan, false);
    for (uint32_t i = 0; i < ENGINE_OPERATIONS_MAX; i++) {
        struct operation *operation = &worker->operations[i];
        if (!operation->active || operation->cancel_asked ||
            !atomic_load(&operation->segment->batch->record.cancel_status))
            continue;
        LSIO_MARK(running_read_canceled);
        operation->cancel_asked = true;
        operation->read.object->store->driver->cancel(&worker->env, &operation->read);
    }
    worker_sweep(worker);
}

void worker_publish_stats(struct worker *worker)
{
    struct worker_stats *stats = &worker->stats;

    atomic_store_explicit(&stats->operations_direct, worker->env.operations_direct,
                          memory_order_relaxed);
    atomic_store_explicit(&stats->retries, worker->env.retries, memory_order_relaxed);
    atomic_store_explicit(&stats->throttles, worker->env.throttles, memory_order_relaxed);
    atomic_store_explicit(&stats->requests, worker->env.requests, memory_order_relaxed);
    atomic_store_explicit(&stats->resumes, worker->env.resumes, memory_order_relaxed);
    atomic_store_explicit(&stats->reconnects, worker->env.reconnects, memory_order_relaxed);
    atomic_store_explicit(&stats->hedges, worker->env.hedges, memory_order_relaxed);
    atomic_store_explicit(&stats->enters, worker->env.loop_ops->enters(worker->env.loop),
                          memory_order_relaxed);
    atomic_store_explicit(&stats->inflight_target, worker->env.warm ? 0 : worker->depth,
                          memory_order_relaxed);
}

/* Flushing costs a system call. While cold it pays when chains wait to be run, so that the device
 * is busy meanwhile; otherwise parking flushes, except now and then, to see whether data has become
 * warm. */
static bool flush_pays(const struct worker *worker)
{
    if (worker->advancing) /* its sockets are to be looked at again */
        return true;
    if (worker->unflushed == 0)
        return false;
    if (worker->env.warm || deque_count(&worker->ready) > 0)
        return true;
    return worker->sampled < WARM_SAMPLES / 4 || (worker->parks & 15) == 0;
}

/* Nothing is left to do or to wait for. */
static bool worker_may_exit(struct worker *worker)
{
    struct lsio_context *context = worker->context;

    if (worker->inflight || !queue_is_empty(&worker->mailbox))
        return false;
    if (!worker->left) {
        worker->left = true;
        for (uint32_t i = 0; i < context->driver_count; i++)
            if (context->drivers[i]->worker_leave)
                context->drivers[i]->worker_leave(context->driver_states[i], &worker->env);
    }
    if (worker->env.background && worker->env.loop_ops->broken &&
        worker->env.loop_ops->broken(worker->env.loop))
        return true; /* what is in the loop may never come back, and harms nobody */
    return worker->env.background == 0 && queue_is_empty(&worker->mailbox);
}

int worker_step(struct worker *worker, uint64_t *until_ns)
{
    struct lsio_context *context = worker->context;
    uint64_t deadline = atomic_load_explicit(&context->next_deadline_ns, memory_order_relaxed);
    uint32_t flushed = 0, reaped = 0;
    bool ran;

    if (!queue_is_empty(&worker->mailbox))
        worker_messages(worker);
    if (atomic_load_explicit(&worker->cancel_scan, memory_order_relaxed))
        worker_cancel_scan(worker);
    if (deadline != UINT64_MAX)
        context_check_deadlines(context, worker->env.os->now_ns());
    ran = worker_fill(worker);
    if (flush_pays(worker))
        flushed = worker_flush(worker);
    if (flushed || worker->woke || worker->advancing || deque_count(&worker->ready) > 0)
        reaped = worker_reap(worker, flushed);
    worker->woke = false;
    ran |= worker_advance(worker);
    ran |= worker_process(worker);
    if (ran && deque_count(&worker->ready) > 0)
        return WORKER_RAN;
    if (worker->fold.done && (!ran || worker->claim.next == worker->claim.end ||
                              worker->inflight == 0))
        fold_flush(worker);
    if (ran || reaped)
        return WORKER_RAN;
    if (worker_steal(worker)) {
        fold_flush(worker);
        return WORKER_RAN;
    }
    if (atomic_load(&worker->exit_asked) && worker_may_exit(worker))
        return WORKER_EXIT;
    *until_ns = atomic_load(&context->next_deadline_ns);
    return WORKER_IDLE;
}

/* True if something happened that a parked worker would miss. */
static bool park_refused(struct worker *worker, uint64_t until_ns)
{
    struct lsio_context *context = worker->context;

    if (!queue_is_empty(&worker->mailbox) || atomic_load(&worker->cancel_scan) ||
        (atomic_load(&worker->exit_asked) && !worker->left) ||
        atomic_load(&context->next_deadline_ns) < until_ns)
        return true;
    if (worker->starved && worker->inflight == 0)
        return atomic_load(&context->starved_epoch) != worker->starved_epoch;
    return fill_more(worker) && !worker->starved &&
           atomic_load(&context->work_epoch) != worker->seen_epoch;
}

/* With many reads in flight a wake-up and a submission for each is most of their cost: sleep for
 * several of them, but not for long, and not for so many that the device runs dry. */
static uint32_t gather_count(const struct worker *worker)
{
    uint32_t most = worker->inflight * 3 / 4;

    return most < GATHER_MAX ? most : GATHER_MAX;
}

/* A second look in a row that found nothing waits in earnest. Across a network the connection of a
 * completed read would be idle meanwhile, and their number is what is scarce there. */
static bool gather_pays(struct worker *worker)
{
    bool pays = !worker->env.warm && !worker->remote && worker->inflight >= 8 &&
                worker->env.loop_ops->gather && worker->gathered_at != worker->completions;

    worker->gathered_at = worker->completions;
    return pays;
}

/* Says that we wait for memory; false for one more look after having said so, or if waiters were
 * woken since then: they must say so again. */
static bool starved_wait(struct worker *worker, uint64_t *until_ns)
{
    struct lsio_context *context = worker->context;
    uint64_t soon = worker->env.os->now_ns() + STARVED_WAIT_NS;
    uint32_t epoch = atomic_load(&context->starved_epoch);

    LSIO_MARK(worker_waits_for_memory);
    if (soon < *until_ns)
        *until_ns = soon;
    if (worker->starved_waiting && worker->starved_epoch == epoch)
        return true;
    worker->starved_waiting = true;
    worker->starved_epoch = epoch;
    atomic_store(&context->pool.waiters, 1);
    return false;
}

static void worker_park(struct worker *worker, uint64_t until_ns)
{
    struct lsio_context *context = worker->context;
    bool hungry = fill_more(worker) && !worker->starved;
    uint64_t wait_ns = until_ns;

    if (worker->starved && worker->inflight == 0 && !starved_wait(worker, &wait_ns))
        return;
    worker_publish_stats(worker);
    atomic_store(&worker->parked, hungry ? WORKER_HUNGRY : WORKER_WAITING);
    if (hungry)
        atomic_fetch_add(&context->hungry_count, 1);
    if (!park_refused(worker, until_ns)) {
        if (!hungry && gather_pays(worker))
            worker->env.loop_ops->gather(worker->env.loop, gather_count(worker), GATHER_NS);
        else
            worker->env.loop_ops->wait(worker->env.loop, wait_ns);
        worker->unflushed = 0;
        worker->flush_sequence++;
        worker->parks++;
        worker->woke = true;
    }
    worker_unpark(worker, false);
}

/* -------------------------------------------------------------------------------- lifetime -- */

int worker_init(struct worker *worker, struct lsio_context *context, uint32_t index)
{
    int error;

    worker->context = context;
    worker->index = index;
    worker->env.worker = index;
    worker->env.worker_count = context->worker_count;
    worker->env.loop_ops = context->loop_ops;
    worker->env.os = context->os;
    worker->env.log = &context->log;
    worker->env.cache_bytes = context->cache_bytes;
    worker->env.gates_off = context->config.gates_off;
    worker->env.warm = true;
    worker->env.complete = worker_complete;
    worker->env.advanced = worker_advanced;
    worker->env.post = env_post;
    worker->env.peer = env_peer;
    worker->env.bounce_get = env_bounce_get;
    worker->env.bounce_put = env_bounce_put;
    worker->depth = DEPTH_START;
    worker->depth_max = DEPTH_START;
    worker->iov_free = UINT64_MAX;
    deque_init(&worker->ready, worker->ready_slots, ENGINE_OPERATIONS_MAX);
    error = arena_init(&worker->arena, context->arena_bytes);
    if (error)
        return error;
    worker->operations = calloc(ENGINE_OPERATIONS_MAX, sizeof(*worker->operations));
    worker->iov_stock =
        calloc((size_t)ENGINE_VECTORS_MAX * 2 * PLAN_VECTOR_MAX, sizeof(struct iovec));
    worker->junk = aligned_alloc(POOL_PAGE, PLAN_JUNK_BYTES);
    if (!worker->operations || !worker->iov_stock || !worker->junk)
        return -ENOMEM;
    for (uint32_t i = ENGINE_OPERATIONS_MAX; i-- > 0;) {
        worker->operations[i].home = worker;
        worker->operations[i].free_next = worker->free_operations;
        worker->free_operations = &worker->operations[i];
    }
    return 0;
}

void worker_finish(struct worker *worker, bool forked)
{
    if (forked && worker->env.loop)
        worker->env.loop_ops->abandon(worker->env.loop);
    planner_destroy(worker->planner);
    free(worker->operations);
    free(worker->iov_stock);
    free(worker->junk);
    arena_finish(&worker->arena, forked);
}

/* Registers the arena, in halves of itself when the kernel refuses the whole; none is fine too. */
static void register_arena(struct worker *worker)
{
    if (worker->arena.pages == 0 || (worker->env.gates_off & LSIO_GATE_REGISTERED_BUFFERS))
        return;
    for (;;) {
        uint64_t bytes = (uint64_t)worker->arena.pages * POOL_PAGE;
        int error =
            worker->env.loop_ops->buffer_attach(worker->env.loop, 0, worker->arena.base, bytes);
        if (error == 0) {
            worker->arena_registered = true;
            return;
        }
        if (error != -ENOMEM || bytes < 256 * 1024)
            return;
        LSIO_MARK(arena_registered_in_part);
        arena_finish(&worker->arena, false);
        if (arena_init(&worker->arena, bytes / 2) != 0)
            return;
    }
}

static int worker_start(struct worker *worker)
{
    struct lsio_context *context = worker->context;
    struct loop_config config = {.inflight_max = ENGINE_OPERATIONS_MAX,
                                 .files_max = 1024,
                                 .gates_off = context->config.gates_off,
                                 .worker = worker->index,
                                 .os = context->os,
                                 .shared = context->loop_shared};
    struct loop *loop = NULL;
    char why[128] = "";
    int error;

    if (context->config.flags & LSIO_CONTEXT_PIN)
        config_pin(worker->index);
    error = context->loop_ops->create(&config, &loop, why, sizeof(why));
    if (error == 0) {
        worker->env.loop = loop;
        register_arena(worker);
    }
    pthread_mutex_lock(&context->lock);
    context->workers_started++;
    context->workers_stepping += error == 0;
    if (error && !context->start_error) {
        LSIO_MARK(loop_not_created);
        context->start_error = error;
        memcpy(context->start_why, why, sizeof(context->start_why));
    }
    pthread_cond_broadcast(&context->started_cond);
    pthread_mutex_unlock(&context->lock);
    return error;
}

/* No worker's loop goes away while another may still wake it. */
static void worker_leave(struct worker *worker)
{
    struct lsio_context *context = worker->context;

    pthread_mutex_lock(&context->lock);
    if (--context->workers_stepping == 0)
        pthread_cond_broadcast(&context->started_cond);
    while (context->workers_stepping)
        pthread_cond_wait(&context->started_cond, &context->lock);
    pthread_mutex_unlock(&context->lock);
    worker->env.loop_ops->destroy(worker->env.loop);
    worker->env.loop = NULL;
}

void *worker_main(void *argument)
{
    struct worker *worker = argument;
    uint64_t until_ns;
    int outcome;

    if (worker_start(worker) != 0)
        return NULL;
    while ((outcome = worker_step(worker, &until_ns)) != WORKER_EXIT)
        if (outcome == WORKER_IDLE)
            worker_park(worker, until_ns);
    fold_flush(worker);
    claim_drop(worker);
    worker_leave(worker);
    return NULL;
}
