/* SPDX-License-Identifier: MIT */
/*
 * test_threads.c - the simulation itself: bugs that need a certain order are found, correct
 * programs pass, one seed gives one run, and a context works on it.
 * LSIO_SIM_SEEDS and LSIO_SIM_SEED choose the seeds of the last.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "between.h"
#include "engine/engine.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define MS    UINT64_C(1000000)
#define SEEDS 1000u

static void begin(uint64_t seed)
{
    sim_begin(&(struct sim_config){.seed = seed, .cached_permille = 300});
    sim_threads_begin(&(struct sim_threads_config){.seed = seed, .replay = "this test"});
}

static uint64_t points, switches; /* of all runs */

static uint64_t end(void)
{
    uint64_t trace = sim_threads_trace();

    points += sim_threads_points();
    switches += sim_threads_switches();
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
    return trace;
}

/* Runs two threads to their end. */
static uint64_t run_two(uint64_t seed, void *(*one)(void *), void *(*other)(void *), void *data)
{
    pthread_t a, b;

    begin(seed);
    assert_int_equal(pthread_create(&a, NULL, one, data), 0);
    assert_int_equal(pthread_create(&b, NULL, other, data), 0);
    assert_int_equal(pthread_join(a, NULL), 0);
    assert_int_equal(pthread_join(b, NULL), 0);
    return end();
}

/* Runs it in a child process: its wait status, and what it printed. */
static int in_child(void (*run)(void), char *text, size_t bytes)
{
    FILE *output = tmpfile();
    size_t length;
    int status;
    pid_t child;

    assert_non_null(output);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fileno(output), STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    rewind(output);
    length = fread(text, 1, bytes - 1, output);
    text[length] = '\0';
    (void)fclose(output);
    return status;
}

/* -------------------------------------------------------------------------- wake-ups, hangs -- */

struct handshake {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    _Atomic bool flag;
    bool looks_early; /* the bug */
};

static void *sets_flag(void *data)
{
    struct handshake *shake = data;

    pthread_mutex_lock(&shake->lock);
    atomic_store(&shake->flag, true);
    pthread_cond_signal(&shake->cond);
    pthread_mutex_unlock(&shake->lock);
    return NULL;
}

static void *waits_for_flag(void *data)
{
    struct handshake *shake = data;

    if (shake->looks_early && atomic_load(&shake->flag))
        return NULL;
    pthread_mutex_lock(&shake->lock);
    while (shake->looks_early || !atomic_load(&shake->flag)) {
        pthread_cond_wait(&shake->cond, &shake->lock);
        if (shake->looks_early)
            break;
    }
    pthread_mutex_unlock(&shake->lock);
    return NULL;
}

static void shake_hands(uint64_t seed, bool looks_early)
{
    struct handshake shake = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .cond = PTHREAD_COND_INITIALIZER,
                              .looks_early = looks_early};

    run_two(seed, waits_for_flag, sets_flag, &shake);
}

static void wrong_handshakes(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        shake_hands(seed, true);
}

static void a_lost_wake_is_a_hang_that_is_explained(void **state)
{
    char text[16384];
    int status = in_child(wrong_handshakes, text, sizeof text);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SIM_STATUS);
    assert_non_null(strstr(text, "a hang"));
    assert_non_null(strstr(text, "sim: seed "));
    assert_non_null(strstr(text, "again: this test"));
    assert_non_null(strstr(text, "waits for the condition"));
    assert_non_null(strstr(text, "waits_for_flag"));
    assert_non_null(strstr(text, "waits for the end of thread"));
}

static void a_right_handshake_never_hangs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        shake_hands(seed, false);
}

static void *spins(void *data)
{
    const _Atomic bool *flag = data;

    while (!atomic_load(flag))
        continue;
    return NULL;
}

static void *sets_late(void *data)
{
    _Atomic bool *flag = data;

    for (int i = 0; i < 100; i++)
        sim_point();
    atomic_store(flag, true);
    return NULL;
}

static void a_loop_that_waits_lets_others_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        _Atomic bool flag = false;

        run_two(seed, spins, sets_late, &flag);
    }
}

static void spin_forever(void)
{
    static _Atomic bool never;

    sim_begin(&(struct sim_config){.seed = 1});
    sim_threads_begin(&(struct sim_threads_config){.seed = 1, .steps_max = 100000});
    (void)spins(&never);
}

