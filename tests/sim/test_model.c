/* SPDX-License-Identifier: MIT */
/*
 * test_model.c - what planner and workers make of media at a scale that no test machine has, in
 * virtual time: how long a batch takes against how long it would have to.
 *
 * Computing costs nothing here, so what is measured is policy alone: which reads are joined, how
 * long they are, how many are in flight. Ratios somewhat below 1 are possible, see model_bound.h.
 *
 * LSIO_TEST_TIMEOUT: 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "model_bound.h"
#include "model_driver.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define MS     UINT64_C(1000000)

#define CHUNKS_MAX    100000u
#define STEPS_MAX     UINT64_C(400000000) /* more than a thousand for each request */
#define SCATTER_BYTES GIB(4096) /* over so much are scattered chunks scattered */
#define OPTIONS_MAX   8u

struct medium {
    const char *name;
    struct model_config config;
    struct lsio_option options[OPTIONS_MAX]; /* the store's; ends with a NULL key */
    uint32_t warm_ups;                       /* batches before the one that is timed */
};

/* 100 ms, 50 MB/s per connection, 256 connections, 100 Gbit/s, and the rate of requests that S3
 * documents for one prefix (Amazon S3 User Guide, "Best practices design patterns: optimizing
 * Amazon S3 performance"). */
static const struct medium bucket = {
    "bucket",
    {
        .latency_ns = 100 * MS,
        .stream_bytes_per_second = 50000000,
        .line_bytes_per_second = 12500000000,
        .requests_per_second = 5500,
        .connections = 256,
    },
    {
        {"profile", "cloud"},
        {"request_latency_ns", "100000000"},
        {"stream_bytes_per_second", "50000000"},
        {"iops_max", "5500"},
        {"inflight_max", "256"},
    },
};

/* A server in the next room. */
static const struct medium server = {
    "server",
    {
        .latency_ns = 5 * MS,
        .latency_spread_ns = 1 * MS,
        .stream_bytes_per_second = 100000000,
        .line_bytes_per_second = 12500000000,
        .connections = 64,
    },
    {{"profile", "http"}, {"inflight_max", "64"}},
};

/* Near, but with few requests per second. */
static const struct medium rationed = {
    "rationed",
    {
        .latency_ns = 10 * MS,
        .stream_bytes_per_second = 50000000,
        .line_bytes_per_second = 12500000000,
        .requests_per_second = 1000,
        .connections = 256,
    },
    {
        {"profile", "cloud"},
        {"request_latency_ns", "10000000"},
        {"stream_bytes_per_second", "50000000"},
        {"iops_max", "1000"},
        {"inflight_max", "256"},
    },
};

/* Two that nobody described, and that are nothing like the built-in numbers: one so far away that
 * wider gaps and longer requests pay, one so near, with such slow streams, that reading gaps does
 * not. */
static const struct medium unknown_far = {
    "far",
    {
        .latency_ns = 300 * MS,
        .latency_spread_ns = 10 * MS,
        .stream_bytes_per_second = 100000000,
        .line_bytes_per_second = 12500000000,
        .connections = 128,
    },
    {{"profile", "cloud"}},
    1,
};

static const struct medium unknown_near = {
    "near",
    {
        .latency_ns = 1 * MS,
        .latency_spread_ns = MS / 10,
        .stream_bytes_per_second = 20000000,
        .line_bytes_per_second = 1250000000,
        .connections = 128,
    },
    {{"profile", "cloud"}},
    1,
};

static const struct medium hdd = {
    "hdd",
    {
        .latency_ns = 8 * MS,
        .stream_bytes_per_second = 150000000,
        .line_bytes_per_second = 150000000,
        .connections = 1,
        .settle_ns = 1 * MS,
        .span_bytes = GIB(4096),
    },
    {{"profile", "hdd"}},
};

static const struct medium nvme = {
    "nvme",
    {
        .latency_ns = MS * 80 / 1000,
        .latency_spread_ns = MS * 40 / 1000,
        .stream_bytes_per_second = 7000000000,
        .line_bytes_per_second = 7000000000,
        .connections = 64,
    },
    {{"profile", "nvme"}},
};

