/* SPDX-License-Identifier: MIT */
/*
 * Many threads read over HTTP at once from a server that fails at random: each chunk ends once,
 * with its bytes or with an error, and what is canceled ends too.
 *
 * LSIO_ROWS: H1 H9 H22
 * LSIO_TEST_TIMEOUT: 180
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { THREADS = 8, CHUNKS = 16, OBJECTS = 6, SIZE = 120000, LENGTH = 9000 };

struct team {
    struct http_case *c;
    unsigned rounds;
    _Atomic unsigned wrong, failed, good;
};

struct member {
    struct team *team;
    unsigned index;
    uint64_t seed;
    uint8_t memory[CHUNKS * LENGTH];
};

static uint64_t next(uint64_t *seed) /* Knuth's MMIX */
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void round_check(struct member *m, const struct lsio_chunk *chunks,
                        const struct lsio_result *results, bool canceled)
{
    struct team *team = m->team;

    for (unsigned i = 0; i < CHUNKS; i++) {
        if (results[i].status == 0 &&
            server_pattern_check(chunks[i].object, (uint64_t)chunks[i].offset, chunks[i].dst,
                                 LENGTH) >= 0)
            atomic_fetch_add(&team->wrong, 1);
        if (results[i].status == 0)
            atomic_fetch_add(&team->good, 1);
        else if (results[i].status != -ECANCELED || !canceled)
            atomic_fetch_add(&team->failed, 1);
    }
}

static void member_round(struct member *m)
{
    struct http_case *c = m->team->c;
    struct lsio_object objects[OBJECTS];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(objects, OBJECTS, chunks, CHUNKS, results);
    bool cancels = next(&m->seed) % 4 == 0;
    struct lsio_batch *batch;
    char keys[OBJECTS][8];

    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "o%u", i);
        objects[i] = (struct lsio_object){.store = c->store, .key = keys[i]};
    }
    for (unsigned i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.object = (uint32_t)(next(&m->seed) % OBJECTS),
                                        .offset = (int64_t)(next(&m->seed) % (SIZE - LENGTH)),
                                        .length = LENGTH,
                                        .dst = m->memory + i * LENGTH,
                                        .dst_bytes = LENGTH};
    if (lsio_submit_batch(c->context, &request, &batch)) {
        atomic_fetch_add(&m->team->wrong, 1);
        return;
    }
    if (cancels)
        (void)lsio_batch_cancel(batch);
    (void)api_wait(batch);
    round_check(m, chunks, results, cancels);
    (void)lsio_batch_destroy(batch);
}

static void *member_run(void *data)
{
    struct member *m = data;

    for (unsigned i = 0; i < m->team->rounds; i++)
        member_round(m);
    return NULL;
}

static void run(struct http_case *c, const char *kinds, unsigned permille)
{
    struct team team = {.c = c, .rounds = 12};
    struct member *members = calloc(THREADS, sizeof(*members));
    pthread_t ids[THREADS];
    char path[16];

    http_case_open(c, "%s/data", "concurrency_start=32", "first_byte_timeout=10s",
                   "stall_timeout=10s", "retry_attempts_max=30", "gap_bytes=1", "gap_bytes_max=1",
                   "hedge=true", "hedge_delay=20ms", NULL);
    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(path, sizeof(path), "/data/o%u", i);
        http_case_put(c, path, i, SIZE);
    }
    if (permille)
        assert_int_equal(server_random(c->server, 1, permille, kinds), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i].team = &team;
        members[i].seed = members[i].index = i;
        assert_int_equal(pthread_create(&ids[i], NULL, member_run, &members[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    free(members);
    assert_int_equal(atomic_load(&team.wrong), 0);
    assert_int_equal(atomic_load(&team.failed), 0);
    assert_true(atomic_load(&team.good) >= THREADS * CHUNKS);
}

static void a_good_server(void **state)
{
    run(*state, NULL, 0);
}

/* What passes is survived by every chunk. */
static void a_failing_server(void **state)
{
    run(*state, "reset,close,slowdown", 40);
    assert_true(api_stats(((struct http_case *)*state)->context).retries > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_server),
        cmocka_unit_test(a_failing_server),
    };

    return http_case_run("threads", tests, COUNT(tests));
}