static void a_livelock_ends(void **state)
{
    char text[16384];
    int status = in_child(spin_forever, text, sizeof text);

    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SIM_STATUS);
    assert_non_null(strstr(text, "a livelock"));
}

/* ----------------------------------------------------------------------------------- orders -- */

struct counts {
    _Atomic uint32_t atomic;
    uint32_t plain, inside, inside_max;
    pthread_mutex_t lock;
};

static void *counts_carelessly(void *data)
{
    struct counts *counts = data;

    atomic_store(&counts->atomic, atomic_load(&counts->atomic) + 1);
    return NULL;
}

static void a_lost_update_is_found(void **state)
{
    uint32_t lost = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct counts counts = {0};

        run_two(seed, counts_carelessly, counts_carelessly, &counts);
        lost += counts.atomic == 1;
    }
    assert_between(lost, 10, SEEDS - 10);
}

static void *counts_locked(void *data)
{
    struct counts *counts = data;

    for (int i = 0; i < 5; i++) {
        if (i != 2)
            pthread_mutex_lock(&counts->lock);
        else
            while (pthread_mutex_trylock(&counts->lock) == EBUSY)
                sched_yield();
        counts->inside++;
        counts->inside_max =
            counts->inside > counts->inside_max ? counts->inside : counts->inside_max;
        sim_point();
        counts->plain++;
        counts->inside--;
        pthread_mutex_unlock(&counts->lock);
    }
    return NULL;
}

static void mutexes_exclude(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct counts counts = {.lock = PTHREAD_MUTEX_INITIALIZER};

        run_two(seed, counts_locked, counts_locked, &counts);
        assert_int_equal(counts.plain, 10);
        assert_int_equal(counts.inside_max, 1);
    }
}

static void one_seed_is_one_run(void **state)
{
    uint64_t traces[100], different = 0;

    (void)state;
    for (unsigned pass = 0; pass < 2; pass++)
        for (uint64_t seed = 0; seed < 100; seed++) {
            struct counts counts = {.lock = PTHREAD_MUTEX_INITIALIZER};
            uint64_t trace = run_two(seed, counts_locked, counts_locked, &counts);

            if (pass)
                assert_int_equal(trace, traces[seed]);
            traces[seed] = trace;
            different += seed && trace != traces[seed - 1];
        }
    assert_true(different > 150);
}

/* ------------------------------------------------------------------------------------- time -- */

static void *sleeps(void *data)
{
    uint64_t *woke_ns = data;

    nanosleep(&(struct timespec){.tv_nsec = 5 * MS}, NULL);
    *woke_ns = sim_now_ns();
    return NULL;
}

static void *times_out(void *data)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_t attributes;
    pthread_cond_t cond;
    struct timespec until;
    int error = 0;

    (void)data;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cond, &attributes);
    pthread_condattr_destroy(&attributes);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 3600;
    pthread_mutex_lock(&lock);
    while (!error)
        error = pthread_cond_timedwait(&cond, &lock, &until);
    pthread_mutex_unlock(&lock);
    assert(error == ETIMEDOUT);
    pthread_cond_destroy(&cond);
    pthread_mutex_destroy(&lock);
    return NULL;
}

static void virtual_time_is_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t woke_ns[2], began_ns;
        pthread_t threads[2];

        sim_begin(&(struct sim_config){.seed = seed});
        sim_threads_begin(&(struct sim_threads_config){.seed = seed, .switch_permille = 100});
        began_ns = sim_now_ns();
        pthread_create(&threads[0], NULL, sleeps, &woke_ns[0]);
        pthread_create(&threads[1], NULL, times_out, NULL);
        sleeps(&woke_ns[1]);
        pthread_join(threads[0], NULL);
        assert_int_equal(woke_ns[0] - began_ns, 5 * MS);
        assert_int_equal(woke_ns[1] - began_ns, 5 * MS);
        pthread_join(threads[1], NULL);
        assert_int_equal(sim_now_ns() - began_ns, 3600000 * MS);
        end();
    }
}

/* ----------------------------------------------------------------------- each thread's own -- */

static _Thread_local uint64_t own;

static void *keeps_its_own(void *data)
{
    uint64_t number = ++*(uint64_t *)data;

    assert(own == 0);
    for (int i = 0; i < 20; i++) {
        own++;
        errno = (int)number;
        sim_point();
        assert(errno == (int)number);
    }
    assert(own == 20);
    return NULL;
}