struct work {
    const char *name;
    uint32_t count;
    uint64_t length, stride; /* stride 0: scattered */
    bool shuffled;
};

static const struct work contiguous = {"contiguous", CHUNKS_MAX, KIB(64), KIB(64), false};
static const struct work half_gaps = {"50 % gaps", CHUNKS_MAX, KIB(64), KIB(128), false};
static const struct work scattered = {"scattered", CHUNKS_MAX, KIB(64), 0, true};
static const struct work scattered_pages = {"scattered pages", CHUNKS_MAX, KIB(4), 0, true};
static const struct work few = {"few", 10000, KIB(64), KIB(64), false};
static const struct work few_gaps = {"few, gaps", 10000, KIB(64), KIB(128), false};
static const struct work wide_gaps = {"wide gaps", 10000, MIB(1), MIB(2), false};
static const struct work long_gaps = {"long gaps", 2000, MIB(4), MIB(8), false};
static const struct work shuffled = {"shuffled", 60000, KIB(64), KIB(64), true};
static const struct work shuffled_gaps = {"shuffled, gaps", 60000, KIB(64), KIB(128), true};

struct machine {
    uint32_t workers;
    uint64_t memory_bytes;
};

static const struct machine small = {8, MIB(256)};
static const struct machine large = {8, GIB(8)};
static const struct machine wide = {40, GIB(8)}; /* that do not divide the connections */

/* Of one run. */
struct outcome {
    double seconds;       /* of the batch that is timed */
    double first_seconds; /* of the first */
    uint64_t data_bytes_max; /* of the budget, what may hold data */
    struct lsio_stats stats;
    struct model_counts counts;
};

static struct lsio_chunk chunks[CHUNKS_MAX];
static struct model_range ranges[CHUNKS_MAX]; /* ascending */
static _Atomic uint64_t bytes_seen;           /* by the stage */

/* -------------------------------------------------------------------------------- the work -- */

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"). */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Scattered chunks keep to pieces of the object, one each, so that none overlap. */
static void work_make(const struct work *work)
{
    uint64_t state = 88172645463325252u;
    uint64_t piece = SCATTER_BYTES / CHUNKS_MAX;

    for (uint32_t i = 0; i < work->count; i++) {
        uint64_t offset = i * work->stride;

        if (!work->stride)
            offset = i * piece + random_next(&state) % (piece - work->length);
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)offset, .length = work->length};
        ranges[i] = (struct model_range){offset, work->length};
    }
    for (uint32_t i = work->count; work->shuffled && i > 1; i--) {
        uint32_t other = (uint32_t)(random_next(&state) % i);
        struct lsio_chunk chunk = chunks[i - 1];

        chunks[i - 1] = chunks[other];
        chunks[other] = chunk;
    }
}

static int stage_count(struct lsio_call *call)
{
    atomic_fetch_add(&bytes_seen, call->in_bytes);
    return 0;
}

/* --------------------------------------------------------------------------------- running -- */

static double batch_time(struct lsio_context *context, struct lsio_store *store,
                         const struct work *work)
{
    static const struct lsio_stage stage = {.struct_bytes = sizeof(stage),
                                            .name = "count",
                                            .run = stage_count,
                                            .flags = LSIO_STAGE_READS_ONLY};
    struct lsio_object object = {.store = store, .key = "0", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = &object,
                                   .object_count = 1,
                                   .chunks = chunks,
                                   .chunk_count = work->count};
    struct lsio_chain *chain = NULL;
    uint64_t begin_ns;
    double seconds;

    assert_int_equal(lsio_chain_create(context, &stage, 1, &chain), 0);
    request.chain = chain;
    atomic_store(&bytes_seen, 0);
    begin_ns = sim_now_ns();
    assert_int_equal(lsio_read_batch(context, &request), 0);
    seconds = (double)(sim_now_ns() - begin_ns) / 1e9;
    assert_true(atomic_load(&bytes_seen) == work->count * work->length);
    lsio_chain_destroy(chain);
    return seconds;
}

