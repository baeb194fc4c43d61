/* SPDX-License-Identifier: MIT */
/*
 * Design: a context is made whole or not at all. The budget is carved up here: per worker an arena
 * and a scratch region, one scratch region and one read buffer for a thread that runs a tiny
 * request itself, the oversize lane, and the rest is the shared pool. Each worker makes its loop on
 * its own thread (SINGLE_ISSUER binds it there), so creation waits for all of them; where the
 * preferred loop is refused and the caller named none, everything is started again with the
 * fallback.
 *
 * Fork: `alive` is a page that the kernel wipes in a child (MADV_WIPEONFORK), so that every public
 * function knows at the price of one load that it runs in a child.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>

#include "base/mark.h"
#include "buffer/pages.h"
#include "engine/engine.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define MIB (UINT64_C(1) << 20)
#define WORKERS_MAX 1024u
#define BUDGET_MIN (1 * MIB)

static uint64_t round_down(uint64_t bytes)
{
    return bytes / POOL_PAGE * POOL_PAGE;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---------------------------------------------------------------------------------- memory -- */

static int alive_create(struct lsio_context *context)
{
    uint8_t *page =
        mmap(NULL, POOL_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return -ENOMEM;
    madvise(page, POOL_PAGE, MADV_WIPEONFORK);
    *page = 1;
    context->alive = page;
    return 0;
}

/* Carves the budget; what is left over is the shared pool's. */
static int memory_create(struct lsio_context *context)
{
    uint64_t budget = context->config.memory_bytes_max;
    uint64_t slots = context->worker_count + 1;
    uint64_t scratch = context->config.scratch_bytes_max,
             memlock = config_memlock_bytes(context->os);
    uint64_t lane = context->config.oversize_bytes_max;
    int error;

    context->hot_window_bytes =
        smaller(config_hot_window_bytes(context->os), round_down(budget / 16));
    context->arena_bytes =
        round_down(smaller(smaller(4 * MIB, memlock / (4 * context->worker_count)),
                           budget / (4 * context->worker_count)));
    scratch = round_down(smaller(scratch ? scratch : 8 * MIB, budget / (4 * slots)));
    context->scratch_mapped_bytes = slots * scratch + context->hot_window_bytes;
    context->scratch = pages_map(context->scratch_mapped_bytes);
    if (!context->scratch)
        return -ENOMEM;
    for (uint32_t i = 0; i < slots; i++) {
        struct chain_env *env =
            i < context->worker_count ? &context->workers[i].chain : &context->caller_chain;
        env->worker = i;
        env->scratch = context->scratch + i * scratch;
        env->scratch_bytes = scratch;
    }
    context->caller_memory = context->scratch + slots * scratch;
    lane = round_down(lane ? smaller(lane, budget / 4) : budget / 8);
    error = pool_init(&context->lane_pool, lane);
    if (!error)
        error = pool_init(&context->pool, budget - lane - context->scratch_mapped_bytes -
                                              context->worker_count * context->arena_bytes);
    return error;
}

/* The oversize lane: chains that need more than their scratch, one worker at a time. Its memory is
 * set aside, so the holder never waits for anybody who could be waiting for the lane. */
static int lane_acquire(void *pointer, uint64_t bytes, void **out)
{
    struct chain_env *env = pointer;
    struct lsio_context *context = env->oversize_owner;
    bool hopeless = false;
    void *memory = NULL;

    if (pool_charge(bytes) > context->lane_pool.bytes_max) {
        LSIO_MARK(room_beyond_lane);
        return LSIO_E_BUDGET;
    }
    pthread_mutex_lock(&context->lane_lock);
    while (context->lane_owner && context->lane_owner != env->worker + 1) {
        LSIO_MARK(lane_taken);
        pthread_cond_wait(&context->lane_cond, &context->lane_lock);
    }
    memory = pool_get(&context->lane_pool, bytes, &hopeless);
    if (memory) {
        context->lane_owner = env->worker + 1;
        context->lane_depth++;
    } else if (context->lane_owner == 0) {
        pthread_cond_signal(&context->lane_cond); /* the next one may have more luck */
    }
    pthread_mutex_unlock(&context->lane_lock);
    if (!memory)
        return hopeless ? -ENOMEM : LSIO_E_BUDGET;
    *out = memory;
    return 0;
}

static void lane_release(void *pointer, void *memory, uint64_t bytes)
{
    struct chain_env *env = pointer;
    struct lsio_context *context = env->oversize_owner;

    pool_put(&context->lane_pool, memory, bytes);
    pthread_mutex_lock(&context->lane_lock);
    if (--context->lane_depth == 0) {
        context->lane_owner = 0;
        pthread_cond_signal(&context->lane_cond);
    }
    pthread_mutex_unlock(&context->lane_lock);
}

static void lane_connect(struct lsio_context *context, struct chain_env *env)
{
    env->oversize_owner = context;
    env->oversize = (struct chain_oversize){lane_acquire, lane_release, env};
}

/* --------------------------------------------------------------------------------- workers -- */

static int thread_start(struct worker *worker)
{
    sigset_t all, before;
    pthread_attr_t attr;
    char name[16];
    int error;

    sigfillset(&all); /* signals are the application's: none is delivered to a worker */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    error = pthread_create(&worker->thread, &attr, worker_main, worker);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return -error;
    snprintf(name, sizeof(name), "lsio-%u", worker->index);
    pthread_setname_np(worker->thread, name);
    return 0;
}

static void workers_join(struct lsio_context *context, uint32_t count)
{
    pthread_mutex_lock(&context->lock);
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&context->workers[i].exit_asked, true);
        worker_wake(&context->workers[i]);
    }
    pthread_mutex_unlock(&context->lock);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(context->workers[i].thread, NULL);
}

