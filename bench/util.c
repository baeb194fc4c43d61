/* SPDX-License-Identifier: MIT */
/*
 * util.c - clocks, numbers, memory and the thread pool of the benchmarks.
 *
 * Memory is mapped with 2 MiB alignment, in huge pages where the kernel gives them, and touched
 * before use: on a virtual machine a first touch costs more than the read that it would be part of.
 * The pool hands out work under a mutex once per run; a run is milliseconds long, so its cost does
 * not show.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

/* ------------------------------------------------------------------------ program, numbers -- */

_Noreturn void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("lsio-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void bench_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("# ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void bench_check(int status, const char *what)
{
    if (status < 0) {
        bench_die("%s: %s (%s)", what, lsio_status_text(status), lsio_status_name(status));
    }
}

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(const double *values, unsigned count)
{
    double sorted[BENCH_PAIRS_MAX];
    if (count == 0 || count > BENCH_PAIRS_MAX) {
        return 0;
    }
    memcpy(sorted, values, count * sizeof(double));
    qsort(sorted, count, sizeof(double), double_compare);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void bench_shuffle(void *items, size_t count, size_t item_bytes, uint64_t seed)
{
    uint8_t *base = items, spare[128];
    if (item_bytes > sizeof(spare)) {
        bench_die("items of %zu bytes are too large to shuffle", item_bytes);
    }
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)(bench_random(&seed) % i);
        memcpy(spare, base + j * item_bytes, item_bytes);
        memcpy(base + j * item_bytes, base + (i - 1) * item_bytes, item_bytes);
        memcpy(base + (i - 1) * item_bytes, spare, item_bytes);
    }
}

uint64_t bench_hash(const void *bytes, size_t length, uint64_t seed)
{
    const uint8_t *p = bytes;
    uint64_t h = seed ^ (length * 0x9e3779b97f4a7c15u), w;
    for (; length >= 8; p += 8, length -= 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x94d049bb133111ebu;
        h ^= h >> 29;
    }
    for (; length > 0; p++, length--) {
        h = (h ^ *p) * 0x94d049bb133111ebu;
        h ^= h >> 29;
    }
    return h;
}

/* ---------------------------------------------------------------------------------- memory -- */

#define HUGE_BYTES ((size_t)2 << 20)

void bench_touch(void *memory, size_t bytes)
{
    volatile uint8_t *p = memory;
    for (size_t i = 0; i < bytes; i += BENCH_PAGE) {
        p[i] = 1;
    }
}

void *bench_alloc(size_t bytes)
{
    size_t rounded = (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    uint8_t *all = mmap(NULL, rounded + HUGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        bench_die("no memory for %zu bytes", bytes);
    }
    size_t head = (HUGE_BYTES - ((uintptr_t)all & (HUGE_BYTES - 1))) & (HUGE_BYTES - 1);
    if (head > 0) {
        munmap(all, head);
    }
    munmap(all + head + rounded, HUGE_BYTES - head);
    madvise(all + head, rounded, MADV_HUGEPAGE);
    bench_touch(all + head, rounded);
    return all + head;
}

void bench_free(void *memory, size_t bytes)
{
    if (memory != NULL) {
        munmap(memory, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
    }
}

/* ----------------------------------------------------------------------------- thread pool -- */

struct bench_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, finished;
    unsigned threads, running;
    uint64_t turn; /* counts runs; a thread that has seen fewer has one to do */
    bool stop;
    bench_pool_fn *fn;
    void *data;
    pthread_t ids[BENCH_THREADS_MAX];
    struct pool_thread {
        struct bench_pool *pool;
        unsigned index;
    } members[BENCH_THREADS_MAX];
};

static void *pool_main(void *data)
{
    struct pool_thread *self = data;
    struct bench_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->turn == seen && !pool->stop) {
            pthread_cond_wait(&pool->start, &pool->lock);
        }
        if (pool->stop) {
            break;
        }
        seen = pool->turn;
        pthread_mutex_unlock(&pool->lock);
        pool->fn(pool->data, self->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->running == 0) {
            pthread_cond_signal(&pool->finished);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct bench_pool *bench_pool_create(unsigned threads)
{
    struct bench_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || threads == 0 || threads > BENCH_THREADS_MAX) {
        bench_die("cannot make a pool of %u threads", threads);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->threads = threads;
    for (unsigned i = 0; i < threads; i++) {
        pool->members[i] = (struct pool_thread){pool, i};
        if (pthread_create(&pool->ids[i], NULL, pool_main, &pool->members[i]) != 0) {
            bench_die("cannot start a thread");
        }
    }
    return pool;
}

void bench_pool_destroy(struct bench_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++) {
        pthread_join(pool->ids[i], NULL);
    }
    pthread_cond_destroy(&pool->start);
    pthread_cond_destroy(&pool->finished);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

unsigned bench_pool_threads(const struct bench_pool *pool)
{
    return pool->threads;
}

void bench_pool_run(struct bench_pool *pool, bench_pool_fn *fn, void *data)
{
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->data = data;
    pool->running = pool->threads;
    pool->turn++;
    pthread_cond_broadcast(&pool->start);
    while (pool->running > 0) {
        pthread_cond_wait(&pool->finished, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

void bench_claim_reset(struct bench_claim *claim, size_t count, unsigned threads)
{
    size_t run = count / ((size_t)threads * 64);
    claim->run = run < 1 ? 1 : run > 64 ? 64 : run;
    claim->count = count;
    atomic_store(&claim->next, 0);
}

bool bench_claim_take(struct bench_claim *claim, size_t *first, size_t *end)
{
    size_t at = atomic_fetch_add_explicit(&claim->next, claim->run, memory_order_relaxed);
    if (at >= claim->count) {
        return false;
    }
    *first = at;
    *end = claim->count - at < claim->run ? claim->count : at + claim->run;
    return true;
}

uint64_t bench_sums_take(struct bench_sums *sums)
{
    uint64_t total = 0;
    for (unsigned i = 0; i <= BENCH_THREADS_MAX; i++) {
        total += sums->lanes[i].value;
        sums->lanes[i].value = 0;
    }
    return total;
}