static uint64_t seed(void)
{
    const char *text = getenv("LSIO_SIM_SEED");

    return text && *text ? strtoull(text, NULL, 10) : 1;
}

static void run(const struct medium *medium, const struct work *work,
                const struct machine *machine, struct outcome *outcome)
{
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = machine->workers,
                                 .memory_bytes_max = machine->memory_bytes,
                                 .scratch_bytes_max = 4096, /* the chain needs none */
                                 .oversize_bytes_max = 4096};
    struct context_world world = {&loop_os_sim, &loop_sim, &driver_model};
    struct lsio_context *context = NULL;
    struct lsio_store *store = NULL;
    size_t options = 0;

    *outcome = (struct outcome){.stats = {.struct_bytes = sizeof(outcome->stats)}};
    while (medium->options[options].key)
        options++;
    sim_begin(&(struct sim_config){.seed = seed()});
    sim_threads_begin(&(struct sim_threads_config){.seed = seed(),
                                                   .switch_permille = 10,
                                                   .steps_max = STEPS_MAX,
                                                   .replay = "sim.model, with LSIO_SIM_SEED"});
    model_driver_use(&medium->config, SCATTER_BYTES);
    assert_int_equal(context_create(&config, &world, &context), 0);
    assert_int_equal(lsio_store_open(context, "model://", medium->options, options, &store), 0);
    outcome->first_seconds = outcome->seconds = batch_time(context, store, work);
    for (uint32_t i = 0; i < medium->warm_ups; i++)
        outcome->seconds = batch_time(context, store, work);
    model_store_counts(store, &outcome->counts);
    assert_int_equal(lsio_context_stats(context, &outcome->stats), 0);
    outcome->data_bytes_max = context->pool.bytes_max + machine->workers * context->arena_bytes;
    assert_int_equal(lsio_store_close(store), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
}

/* Runs it, and checks what has to be so on any medium. */
static void measure(const struct medium *medium, const struct work *work,
                    const struct machine *machine, struct outcome *outcome)
{
    uint64_t count = (uint64_t)work->count * (medium->warm_ups + 1);

    work_make(work);
    run(medium, work, machine, outcome);
    assert_true(outcome->stats.chunks_done == count);
    assert_true(outcome->stats.chunks_failed == 0);
    assert_true(outcome->stats.bytes_asked == count * work->length);
    assert_true(outcome->stats.operations == outcome->counts.requests);
    assert_true(outcome->stats.memory_bytes_peak <= machine->memory_bytes);
    assert_true(outcome->counts.flight_bytes_max <= outcome->data_bytes_max);
}

static void check(const struct medium *medium, const struct work *work,
                  const struct machine *machine, const struct outcome *outcome, double bound,
                  double ratio_max)
{
    double ratio = outcome->seconds / bound;

    print_message("%-8s %-15s %2u workers, %4llu MiB (%4llu for data, %4llu used): %6llu requests "
                  "of %6.3f MiB, %3u at once, %7.3f s; bound %7.3f s, ratio %.3f\n",
                  medium->name, work->name, machine->workers,
                  (unsigned long long)(machine->memory_bytes >> 20),
                  (unsigned long long)(outcome->data_bytes_max >> 20),
                  (unsigned long long)(outcome->counts.flight_bytes_max >> 20),
                  (unsigned long long)outcome->counts.requests,
                  (double)outcome->counts.bytes / (double)outcome->counts.requests / (1 << 20),
                  outcome->counts.busy_max, outcome->seconds, bound, ratio);
    if (ratio > ratio_max)
        fail_msg("%s, %s: %.3f s, more than %.2f x the bound of %.3f s", medium->name, work->name,
                 outcome->seconds, ratio_max, bound);
}

/* Against the best set of requests with the whole budget for data; which the first batch takes so
 * many times as long as, at least. */
