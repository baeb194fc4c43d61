/* SPDX-License-Identifier: MIT */
/*
 * stress.h - many threads at the same thing for a while, watched.
 *
 *     struct stress stress;
 *     stress_begin(&stress, "what is stressed");
 *     stress_run(&stress, THREADS, main_function, data);    // each: while (stress_goes_on()) ...
 *     stress_end(&stress);
 *
 * A stress lasts LSIO_STRESS_SECONDS (default 2), per loop where there are several. It is there for
 * ThreadSanitizer: what it asserts must hold in any order of events. A thread that gets on says so
 * by asking stress_goes_on(); when none does for a minute, the program aborts with a message, and
 * so it does when STRESS_CHECK fails, for a wrong count cannot be continued from. Nothing here is
 * of cmocka, so all of it may be used on any thread.
 */
#ifndef LSIO_TESTS_STRESS_STRESS_H
#define LSIO_TESTS_STRESS_STRESS_H

#include "api_fixture.h"

#include <time.h>

#define STRESS_THREADS_MAX 16
#define STRESS_HUNG_MS     60000u

#define STRESS_CHECK(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct stress {
    const char *what;
    uint64_t until_ms;
    pthread_t watchdog;
    _Atomic uint64_t progress;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool end; /* under the lock */
};

/* One of the threads that stress_run() starts. */
struct stress_thread {
    struct stress *stress;
    void *data;   /* of stress_run() */
    void *own;    /* the thread's, if it wants one */
    uint32_t number;
    uint64_t random;
    pthread_t thread;
};

static inline void *stress_watch(void *data)
{
    struct stress *stress = data;
    uint64_t seen = 0, since_ms = api_now_ms();

    pthread_mutex_lock(&stress->lock);
    while (!stress->end) {
        struct timespec until = {.tv_sec = time(NULL) + 1};
        pthread_cond_timedwait(&stress->ended, &stress->lock, &until);
        if (seen != atomic_load(&stress->progress)) {
            seen = atomic_load(&stress->progress);
            since_ms = api_now_ms();
        } else if (!stress->end && api_now_ms() - since_ms > STRESS_HUNG_MS) {
            fprintf(stderr, "%s: nothing went on for %u ms, after %llu steps\n", stress->what,
                    STRESS_HUNG_MS, (unsigned long long)seen);
            abort();
        }
    }
    pthread_mutex_unlock(&stress->lock);
    return NULL;
}

static inline void stress_begin(struct stress *stress, const char *what)
{
    const char *seconds = getenv("LSIO_STRESS_SECONDS");

    memset(stress, 0, sizeof(*stress));
    stress->what = what;
    stress->until_ms = api_now_ms() + 1000 * (seconds ? strtoull(seconds, NULL, 10) : 2);
    pthread_mutex_init(&stress->lock, NULL);
    pthread_cond_init(&stress->ended, NULL);
    STRESS_CHECK(pthread_create(&stress->watchdog, NULL, stress_watch, stress) == 0);
}

/* True while there is time left. Ask once per unit of work: it counts as progress. */
static inline bool stress_goes_on(struct stress *stress)
{
    atomic_fetch_add_explicit(&stress->progress, 1, memory_order_relaxed);
    return api_now_ms() < stress->until_ms;
}

/* Ends the watch; says how much was done. */
static inline void stress_end(struct stress *stress)
{
    pthread_mutex_lock(&stress->lock);
    stress->end = true;
    pthread_cond_signal(&stress->ended);
    pthread_mutex_unlock(&stress->lock);
    pthread_join(stress->watchdog, NULL);
    pthread_cond_destroy(&stress->ended);
    pthread_mutex_destroy(&stress->lock);
    print_message("%s: %llu rounds\n", stress->what, (unsigned long long)stress->progress);
}

/* Runs main_function(struct stress_thread *) on so many threads, and waits for all. */
static inline void stress_run(struct stress *stress, uint32_t count,
                              void *(*main_function)(void *thread), void *data)
{
    struct stress_thread threads[STRESS_THREADS_MAX];

    STRESS_CHECK(count <= STRESS_THREADS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        threads[i] = (struct stress_thread){
            .stress = stress, .data = data, .number = i, .random = i * 2654435761u + 1};
        STRESS_CHECK(pthread_create(&threads[i].thread, NULL, main_function, &threads[i]) == 0);
    }
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i].thread, NULL);
}

/* 0 .. below - 1 (xorshift64, Marsaglia 2003). */
static inline uint32_t stress_random(struct stress_thread *thread, uint32_t below)
{
    thread->random ^= thread->random << 13;
    thread->random ^= thread->random >> 7;
    thread->random ^= thread->random << 17;
    return (uint32_t)(thread->random >> 32) % below;
}

/* api_config() with eight workers and so much memory. */
static inline struct lsio_config stress_config(const struct api *api, uint64_t memory_bytes)
{
    struct lsio_config config = api_config(api);

    config.workers = 8;
    config.memory_bytes_max = memory_bytes;
    return config;
}

#endif