static void thread_locals_and_errno_are_per_thread(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t number = 0;

        own = 7;
        run_two(seed, keeps_its_own, keeps_its_own, &number);
        assert_int_equal(own, 7);
    }
}

/* ----------------------------------------------------------------------------------- misuse -- */

static pthread_mutex_t misused = PTHREAD_MUTEX_INITIALIZER;

static void *locks(void *data)
{
    pthread_mutex_lock(data);
    return NULL;
}

static void unlocks_anothers(void)
{
    pthread_t thread;

    begin(1);
    pthread_create(&thread, NULL, locks, &misused);
    pthread_join(thread, NULL);
    pthread_mutex_unlock(&misused);
}

static void destroys_a_locked_one(void)
{
    begin(1);
    pthread_mutex_lock(&misused);
    pthread_mutex_destroy(&misused);
}

static void locks_twice(void)
{
    begin(1);
    pthread_mutex_lock(&misused);
    pthread_mutex_lock(&misused);
}

static void joins_twice(void)
{
    pthread_t thread;

    begin(1);
    pthread_create(&thread, NULL, locks, &misused);
    pthread_join(thread, NULL);
    pthread_join(thread, NULL);
}

static void *waits_forever(void *data)
{
    pthread_mutex_lock(&misused);
    for (;;)
        pthread_cond_wait(data, &misused);
    return NULL;
}

static void destroys_with_waiters(void)
{
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_t thread;

    begin(1);
    pthread_create(&thread, NULL, waits_forever, &cond);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    pthread_cond_destroy(&cond);
}

static void *flushes(void *loop)
{
    loop_sim.flush(loop);
    return NULL;
}

static void uses_anothers_loop(void)
{
    struct loop_config config = {.inflight_max = 4, .os = &loop_os_sim};
    struct loop *loop;
    pthread_t thread;
    char why[64];

    begin(1);
    (void)loop_sim.create(&config, &loop, why, sizeof why);
    pthread_create(&thread, NULL, flushes, loop);
    pthread_join(thread, NULL);
}

static void misuse_aborts_with_the_reason(void **state)
{
    static const struct {
        void (*run)(void);
        const char *why;
    } cases[] = {
        {unlocks_anothers, "unlocks a mutex that it does not hold"},
        {destroys_a_locked_one, "a locked mutex is destroyed"},
        {locks_twice, "locks a mutex that it holds"},
        {joins_twice, "was joined"},
        {destroys_with_waiters, "with threads waiting"},
        {uses_anothers_loop, "loop->owner"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16384];
        int status = in_child(cases[i].run, text, sizeof text);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        if (!strstr(text, cases[i].why))
            fail_msg("\"%s\" is not in:\n%s", cases[i].why, text);
    }
}

/* -------------------------------------------------------------------------------- a context -- */

#define FILES       4u
#define FILE_BYTES  50000u
#define CHUNKS      20u
#define CHUNK_BYTES 9000u

static uint8_t byte_at(uint32_t file, uint64_t offset)
{
    return (uint8_t)(offset * 7 + offset / 256 + file * 31);
}

static void put_files(void)
{
    static uint8_t bytes[FILE_BYTES];
    char path[32];

    for (uint32_t i = 0; i < FILES; i++) {
        for (uint64_t at = 0; at < FILE_BYTES; at++)
            bytes[at] = byte_at(i, at);
        (void)snprintf(path, sizeof path, "/data/%u", i);
        sim_put(path, bytes, FILE_BYTES);
    }
}