static void check_learned(const struct medium *medium, const struct work *work,
                          const struct machine *machine, double first_min, double ratio_max)
{
    struct outcome outcome;
    struct model_bound bound;

    measure(medium, work, machine, &outcome);
    bound = model_bound_find(&medium->config, ranges, work->count, machine->memory_bytes);
    print_message("best: gap %llu, split %.3f MiB, %llu requests\n", (unsigned long long)bound.gap,
                  (double)bound.split / (1 << 20), (unsigned long long)bound.requests);
    check(medium, work, machine, &outcome, bound.seconds, ratio_max);
    if (outcome.first_seconds < first_min * bound.seconds)
        fail_msg("%s, %s: %.3f s without having learned", medium->name, work->name,
                 outcome.first_seconds);
}

static void check_best(const struct medium *medium, const struct work *work,
                       const struct machine *machine, double ratio_max)
{
    check_learned(medium, work, machine, 0, ratio_max);
}

/* ----------------------------------------------------------------------------------- tests -- */

static void bucket_in_a_small_budget(void **unused)
{
    (void)unused;
    check_best(&bucket, &contiguous, &small, 1.15);
    check_best(&bucket, &half_gaps, &small, 1.15);
    check_best(&bucket, &scattered, &small, 1.15);
}

static void bucket_in_a_large_budget(void **unused)
{
    (void)unused;
    check_best(&bucket, &contiguous, &large, 1.15);
    check_best(&bucket, &half_gaps, &large, 1.15);
    check_best(&bucket, &scattered, &large, 1.15);
}

/* Where joins as long as they may be would leave most connections without any. */
static void bucket_shares_out_a_short_batch(void **unused)
{
    (void)unused;
    check_best(&bucket, &few, &large, 1.15);
    check_best(&bucket, &few_gaps, &large, 1.15);
}

static void bucket_gives_every_connection_to_a_worker(void **unused)
{
    (void)unused;
    check_best(&bucket, &contiguous, &wide, 1.15);
    check_best(&bucket, &scattered, &wide, 1.15);
}

/* Where a worker that sleeps until several reads are complete would leave connections idle. */
static void server_is_asked_again_at_once(void **unused)
{
    (void)unused;
    check_best(&server, &scattered, &small, 1.05);
}

/* Gaps that take longer to read than a first byte takes to come, but not longer than a turn. As
 * requests begin one after another, so they end, which the bound does not know of. */
static void bucket_saves_requests_where_they_are_rationed(void **unused)
{
    (void)unused;
    check_best(&rationed, &wide_gaps, &large, 1.25);
}

/* A profile that nobody gave the right numbers follows what the first batch shows. */
static void an_unknown_store_is_learned_from_one_batch(void **unused)
{
    (void)unused;
    check_learned(&unknown_far, &long_gaps, &large, 1.3, 1.15);
    check_learned(&unknown_near, &half_gaps, &large, 1.3, 1.15);
}

static void nvme_has_its_depth_used(void **unused)
{
    (void)unused;
    check_best(&nvme, &scattered, &small, 1.15);
    check_best(&nvme, &scattered_pages, &small, 1.15);
}

/* An arm that goes over the medium once, reads through the gaps, and always has the next read
 * waiting. */
static void hdd_is_read_in_physical_order(void **unused)
{
    static const struct work *const works[] = {&shuffled, &shuffled_gaps};
    struct outcome outcome;

    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        double bytes = (double)works[i]->count * (double)works[i]->stride;
        double once = bytes / (double)hdd.config.stream_bytes_per_second;

        measure(&hdd, works[i], &small, &outcome);
        check(&hdd, works[i], &small, &outcome, once, 1.3);
        assert_int_equal(outcome.counts.flight_max, 4); /* the profile's inflight_max */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_in_a_small_budget),
        cmocka_unit_test(bucket_in_a_large_budget),
        cmocka_unit_test(bucket_shares_out_a_short_batch),
        cmocka_unit_test(bucket_gives_every_connection_to_a_worker),
        cmocka_unit_test(server_is_asked_again_at_once),
        cmocka_unit_test(bucket_saves_requests_where_they_are_rationed),
        cmocka_unit_test(an_unknown_store_is_learned_from_one_batch),
        cmocka_unit_test(nvme_has_its_depth_used),
        cmocka_unit_test(hdd_is_read_in_physical_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
