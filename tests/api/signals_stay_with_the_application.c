/* SPDX-License-Identifier: MIT */
/*
 * Signals are delivered to the application's threads only: under a storm of them no handler runs on
 * a thread of LSIO, no read fails or is cut short, and the caller's signal mask is as it was.
 *
 * LSIO_ROWS: L18
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <signal.h>
#include <sys/time.h>

static pthread_t application;
static _Atomic int mine, others;

static void handler(int number)
{
    (void)number;
    if (pthread_equal(pthread_self(), application))
        atomic_fetch_add(&mine, 1);
    else
        atomic_fetch_add(&others, 1);
}

static void storm(bool on)
{
    struct itimerval timer = {.it_interval.tv_usec = on ? 500 : 0,
                              .it_value.tv_usec = on ? 500 : 0};
    struct sigaction action = {.sa_handler = on ? handler : SIG_IGN}; /* no SA_RESTART */

    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int busy(struct lsio_call *call)
{
    return api_mismatch(call->in, 0, (uint64_t)call->chunk->offset, call->in_bytes) ==
                   call->in_bytes
               ? 0
               : 1;
}

static void under_a_storm(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(busy, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_object object;
    struct lsio_chunk chunks[400];
    struct lsio_request request = api_request(&object, 1, chunks, 400, NULL);
    uint64_t until;
    uint8_t *dst = malloc(400 * 2000);
    struct lsio_chain *chain;

    api_put(api, "k", 0, MIB);
    application = pthread_self();
    atomic_store(&mine, 0);
    storm(true);
    api_remake(api, NULL, NULL, 0); /* its threads begin under the storm */
    object = api_object(api, "k");
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    for (uint32_t i = 0; i < 400; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 2500, .length = 2000, .dst = dst + i * 2000, .dst_bytes = 2000};
    until = api_now_ms() + 300;
    do {
        struct lsio_batch *batch;
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        assert_int_equal(lsio_read(api->context, api->store, "k", 5, 2000, dst, 2000, NULL), 0);
        api_check(dst, 0, 5, 2000);
    } while (api_now_ms() < until);
    storm(false);
    assert_true(atomic_load(&mine) > 10);
    assert_int_equal(atomic_load(&others), 0);
    free(dst);
}

static void the_mask_is_left_alone(void **state)
{
    struct api *api = *state;
    sigset_t before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    api_remake(api, NULL, NULL, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 1; i < 32; i++)
        assert_int_equal(sigismember(&before, i), sigismember(&after, i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(under_a_storm),
                                       cmocka_unit_test(the_mask_is_left_alone)};

    return api_run_tests("signals_stay_with_the_application", tests, COUNT(tests), API_ALL);
}