/* Starts all workers with context->loop_ops and waits until each has its loop, or says why not. */
static int workers_start(struct lsio_context *context)
{
    uint32_t started = 0;
    int error = 0;

    context->workers_started = 0;
    context->start_error = 0;
    if (context->loop_ops->shared_create)
        error = context->loop_ops->shared_create(context->os, &context->loop_shared);
    while (!error && started < context->worker_count) {
        struct worker *worker = &context->workers[started];
        atomic_store(&worker->exit_asked, false);
        error = worker_init(worker, context, started);
        if (!error)
            error = thread_start(worker);
        if (error)
            worker_finish(worker, false);
        else
            started++;
    }
    pthread_mutex_lock(&context->lock);
    while (context->workers_started < started)
        pthread_cond_wait(&context->started_cond, &context->lock);
    if (!error)
        error = context->start_error;
    pthread_mutex_unlock(&context->lock);
    if (!error)
        return 0;
    LSIO_MARK(workers_not_started);
    workers_join(context, started);
    for (uint32_t i = 0; i < started; i++)
        worker_finish(&context->workers[i], false);
    if (context->loop_ops->shared_destroy && context->loop_shared)
        context->loop_ops->shared_destroy(context->loop_shared);
    context->loop_shared = NULL;
    return error;
}

static void worker_reset(struct worker *worker)
{
    struct chain_env chain = worker->chain;

    memset(worker, 0, sizeof(*worker));
    worker->chain = chain;
}

static int loop_choose(struct lsio_context *context)
{
    const char *name = context->config.loop ? context->config.loop : config_loop_name();
    const struct loop_ops *fallback = registry_loop_fallback();
    bool valgrind = !name && config_valgrind();
    bool short_of_something = false;
    int error;

    if (!context->loop_given)
        context->loop_ops = valgrind ? fallback : registry_loop(name);
    if (!context->loop_ops) {
        log_line(&context->log, LSIO_LOG_ERROR, "%s names no loop of this build: \"%s\"",
                 context->config.loop ? "config.loop" : "LSIO_LOOP", name);
        return -ENOSYS;
    }
    snprintf(context->loop_reason, sizeof(context->loop_reason), "%s",
             name       ? "asked for by name"
             : valgrind ? "valgrind stops all threads while one waits for io_uring"
                        : "the default, and the kernel allows it");
    error = workers_start(context);
    if (context->loop_given)
        return error;
    if (name && context->start_error && error != -ENOMEM && error != -EMFILE && error != -ENFILE)
        error = -ENOSYS; /* the kernel refuses the loop */
    if (error == 0 || name || context->loop_ops == fallback || !context->start_error)
        goto out; /* what failed without start_error is not the loop: no thread, no memory */
    snprintf(context->loop_reason, sizeof(context->loop_reason), "%s is refused: %s (%s)",
             context->loop_ops->name, context->start_why, lsio_status_name(error));
    LSIO_MARK(loop_falls_back);
    short_of_something = error == -ENOMEM || error == -EMFILE || error == -ENFILE;
    context->loop_ops = fallback;
    for (uint32_t i = 0; i < context->worker_count; i++)
        worker_reset(&context->workers[i]);
    error = workers_start(context);
out:
    if (error)
        log_line(&context->log, LSIO_LOG_ERROR, "no worker could be started: %s (%s)",
                 context->start_why, lsio_status_name(error));
    else
        log_line(&context->log, short_of_something ? LSIO_LOG_WARN : LSIO_LOG_INFO, "loop %s: %s",
                 context->loop_ops->name, context->loop_reason);
    return error;
}