static void read_chunks(struct lsio_context *context, struct lsio_store *store, uint8_t *memory)
{
    static const char *const keys[FILES] = {"0", "1", "2", "3"};
    struct lsio_object objects[FILES];
    struct lsio_chunk chunks[CHUNKS] = {0};
    struct lsio_result results[CHUNKS];
    struct lsio_request request = {.struct_bytes = sizeof request,
                                   .objects = objects,
                                   .object_count = FILES,
                                   .object_bytes = sizeof *objects,
                                   .chunks = chunks,
                                   .chunk_count = CHUNKS,
                                   .chunk_bytes = sizeof *chunks,
                                   .results = results,
                                   .result_bytes = sizeof *results};
    struct lsio_batch *batch;

    for (uint32_t i = 0; i < FILES; i++)
        objects[i] = (struct lsio_object){
            .store = store, .key = keys[i], .size = LSIO_SIZE_UNKNOWN};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        chunks[i].object = sim_random(FILES);
        chunks[i].offset = sim_random(FILE_BYTES - CHUNK_BYTES);
        chunks[i].length = CHUNK_BYTES;
        chunks[i].dst = memory + (size_t)i * CHUNK_BYTES;
        chunks[i].dst_bytes = CHUNK_BYTES;
    }
    assert_int_equal(lsio_submit_batch(context, &request, &batch), 0);
    assert_int_equal(lsio_batch_wait(batch, LSIO_FOREVER, NULL), 0);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        assert_int_equal(results[i].status, 0);
        for (uint64_t at = 0; at < CHUNK_BYTES; at++)
            if (memory[i * CHUNK_BYTES + at] !=
                byte_at(chunks[i].object, (uint64_t)chunks[i].offset + at))
                fail_msg("chunk %u has a wrong byte at %llu", i, (unsigned long long)at);
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

static const struct context_world world = {.os = &loop_os_sim, .loop = &loop_sim};
static const struct lsio_config config = {
    .struct_bytes = sizeof config, .workers = 3, .memory_bytes_max = 2u << 20};

/* Refusals that a context must live with. */
static void refuse_registrations(void)
{
    sim_add_fault((struct sim_fault){
        .kind = SIM_ATTACH_FILE, .permille = 300, .result = -ENFILE});
    sim_add_fault((struct sim_fault){
        .kind = SIM_ATTACH_BUFFER, .permille = 300, .result = -ENOMEM});
}

static uint64_t run_context(uint64_t seed, uint8_t *memory, const char *replay)
{
    struct lsio_context *context;
    struct lsio_store *store;

    sim_begin(&(struct sim_config){.seed = seed,
                                   .cached_permille = (uint32_t)(seed * 77 % 1000),
                                   .short_permille = (uint32_t)(seed * 13 % 300),
                                   .direct_align = seed % 2 ? 512 : 0});
    put_files();
    if (seed % 3 == 0)
        refuse_registrations();
    sim_threads_begin(&(struct sim_threads_config){.seed = seed, .replay = replay});
    assert_int_equal(context_create(&config, &world, &context), 0);
    assert_int_equal(lsio_store_open(context, "/data", NULL, 0, &store), 0);
    read_chunks(context, store, memory);
    assert_int_equal(lsio_store_close(store), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
    return end();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void a_context_reads_under_any_order(void **state)
{
    uint64_t first = number_from("LSIO_SIM_SEED", 1), count = number_from("LSIO_SIM_SEEDS", 200);
    uint8_t *memory = aligned_alloc(4096, 45 * 4096);

    (void)state;
    assert_non_null(memory);
    points = switches = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        char replay[64];
        uint64_t trace;

        (void)snprintf(replay, sizeof replay, "tests/run.sh --sim 1 --seed %llu",
                       (unsigned long long)seed);
        trace = run_context(seed, memory, replay);
        if (seed % 10 == 0)
            assert_int_equal(run_context(seed, memory, replay), trace);
    }
    print_message("%llu points and %llu switches in %llu seeds\n", (unsigned long long)points,
                  (unsigned long long)switches, (unsigned long long)count);
    free(memory);
}

static void a_refused_loop_ends_creation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct lsio_context *context;

        begin(seed);
        sim_add_fault((struct sim_fault){
            .kind = SIM_LOOP_CREATE, .skip = (uint32_t)(seed % 3), .result = -EMFILE});
        assert_int_equal(context_create(&config, &world, &context), -EMFILE);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_wake_is_a_hang_that_is_explained),
        cmocka_unit_test(a_right_handshake_never_hangs),
        cmocka_unit_test(a_loop_that_waits_lets_others_run),
        cmocka_unit_test(a_livelock_ends),
        cmocka_unit_test(a_lost_update_is_found),
        cmocka_unit_test(mutexes_exclude),
        cmocka_unit_test(one_seed_is_one_run),
        cmocka_unit_test(virtual_time_is_exact),
        cmocka_unit_test(thread_locals_and_errno_are_per_thread),
        cmocka_unit_test(misuse_aborts_with_the_reason),
        cmocka_unit_test(a_context_reads_under_any_order),
        cmocka_unit_test(a_refused_loop_ends_creation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
