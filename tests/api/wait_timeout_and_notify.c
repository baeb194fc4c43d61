/* SPDX-License-Identifier: MIT */
/*
 * lsio_batch_wait(): a poll and a timeout return -ETIMEDOUT and touch nothing while the batch runs,
 * later 0 and the status, from many threads; on_done has returned by then. lsio_batch_notify(): an
 * eventfd that becomes readable then, also when asked for afterwards, and that the batch closes.
 */
#include "api_fixture.h"

#include <poll.h>
#include <unistd.h>

struct held {
    struct api_gate gate;
    struct lsio_chain *chain;
    struct lsio_batch *batch;
    struct lsio_chunk chunk;
    _Atomic bool done_returned;
    _Atomic int early;
};

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct held *held = data;

    (void)batch;
    (void)status;
    api_sleep_ms(20);
    atomic_store(&held->done_returned, true);
}

static void held_submit(struct api *api, struct held *held, const char *key)
{
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &held->gate);
    struct lsio_object object = api_object(api, key);
    struct lsio_request request = api_request(&object, 1, &held->chunk, 1, NULL);

    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &held->chain), 0);
    held->chunk = (struct lsio_chunk){.length = 10};
    request.chain = held->chain;
    request.on_done = on_done;
    request.data = held;
    assert_int_equal(lsio_submit_batch(api->context, &request, &held->batch), 0);
}

static void timeouts(void **state)
{
    struct api *api = *state;
    struct held held = {{0}};
    int status = 77;
    uint64_t begin;

    api_put(api, "k", 0, 100);
    held_submit(api, &held, "k");
    api_gate_wait(&held.gate, 1);
    assert_int_equal(lsio_batch_wait(held.batch, 0, &status), -ETIMEDOUT);
    begin = api_now_ms();
    assert_int_equal(lsio_batch_wait(held.batch, 50, &status), -ETIMEDOUT);
    assert_between(api_now_ms() - begin, 49, 5000);
    assert_int_equal(status, 77);
    api_gate_open(&held.gate);
    assert_int_equal(lsio_batch_wait(held.batch, LSIO_FOREVER, NULL), 0);
    assert_true(held.done_returned);
    assert_int_equal(lsio_batch_wait(held.batch, 0, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(lsio_batch_destroy(held.batch), 0);
}

static void *waiter(void *data)
{
    struct held *held = data;
    int status = 77;

    if (lsio_batch_wait(held->batch, LSIO_FOREVER - 1, &status) != 0 || status != 0 ||
        !atomic_load(&held->done_returned))
        atomic_fetch_add(&held->early, 1);
    return NULL;
}

static void many_waiters(void **state)
{
    struct api *api = *state;
    struct held held = {{0}};
    pthread_t threads[8];

    api_put(api, "k", 0, 100);
    held_submit(api, &held, "k");
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waiter, &held), 0);
    api_sleep_ms(10);
    api_gate_open(&held.gate);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(held.early, 0);
    assert_int_equal(lsio_batch_destroy(held.batch), 0);
}

static void the_eventfd(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, 100);
    for (int late = 0; late < 2; late++) {
        struct held held = {{0}};
        struct pollfd poll_fd = {.fd = -1, .events = POLLIN};
        int descriptors, again = -1;
        uint64_t value = 0;
        held_submit(api, &held, "k");
        api_gate_wait(&held.gate, 1);
        descriptors = api_descriptors();
        if (late) {
            api_gate_open(&held.gate);
            assert_int_equal(api_wait(held.batch), 0);
        }
        assert_int_equal(lsio_batch_notify(held.batch, &poll_fd.fd), 0);
        assert_int_equal(lsio_batch_notify(held.batch, &again), 0);
        assert_int_equal(again, poll_fd.fd);
        if (!late) {
            assert_int_equal(poll(&poll_fd, 1, 20), 0);
            api_gate_open(&held.gate);
        }
        assert_int_equal(poll(&poll_fd, 1, 30000), 1);
        assert_true(held.done_returned);
        assert_int_equal(lsio_batch_wait(held.batch, 0, NULL), 0);
        assert_int_equal(read(poll_fd.fd, &value, sizeof(value)), sizeof(value));
        assert_int_equal(value, 1);
        assert_int_equal(lsio_batch_destroy(held.batch), 0);
        if (api->kind == API_MEMORY) /* files and connections come and go */
            assert_int_equal(api_descriptors(), descriptors);
    }
}

static void bad_arguments(void **state)
{
    int fd = 77;

    (void)state;
    assert_int_equal(lsio_batch_wait(NULL, 0, NULL), -EINVAL);
    assert_int_equal(lsio_batch_notify(NULL, &fd), -EINVAL);
    assert_int_equal(fd, 77);
    assert_int_equal(lsio_batch_cancel(NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(timeouts), cmocka_unit_test(many_waiters),
                                       cmocka_unit_test(the_eventfd),
                                       cmocka_unit_test(bad_arguments)};

    return api_run_tests("wait_timeout_and_notify", tests, COUNT(tests), API_ALL);
}