/* -------------------------------------------------------------------------------- lifetime -- */

static int config_resolve(struct lsio_context *context, const struct lsio_config *config)
{
    struct lsio_config *mine = &context->config;

    if (config) {
        if (config->struct_bytes < sizeof(size_t) + sizeof(uint32_t) || config->struct_bytes > 4096)
            return -EINVAL;
        memcpy(mine, config, smaller(config->struct_bytes, sizeof(*mine)));
    }
    context->log.write = mine->log;
    context->log.data = mine->log_data;
    context->log.level = mine->log_level ? (int)mine->log_level : LSIO_LOG_WARN;
    if (mine->workers > WORKERS_MAX) {
        log_line(&context->log, LSIO_LOG_ERROR, "config.workers is %" PRIu32 ": at most %u can be",
                 mine->workers, WORKERS_MAX);
        return -EINVAL;
    }
    if (mine->memory_bytes_max && mine->memory_bytes_max < BUDGET_MIN) {
        log_line(&context->log, LSIO_LOG_ERROR,
                 "config.memory_bytes_max is %" PRIu64 ": at least %" PRIu64 " are needed",
                 mine->memory_bytes_max, BUDGET_MIN);
        return -EINVAL;
    }
    context->worker_count = mine->workers ? mine->workers : config_cpu_count(context->os);
    if (context->worker_count > WORKERS_MAX)
        context->worker_count = WORKERS_MAX;
    if (!mine->memory_bytes_max)
        mine->memory_bytes_max = smaller(256 * MIB, config_memory_bytes(context->os) / 8);
    context->cache_bytes = mine->cache_bytes ? mine->cache_bytes
                                             : config_available_bytes(context->os) / 4;
    return 0;
}

static void context_free(struct lsio_context *context, bool forked)
{
    for (uint32_t i = 0; i < context->driver_count; i++)
        if (context->driver_states[i])
            context->drivers[i]->state_destroy(context->driver_states[i], forked);
    slabs_free(context);
    pool_finish(&context->pool, forked);
    pool_finish(&context->lane_pool, forked);
    if (!forked)
        pages_unmap(context->scratch, context->scratch_mapped_bytes);
    free(context->chains);
    free(context->workers);
    if (!forked) {
        pthread_cond_destroy(&context->idle_cond);
        pthread_cond_destroy(&context->started_cond);
        pthread_cond_destroy(&context->lane_cond);
        pthread_mutex_destroy(&context->lane_lock);
        pthread_mutex_destroy(&context->caller_lock);
        pthread_mutex_destroy(&context->lock);
    }
    if (context->alive)
        munmap((void *)(uintptr_t)context->alive, POOL_PAGE);
    free(context);
}

static int context_init(struct lsio_context *context, const struct lsio_config *config)
{
    int error = config_resolve(context, config);

    if (!error)
        error = alive_create(context);
    if (error)
        return error;
    context->workers = calloc(context->worker_count, sizeof(*context->workers));
    if (!context->workers)
        return -ENOMEM;
    error = memory_create(context);
    for (uint32_t i = 0; !error && i < context->driver_count; i++)
        if (context->drivers[i]->state_create)
            error = context->drivers[i]->state_create(context, context->os, context->worker_count,
                                                      &context->driver_states[i]);
    if (error)
        return error;
    for (uint32_t i = 0; i < context->worker_count; i++)
        lane_connect(context, &context->workers[i].chain);
    lane_connect(context, &context->caller_chain);
    return loop_choose(context);
}

