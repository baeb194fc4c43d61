/* SPDX-License-Identifier: MIT */
/*
 * Design: one scenario at a time. The order is fixed - world, context, stores, threads, leftovers,
 * quiet, end - and what happens within each is drawn. Nothing but the seed may decide anything:
 * destinations lie at the same place modulo a page in every run, the machine that the library asks
 * about is simulated, the number of workers is always given.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "engine/engine.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define DST_BYTES   (UINT64_C(3) << 20)
#define MIB         (UINT64_C(1) << 20)
#define NFS_MAGIC   0x6969
#define REPLAY      "tests/run.sh --sim 1 --seed"
#define WORKERS_MAX 6
#define FIBERS_MAX  (THREADS_MAX + WORKERS_MAX + 1) /* and one for the HTTP driver's helper */

struct scenario *scenario_now;
uint64_t scenario_seen;

/* ------------------------------------------------------------------------------------ chance -- */

uint64_t dice_draw(struct dice *dice)
{
    uint64_t z = (dice->state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64, Vigna */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t dice_below(struct dice *dice, uint32_t below)
{
    return (uint32_t)((dice_draw(dice) >> 32) * below >> 32);
}

bool dice_chance(struct dice *dice, uint32_t permille)
{
    return dice_below(dice, 1000) < permille;
}

uint32_t dice_size(struct dice *dice, uint32_t max)
{
    return 1 + dice_below(dice, 1 + dice_below(dice, max));
}

/* ------------------------------------------------------------------------------------ report -- */

void scenario_fail(const char *format, ...)
{
    struct scenario *s = scenario_now;
    va_list arguments;

    fprintf(stderr, "seed %llu at %llu ns: ", (unsigned long long)s->seed,
            (unsigned long long)sim_now_ns());
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr,
            "\nscenario: %u workers, %llu KiB, latency to %llu us, %u of 1000 allocations fail "
            "(%llu did), %llu faults struck%s\n",
            s->workers, (unsigned long long)s->memory_bytes / 1024,
            (unsigned long long)s->latency_max_ns / 1000, s->alloc_permille,
            (unsigned long long)alloc_failed(), (unsigned long long)sim_faults_struck(),
            s->remote ? ", network file system" : "");
    world_describe(s);
    for (unsigned i = 0; i < s->batch_count; i++)
        batch_describe(s->batches[i]);
    fprintf(stderr, "again: " REPLAY " %llu\n", (unsigned long long)s->seed);
    fflush(stderr);
    _exit(1);
}

void scenario_say(const char *format, ...)
{
    va_list arguments;

    if (!scenario_now->verbose)
        return;
    fprintf(stderr, "%12llu ", (unsigned long long)sim_now_ns());
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

/* ------------------------------------------------------------------------------------- begin -- */

static void before_operation(const struct loop_op *op, void *data)
{
    struct scenario *s = data;

    (void)op;
    if (s->world->look)
        s->world->look(s);
    if (s->change_permille && dice_chance(&s->dice, s->change_permille))
        world_change(s, &s->dice);
}

static void put_text(const char *path, const char *text)
{
    sim_put(path, text, strlen(text));
}

/* What the library asks about the machine: nothing of the real one may matter. */
static void machine_begin(struct scenario *s)
{
    static const char *const limits[] = {"4", "8", "16", "40"};
    char line[64];

    put_text("/proc/self/status", "CapEff:\t0000000000004000\n"); /* may lock all memory */
    if (dice_chance(&s->dice, 200)) {
        snprintf(line, sizeof(line), "Max open files  %s  %s  files\n",
                 limits[dice_below(&s->dice, 4)], "4096");
        put_text("/proc/self/limits", line);
    }
    if (dice_chance(&s->dice, 300)) {
        put_text("/sys/devices/system/cpu/cpu0/cache/index0/level", "2\n");
        put_text("/sys/devices/system/cpu/cpu0/cache/index0/size", "64K\n");
    }
}

static void world_begin(struct scenario *s)
{
    static const uint32_t cached[] = {0, 300, 1000};
    static const uint32_t shorts[] = {0, 0, 50, 300};
    static const uint64_t latencies[] = {1000, 200000, 3000000, 20000000};
    static const uint64_t slow_ns = 1500000000;
    struct dice *dice = &s->dice;
    struct sim_config config = {.seed = s->seed,
                                .cached_permille = cached[dice_below(dice, 3)],
                                .latency_min_ns = 500,
                                .short_permille = shorts[dice_below(dice, 4)],
                                .direct_align = dice_chance(dice, 700) ? 512 : 0,
                                .no_tables = dice_chance(dice, 200),
                                .no_read_file = dice_chance(dice, 300)};

    s->latency_max_ns = latencies[dice_below(dice, 4)];
    s->large_files = dice_chance(dice, 120);
    s->slow_device = !s->large_files && dice_chance(dice, 60);
    if (s->slow_device) {
        config.latency_min_ns = slow_ns / 2;
        s->latency_max_ns = slow_ns;
        config.short_permille = 0;
    }
    s->remote = dice_chance(dice, 200);
    config.latency_max_ns = s->latency_max_ns;
    config.fs_magic = s->remote ? NFS_MAGIC : 0;
    sim_begin(&config);
    machine_begin(s);
    s->world->make_files(s);
    s->slow_permille = dice_chance(dice, 300) ? dice_below(dice, 1000) : 0;
    if (s->world->make_faults && dice_chance(dice, 300))
        s->world->make_faults(s);
    if (dice_chance(dice, 350))
        s->change_permille = 30 + dice_below(dice, 200);
    if (s->change_permille || s->world->look)
        sim_on_operation(before_operation, s);
    sim_advance(sim_now_ns() + 1000000); /* files are older than whatever happens now */
}

static void context_begin(struct scenario *s)
{
    struct dice *dice = &s->dice;
    struct lsio_config config = {.struct_bytes = sizeof(config)};
    struct context_world world = {.os = &loop_os_sim, .loop = &loop_sim};
    int status;

    s->workers = 1 + dice_below(dice, dice_chance(dice, 500) ? 3 : WORKERS_MAX);
    s->memory_bytes = MIB + (s->large_files || dice_chance(dice, 600) ? dice_below(dice, 1 << 19)
                                                                      : dice_below(dice, 6 << 20));
    config.workers = s->workers;
    config.memory_bytes_max = s->memory_bytes;
    config.scratch_bytes_max = dice_chance(dice, 300) ? 4096u << dice_below(dice, 4) : 0;
    config.oversize_bytes_max = dice_chance(dice, 200) ? 4096u << dice_below(dice, 6) : 0;
    config.cache_bytes = dice_chance(dice, 500) ? 1 : MIB;
    if (dice_chance(dice, 200))
        config.gates_off =
            dice_chance(dice, 500) ? LSIO_GATE_REGISTERED_BUFFERS : LSIO_GATE_CACHESTAT;
    status = context_create(&config, &world, &s->context);
    if (status)
        scenario_fail("no context: %d", status);
    s->scratch_bytes = s->context->workers[0].chain.scratch_bytes;
    s->arena_least = UINT64_MAX;
    for (uint32_t i = 0; i < s->workers; i++) {
        uint64_t bytes = (uint64_t)s->context->workers[i].arena.pages * POOL_PAGE;
        s->arena_least = bytes < s->arena_least ? bytes : s->arena_least;
        s->arena_most = bytes > s->arena_most ? bytes : s->arena_most;
    }
    s->pool_bytes = s->context->pool.bytes_max;
    if (s->world->connect)
        s->world->connect(s);
}

/* -------------------------------------------------------------------------------------- play -- */

static void play(struct scenario *s)
{
    struct dice dice[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    uint32_t count = 1 + dice_below(&s->dice, THREADS_MAX);

    alloc_steady();
    for (uint32_t i = 0; i < count; i++) {
        dice[i].state = s->seed * 7919 + i;
        if (pthread_create(&threads[i], NULL, act_thread, &dice[i]))
            scenario_fail("no thread");
    }
    alloc_unsteady();
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static bool all_finished(const struct scenario *s)
{
    for (unsigned i = 0; i < s->batch_count; i++)
        if (s->batches[i]->started && !s->batches[i]->finished)
            return false;
    return true;
}

static bool store_is_used(const struct scenario *s, const struct store *store)
{
    for (unsigned b = 0; b < s->batch_count; b++) {
        const struct batch *batch = s->batches[b];
        if (!batch->started || batch->blocking || batch->gone)
            continue;
        for (unsigned w = 0; w < batch->wave_count; w++)
            for (size_t i = 0; i < batch->waves[w].object_count; i++)
                if (batch->waves[w].objects[i].store == store->handle)
                    return true;
    }
    return false;
}

/* Allowed if and only if no batch is left that uses it. */
static void close_store(struct scenario *s, struct store *store)
{
    int expected = store_is_used(s, store) ? -EBUSY : 0;
    int status = lsio_store_close(store->handle);

    if (status != expected)
        scenario_fail("closing a store gave %d instead of %d", status, expected);
}

/* Waits for everything and lets what is under way come home, then nothing may be left. */
static void settle(struct scenario *s)
{
    const struct timespec pause = {.tv_sec = 1};

    act_leftovers(s);
    s->change_permille = 0; /* it is not to use a store that is closed */
    nanosleep(&pause, NULL);
    if (!all_finished(s) || s->context->running_count)
        return;
    check_quiet(s);
    for (unsigned i = 0; i < s->store_count; i++)
        if (s->stores[i].handle)
            close_store(s, &s->stores[i]);
}

static uint64_t run(struct scenario *s)
{
    char replay[64];
    struct sim_threads_config threads = {.seed = s->seed, .replay = replay};
    bool registered;
    uint64_t trace;

    snprintf(replay, sizeof(replay), REPLAY " %llu", (unsigned long long)s->seed);
    world_begin(s);
    sim_threads_begin(&threads);
    context_begin(s);
    s->world->open_stores(s);
    world_make_chains(s);
    world_ask_etags(s);
    registered =
        dice_chance(&s->dice, 200) && lsio_memory_register(s->context, s->dst, s->dst_bytes) == 0;
    if (dice_chance(&s->dice, 120))
        s->alloc_permille = 1 + dice_below(&s->dice, dice_chance(&s->dice, 500) ? 10 : 200);
    alloc_fail(s->alloc_permille, s->seed);
    play(s);
    if (dice_chance(&s->dice, 800))
        settle(s);
    alloc_fail(0, 0);
    if (registered && all_finished(s) && lsio_memory_unregister(s->context, s->dst))
        scenario_fail("memory cannot be unregistered");
    scenario_say("the context is destroyed");
    s->ending = true;
    for (unsigned i = 0; i < s->batch_count; i++)
        act_mark_canceled(s->batches[i]);
    if (lsio_context_destroy(s->context))
        scenario_fail("the context cannot be destroyed");
    check_end(s);
    if (s->world->finish)
        s->world->finish(s);
    trace = sim_threads_trace();
    if (sim_threads_end())
        scenario_fail("threads are left");
    return trace;
}

static void *idle(void *nothing)
{
    return nothing;
}

/* What is kept from one seed to the next: the destinations' pages, and the stacks of as many
 * threads as there ever are, for they would look like leaks. */
static uint8_t *keep_ready(void)
{
    static uint8_t *dst;
    struct sim_config config = {.seed = 0};
    struct sim_threads_config order = {.seed = 0};
    pthread_t threads[FIBERS_MAX];

    if (dst)
        return dst;
    dst = mmap(NULL, DST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(dst, CANARY, DST_BYTES);
    sim_begin(&config);
    sim_threads_begin(&order);
    for (unsigned i = 0; i < FIBERS_MAX; i++)
        pthread_create(&threads[i], NULL, idle, NULL);
    for (unsigned i = 0; i < FIBERS_MAX; i++)
        pthread_join(threads[i], NULL);
    sim_threads_end();
    sim_end();
    return dst;
}

uint64_t scenario_run(const struct scenario_world *world, uint64_t seed, bool verbose)
{
    uint8_t *dst = keep_ready();
    struct scenario *s;
    uint64_t trace;

    alloc_begin();
    s = alloc_zeroed(1, sizeof(*s));
    s->world = world;
    s->seed = s->dice.state = seed;
    s->verbose = verbose;
    s->dst = dst;
    s->dst_bytes = DST_BYTES;
    scenario_now = s;
    trace = run(s);
    if (sim_end())
        scenario_fail("descriptors or loops are left");
    for (unsigned i = 0; i < s->batch_count; i++)
        batch_drop(s->batches[i]);
    s->batch_count = 0;
    if (world->free)
        world->free(s);
    world_free(s);
    s->file_count = 0;
    if (alloc_live() != 1)
        scenario_fail("%lld blocks of memory are left", (long long)alloc_live() - 1);
    free(s);
    scenario_now = NULL;
    return trace;
}
