/* SPDX-License-Identifier: MIT */
/*
 * baseline_uring.c - a bare io_uring loop: the least that reading a list of ranges can cost.
 *
 * What makes it quick: one ring per thread, made on that thread (SINGLE_ISSUER, DEFER_TASKRUN),
 * with its own descriptor registered; registered files; buffers registered in one piece, in huge
 * pages, used in LIFO order so that the next read lands in the memory that is hottest; threads that
 * live as long as the loop; items shared out dynamically. In cached files all reads of a submit are
 * there when it returns, so depth means batch size there. The best depth is found by
 * bare_loop_tune().
 */
#define _GNU_SOURCE 1
#include "baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LSIO_HAVE_URING
#include <liburing.h>

struct bare_lane {
    struct io_uring ring;
    uint8_t *buffers;
    size_t buffers_bytes;
    unsigned free_count;
    unsigned free_slots[1024];
    size_t slot_item[1024];
    bool ready, registered;
};

struct bare_loop {
    struct bench_pool *pool;
    struct bare_config config;
    struct bare_lane *lanes;
    const struct bare_item *items;
    struct bench_claim claim;
};

static void lane_open(void *data, unsigned thread)
{
    struct bare_loop *loop = data;
    struct bare_lane *lane = &loop->lanes[thread];
    const struct bare_config *config = &loop->config;
    int status = io_uring_queue_init(config->depth, &lane->ring,
                                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (status == -EINVAL) {
        status = io_uring_queue_init(config->depth, &lane->ring, 0);
    }
    if (status != 0) {
        bench_die("baseline: io_uring: %s", strerror(-status));
    }
    lane->ready = true;
    io_uring_register_ring_fd(&lane->ring);
    status = io_uring_register_files(&lane->ring, config->fds, config->fd_count);
    if (status != 0) {
        bench_die("baseline: registering files: %s", strerror(-status));
    }
    struct iovec memory = {config->array, config->array_bytes};
    if (config->array == NULL) {
        lane->buffers_bytes = (size_t)config->buffer_bytes * config->depth;
        lane->buffers = bench_alloc(lane->buffers_bytes);
        memory = (struct iovec){lane->buffers, lane->buffers_bytes};
    }
    lane->registered = io_uring_register_buffers(&lane->ring, &memory, 1) == 0;
    lane->free_count = config->depth;
    for (unsigned i = 0; i < config->depth; i++) {
        lane->free_slots[i] = config->depth - 1 - i;
    }
}

static void lane_close(void *data, unsigned thread)
{
    struct bare_loop *loop = data;
    struct bare_lane *lane = &loop->lanes[thread];
    if (lane->ready) {
        io_uring_queue_exit(&lane->ring);
    }
    bench_free(lane->buffers, lane->buffers_bytes);
}

static uint8_t *slot_memory(const struct bare_loop *loop, const struct bare_lane *lane,
                            unsigned slot)
{
    if (loop->config.array != NULL) {
        return loop->config.array + loop->items[lane->slot_item[slot]].place;
    }
    return lane->buffers + (size_t)slot * loop->config.buffer_bytes;
}

static void lane_prepare(struct bare_loop *loop, struct bare_lane *lane, size_t index)
{
    const struct bare_item *item = &loop->items[index];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&lane->ring);
    unsigned slot = lane->free_slots[--lane->free_count];
    lane->slot_item[slot] = index;
    uint8_t *memory = slot_memory(loop, lane, slot);
    if (lane->registered) {
        io_uring_prep_read_fixed(sqe, (int)item->file, memory, item->bytes, item->offset, 0);
    } else {
        io_uring_prep_read(sqe, (int)item->file, memory, item->bytes, item->offset);
    }
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = slot;
}

static unsigned lane_reap(struct bare_loop *loop, struct bare_lane *lane, unsigned thread)
{
    const struct bare_config *config = &loop->config;
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&lane->ring, head, cqe)
    {
        unsigned slot = (unsigned)cqe->user_data;
        size_t item = lane->slot_item[slot];
        if (cqe->res != (int)loop->items[item].bytes) {
            bench_die("baseline: a read gave %d", cqe->res);
        }
        if (config->consume != NULL) {
            config->consume(config->user, thread, item, slot_memory(loop, lane, slot));
        }
        lane->free_slots[lane->free_count++] = slot;
        count++;
    }
    io_uring_cq_advance(&lane->ring, count);
    return count;
}

static void lane_run(void *data, unsigned thread)
{
    struct bare_loop *loop = data;
    struct bare_lane *lane = &loop->lanes[thread];
    size_t next = 0, end = 0;
    unsigned inflight = 0;
    bool more = true;
    for (;;) {
        while (lane->free_count > 0 && more) {
            if (next == end) {
                more = bench_claim_take(&loop->claim, &next, &end);
                continue;
            }
            lane_prepare(loop, lane, next++);
            inflight++;
        }
        if (inflight == 0) {
            return;
        }
        unsigned wait = loop->config.wait;
        wait = wait == 0 || wait > inflight ? inflight : wait;
        int status = io_uring_submit_and_wait(&lane->ring, wait);
        if (status < 0 && status != -EINTR) {
            bench_die("baseline: io_uring_enter: %s", strerror(-status));
        }
        inflight -= lane_reap(loop, lane, thread);
    }
}