static void world_take(struct lsio_context *context, const struct context_world *world)
{
    context->os = world && world->os ? world->os : loop_os_here();
    context->loop_ops = world ? world->loop : NULL;
    context->loop_given = context->loop_ops != NULL;
    for (uint32_t i = 0; i < registry_driver_count(); i++)
        context->drivers[context->driver_count++] = registry_driver(i);
    if (world && world->driver)
        context->drivers[context->driver_count++] = world->driver;
}

/* Schemes may be in any case and begin with a letter (RFC 3986, section 3.1). */
static bool driver_takes(const struct driver_ops *driver, const char *url, const char **rest)
{
    for (const char *const *at = driver->schemes; *at; at++) {
        size_t bytes = strlen(*at);
        if (strncasecmp(url, *at, bytes) == 0 && strncmp(url + bytes, "://", 3) == 0) {
            *rest = url + bytes + 3;
            return true;
        }
    }
    for (const char *const *at = driver->prefixes; at && *at; at++) {
        size_t bytes = strlen(*at);
        if (strncmp(url, *at, bytes) == 0) {
            *rest = url + bytes;
            return true;
        }
    }
    return false;
}

static bool has_scheme(const char *url)
{
    size_t count = strspn(url, "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    return count > 0 && (url[0] | 0x20) >= 'a' && strncmp(url + count, "://", 3) == 0;
}

const struct driver_ops *context_driver_for(const struct lsio_context *context, const char *url,
                                            const char **rest, uint32_t *index)
{
    *rest = url;
    *index = 0;
    for (uint32_t i = 0; i < context->driver_count; i++) {
        if (driver_takes(context->drivers[i], url, rest)) {
            *index = i;
            return context->drivers[i];
        }
    }
    return has_scheme(url) ? NULL : context->drivers[0]; /* a bare path */
}

int context_create(const struct lsio_config *config, const struct context_world *world,
                   struct lsio_context **out)
{
    struct lsio_context *context = calloc(1, sizeof(*context));
    pthread_condattr_t attr;
    int error;

    if (!context)
        return -ENOMEM;
    world_take(context, world);
    atomic_init(&context->next_deadline_ns, UINT64_MAX);
    pthread_mutex_init(&context->lock, NULL);
    pthread_mutex_init(&context->lane_lock, NULL);
    pthread_mutex_init(&context->caller_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&context->idle_cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&context->started_cond, NULL);
    pthread_cond_init(&context->lane_cond, NULL);
    error = context_init(context, config);
    if (error) {
        context_free(context, false);
        return error;
    }
    *out = context;
    return 0;
}

/* Cancels all batches and waits until none runs. */
static int batches_end(struct lsio_context *context)
{
    struct timespec until;
    int error = 0;

    pthread_mutex_lock(&context->lock);
    context->ending = true; /* what callbacks submit from now on ends at once */
    for (struct lsio_batch *batch = context->batches; batch; batch = batch->list_next)
        if (batch->running)
            batch_cancel(batch, -ECANCELED);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ENGINE_DESTROY_TIMEOUT_MS / 1000;
    while (context->running_count && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&context->idle_cond, &context->lock, &until);
    error = context->running_count ? -ETIMEDOUT : 0;
    pthread_mutex_unlock(&context->lock);
    return error;
}

static void children_free(struct lsio_context *context, bool forked)
{
    while (context->batches) {
        struct lsio_batch *batch = context->batches;
        context->batches = batch->list_next;
        batch_free(batch, forked);
    }
    for (uint32_t i = 0; i < context->chain_count; i++)
        chain_destroy(context->chains[i]);
    context->chain_count = 0;
    while (context->stores) {
        struct lsio_store *store = context->stores;
        context->stores = store->next;
        store_end(store, forked);
    }
}

int context_destroy(struct lsio_context *context)
{
    bool forked = !context_is_alive(context);
    int error = forked ? 0 : batches_end(context);

    if (error) {
        log_line(&context->log, LSIO_LOG_ERROR,
                 "reads did not end within %u s of being canceled: the context is leaked",
                 ENGINE_DESTROY_TIMEOUT_MS / 1000);
        return error;
    }
    children_free(context, forked); /* first: closing files sends messages to workers */
    if (!forked)
        workers_join(context, context->worker_count);
    for (uint32_t i = 0; i < context->worker_count; i++)
        worker_finish(&context->workers[i], forked);
    if (!forked && context->loop_ops->shared_destroy && context->loop_shared)
        context->loop_ops->shared_destroy(context->loop_shared);
    context_free(context, forked);
    return 0;
}
