/* SPDX-License-Identifier: MIT */
/*
 * Design: what all http stores of a context share, and what each worker keeps of its own. A
 * worker's part is made on the worker by its first transfer and lives until the context ends, so
 * connections and TLS sessions are kept from batch to batch.
 *
 * The clock: while transfers run, one LOOP_TIMER ticks often enough for the shortest time limit; it
 * stops when none is left, so an idle worker sleeps.
 *
 * Threads: workers[i] is worker i's alone until the workers have ended.
 */
#include <stdlib.h>

#include "driver/http/read.h"
#include "driver/http/sign/hash.h"
#include "driver/http/transfer.h"

#define TICKS_PER_LIMIT 4u
#define HEDGE_TICK_NS   UINT64_C(5000000)
#define NS_PER_MS       UINT64_C(1000000)

/* ----------------------------------------------------------------------------------- clock -- */

/* How often a store's transfers want to be looked at. */
static uint64_t store_tick_ns(const struct http_store *store)
{
    const struct http_settings *settings = &store->settings;
    uint64_t limit_ms = settings->stall_timeout_ms < settings->first_byte_timeout_ms
                            ? settings->stall_timeout_ms
                            : settings->first_byte_timeout_ms;
    uint64_t tick_ns;

    if (settings->timeout_ms && settings->timeout_ms < limit_ms)
        limit_ms = settings->timeout_ms;
    tick_ns = limit_ms * NS_PER_MS / TICKS_PER_LIMIT;
    return settings->hedge && HEDGE_TICK_NS < tick_ns ? HEDGE_TICK_NS : tick_ns;
}

static uint64_t running_tick_ns(const struct http_worker *worker)
{
    uint64_t least = UINT64_MAX;

    for (const struct http_transfer *t = worker->running; t; t = t->next) {
        uint64_t tick_ns = store_tick_ns(t->store);
        least = tick_ns < least ? tick_ns : least;
    }
    return least;
}

static void clock_done(struct loop_op *op);

static void clock_arm(struct http_worker *worker)
{
    struct driver_env *env = worker->env;

    worker->clock_tick_ns = running_tick_ns(worker);
    worker->clock = (struct loop_op){.kind = LOOP_TIMER,
                                     .done = clock_done,
                                     .fd = -1,
                                     .file = -1,
                                     .buffer = -1,
                                     .offset = env->os->now_ns() + worker->clock_tick_ns};
    worker->clock_armed = true;
    env->background++;
    env->loop_ops->submit(env->loop, &worker->clock);
}

static void clock_done(struct loop_op *op)
{
    struct http_worker *worker = container_of(op, struct http_worker, clock);
    uint64_t now_ns = worker->env->os->now_ns();
    uint64_t early_ns = op->offset > now_ns ? op->offset - now_ns : 0; /* it was canceled */

    worker->env->background--;
    worker->clock_armed = false;
    transfer_tick(worker, worker->clock_tick_ns - early_ns);
    if (worker->running && !worker->leaving)
        clock_arm(worker);
}

void http_worker_clock(struct http_worker *worker, const struct http_store *store)
{
    struct driver_env *env = worker->env;

    if (!worker->clock_armed)
        clock_arm(worker);
    else if (store_tick_ns(store) < worker->clock_tick_ns)
        env->loop_ops->cancel(env->loop, &worker->clock); /* comes back, and is armed anew */
}

uint64_t http_random(struct http_worker *worker) /* xorshift64*, Vigna 2016 */
{
    uint64_t x = worker->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    worker->random = x;
    return x * UINT64_C(2685821657736338717);
}

/* --------------------------------------------------------------------------------- workers -- */

static void worker_destroy(struct http_worker *worker, bool forked)
{
    if (!worker)
        return;
    worker->state->transport_ops->destroy(worker->transport, forked);
    if (forked) /* the parent's thread may have been in the middle of changing what is left */
        return;
    http_reads_free(worker);
    sigv4_destroy(worker->signer);
    hash_destroy(worker->hash);
    free(worker);
}

struct http_worker *http_worker_get(struct http_state *state, struct driver_env *env)
{
    struct http_worker *worker = state->workers[env->worker];

    if (worker)
        return worker;
    worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->state = state;
    worker->env = env;
    worker->random = (env->os->now_ns() + env->worker + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    if (sigv4_create(&worker->signer) != 0 || hash_create(&worker->hash) != 0 ||
        state->transport_ops->create(env, &worker->transport) != 0) {
        worker_destroy(worker, false);
        return NULL;
    }
    state->workers[env->worker] = worker;
    return worker;
}

void http_worker_leave(void *pointer, struct driver_env *env)
{
    struct http_state *state = pointer;
    struct http_worker *worker = state->workers[env->worker];

    if (!worker)
        return;
    worker->leaving = true;
    if (worker->clock_armed)
        env->loop_ops->cancel(env->loop, &worker->clock);
    state->transport_ops->leave(worker->transport);
}

/* ----------------------------------------------------------------------------------- state -- */

int http_state_create(const struct transport_ops *transport, uint32_t worker_count,
                      struct http_state **out)
{
    struct http_state *state = calloc(1, sizeof(*state));
    int error;

    if (!state)
        return -ENOMEM;
    state->transport_ops = transport;
    state->worker_count = worker_count;
    http_hosts_init(&state->hosts);
    state->workers = calloc(worker_count, sizeof(struct http_worker *));
    error = state->workers ? helper_create(&state->helper) : -ENOMEM;
    if (error) {
        http_state_destroy(state, false);
        return error;
    }
    *out = state;
    return 0;
}

void http_state_destroy(struct http_state *state, bool forked)
{
    if (!state)
        return;
    helper_destroy(state->helper, forked);
    for (uint32_t i = 0; state->workers && i < state->worker_count; i++)
        worker_destroy(state->workers[i], forked);
    http_hosts_finish(&state->hosts, forked);
    free(state->workers);
    free(state);
}