struct bare_loop *bare_loop_create(struct bench_pool *pool, const struct bare_config *config)
{
    struct bare_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL || config->depth == 0 || config->depth > 1024) {
        bench_die("baseline: cannot make a loop of depth %u", config->depth);
    }
    loop->pool = pool;
    loop->config = *config;
    loop->lanes = bench_alloc(bench_pool_threads(pool) * sizeof(*loop->lanes));
    memset(loop->lanes, 0, bench_pool_threads(pool) * sizeof(*loop->lanes));
    bench_pool_run(pool, lane_open, loop);
    return loop;
}

void bare_loop_destroy(struct bare_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    bench_pool_run(loop->pool, lane_close, loop);
    bench_free(loop->lanes, bench_pool_threads(loop->pool) * sizeof(*loop->lanes));
    free(loop);
}

void bare_loop_run(struct bare_loop *loop, const struct bare_item *items, size_t count)
{
    loop->items = items;
    bench_claim_reset(&loop->claim, count, bench_pool_threads(loop->pool));
    bench_pool_run(loop->pool, lane_run, loop);
}

bool bare_loop_registered(const struct bare_loop *loop)
{
    return loop->lanes[0].registered;
}

#else /* without liburing there is no such baseline */

struct bare_loop *bare_loop_create(struct bench_pool *pool, const struct bare_config *config)
{
    (void)pool;
    (void)config;
    bench_die("this comparison needs liburing, which this build lacks");
}

void bare_loop_destroy(struct bare_loop *loop)
{
    (void)loop;
}

void bare_loop_run(struct bare_loop *loop, const struct bare_item *items, size_t count)
{
    (void)loop;
    (void)items;
    (void)count;
}

bool bare_loop_registered(const struct bare_loop *loop)
{
    (void)loop;
    return false;
}

#endif

/* ---------------------------------------------------------------------------------- tuning -- */

struct tuning {
    unsigned depth, wait;
    double wall_s, cpu_s; /* per item */
};

static void tuning_measure(struct bench_pool *pool, struct bare_config config,
                           const struct bare_item *items, size_t count, bool direct,
                           struct tuning *tuning)
{
    config.depth = tuning->depth;
    config.wait = tuning->wait;
    struct bare_loop *loop = bare_loop_create(pool, &config);
    size_t warm_up = count / 16 + 1, done = 0;
    bare_loop_run(loop, items, warm_up);
    double cpu = bench_cpu(), wall = bench_now(), aim = direct ? 1.0 : 0.15;
    do {
        bare_loop_run(loop, items, count);
        done += count;
    } while (bench_now() - wall < aim);
    tuning->wall_s = (bench_now() - wall) / (double)done;
    tuning->cpu_s = (bench_cpu() - cpu) / (double)done;
    bare_loop_destroy(loop);
}

void bare_loop_tune(struct bench_pool *pool, struct bare_config *config,
                    const struct bare_item *items, size_t count, enum bench_metric metric,
                    bool direct)
{
    static const struct tuning cached[] = {{1, 0, 0, 0},  {2, 0, 0, 0},  {4, 0, 0, 0}, {8, 0, 0, 0},
                                           {16, 0, 0, 0}, {32, 0, 0, 0}, {64, 0, 0, 0}};
    static const struct tuning device[] = {{4, 1, 0, 0},  {8, 1, 0, 0},  {8, 4, 0, 0},
                                           {16, 1, 0, 0}, {16, 4, 0, 0}, {16, 8, 0, 0},
                                           {32, 1, 0, 0}, {32, 8, 0, 0}, {32, 16, 0, 0}};
    struct tuning tried[16];
    unsigned n = direct ? sizeof(device) / sizeof(*device) : sizeof(cached) / sizeof(*cached);
    double best_wall = 1e9;
    unsigned best = 0;
    memcpy(tried, direct ? device : cached, n * sizeof(*tried));
    for (unsigned i = 0; i < n; i++) {
        tuning_measure(pool, *config, items, count, direct, &tried[i]);
        best_wall = tried[i].wall_s < best_wall ? tried[i].wall_s : best_wall;
    }
    for (unsigned i = 0; i < n; i++) {
        bool better = metric == BENCH_WALL ? tried[i].wall_s < tried[best].wall_s
                                           : tried[i].cpu_s < tried[best].cpu_s;
        bool fast = tried[i].wall_s <= best_wall * 1.05, best_fast;
        best_fast = tried[best].wall_s <= best_wall * 1.05;
        if (direct && metric == BENCH_CPU ? fast && (better || !best_fast) : better) {
            best = i;
        }
    }
    config->depth = tried[best].depth;
    config->wait = tried[best].wait;
    bench_note(
        "bare io_uring loop: best of %u settings is depth %u, wait %u (%.2f us wall, %.2f us "
        "CPU per read, %u threads)",
        n, config->depth, config->wait, tried[best].wall_s * 1e6, tried[best].cpu_s * 1e6,
        bench_pool_threads(pool));
}
