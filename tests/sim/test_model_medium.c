/* SPDX-License-Identifier: MIT */
/* The model's arithmetic: times that can be worked out by hand, and the search for the bound. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "between.h"
#include "model_bound.h"
#include "model_medium.h"

#define MS          UINT64_C(1000000)
#define BEGIN_NS    UINT64_C(77)
#define REQUEST_MAX 8u

static struct model_medium medium;
static struct model_request requests[REQUEST_MAX];
static uint64_t ended_ns[REQUEST_MAX];

/* 10 ms, then 1000 bytes per ms and connection; no limits that matter. */
static struct model_config easy(void)
{
    return (struct model_config){
        .latency_ns = 10 * MS,
        .stream_bytes_per_second = 1000000,
        .line_bytes_per_second = 1000000000,
        .connections = REQUEST_MAX,
    };
}

/* Begins `count` requests at once, and looks at each when it was told to: fills ended_ns. No look
 * may come too late, and none may be needed without end. */
static void run(const struct model_config *config, const uint64_t *bytes, uint32_t count)
{
    uint64_t look_ns[REQUEST_MAX];
    uint32_t left = count, looks = 0;

    model_medium_init(&medium, config, BEGIN_NS);
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = (struct model_request){.place = requests[i].place, .bytes = bytes[i]};
        model_medium_begin(&medium, &requests[i], BEGIN_NS);
        look_ns[i] = BEGIN_NS;
    }
    for (; left > 0; looks++) {
        uint32_t next = 0;
        uint64_t now_ns;

        for (uint32_t i = 1; i < count; i++)
            next = look_ns[i] < look_ns[next] ? i : next;
        now_ns = look_ns[next];
        look_ns[next] = model_medium_look(&medium, &requests[next], now_ns);
        if (look_ns[next] == 0) {
            ended_ns[next] = now_ns - BEGIN_NS;
            look_ns[next] = UINT64_MAX;
            left--;
        } else {
            assert_true(look_ns[next] > now_ns);
        }
        assert_true(looks < 1000);
    }
}

static void expect_ms(uint32_t request, double ms)
{
    double found = (double)ended_ns[request] / 1e6;

    if (fabs(found - ms) > 1e-4)
        fail_msg("request %u ended after %.6f ms, not after %.6f ms", request, found, ms);
}

static void a_request_alone(void **unused)
{
    const struct model_config config = easy();
    const uint64_t bytes[] = {5000, 0};

    (void)unused;
    run(&config, bytes, 2);
    expect_ms(0, 15);
    expect_ms(1, 10); /* a probe waits, too */
}

/* The line carries as much as two connections: 4 x 4000 bytes take 8 ms; a fifth, longer one then
 * has its connection's speed for its last 4000 bytes. */
static void the_line_is_shared_fairly(void **unused)
{
    struct model_config config = easy();
    const uint64_t bytes[] = {4000, 4000, 4000, 4000, 8000};

    (void)unused;
    config.line_bytes_per_second = 2000000;
    run(&config, bytes, 4);
    for (uint32_t i = 0; i < 4; i++)
        expect_ms(i, 18);
    run(&config, bytes, 5);
    for (uint32_t i = 0; i < 4; i++)
        expect_ms(i, 20);
    expect_ms(4, 24);
}

static void requests_queue_for_connections(void **unused)
{
    struct model_config config = easy();
    const uint64_t bytes[] = {1000, 3000, 1000, 1000, 1000};

    (void)unused;
    config.connections = 2;
    run(&config, bytes, 5);
    expect_ms(0, 11);
    expect_ms(1, 13);
    expect_ms(2, 22); /* on the connection of the first ... */
    expect_ms(3, 24);
    expect_ms(4, 33);
    assert_int_equal(medium.busy_max, 2);
    assert_int_equal(medium.requests, 5);
    assert_int_equal(medium.bytes, 7000);
}

static void requests_take_turns(void **unused)
{
    struct model_config config = easy();
    const uint64_t bytes[] = {1000, 1000, 1000};

    (void)unused;
    config.requests_per_second = 500;
    run(&config, bytes, 3);
    expect_ms(0, 11);
    expect_ms(1, 13);
    expect_ms(2, 15);
}

static void latency_is_spread_evenly(void **unused)
{
    struct model_config config = easy();
    const uint64_t bytes[REQUEST_MAX] = {0};
    double sum = 0;

    (void)unused;
    config.latency_spread_ns = 5 * MS;
    run(&config, bytes, REQUEST_MAX);
    for (uint32_t i = 0; i < REQUEST_MAX; i++) {
        assert_between(ended_ns[i], 5 * MS, 15 * MS);
        sum += (double)ended_ns[i] / 1e6;
    }
    assert_true(sum / REQUEST_MAX > 7 && sum / REQUEST_MAX < 13);
    assert_true(ended_ns[0] != ended_ns[1]);
}

/* An arm: no way at all, a third of the medium, back to where it was, and a little ahead, which the
 * platter turns by faster than an arm can move. */
static void an_arm_takes_its_way(void **unused)
{
    struct model_config config = easy();
    const uint64_t bytes[] = {1000, 1000, 1000, 1000};

    (void)unused;
    config.connections = 1;
    config.settle_ns = 1 * MS;
    config.span_bytes = 3000000;
    requests[0].place = 0;
    requests[1].place = 1001000;
    requests[2].place = 2000;
    requests[3].place = 3100;
    run(&config, bytes, 4);
    expect_ms(0, 1);
    expect_ms(1, 1 + 10 + 1);
    expect_ms(2, 12 + 10 + 1);
    expect_ms(3, 23 + 0.1 + 1);
    memset(requests, 0, sizeof(requests));
}

static void a_dropped_request_frees_its_connection(void **unused)
{
    struct model_config config = easy();

    (void)unused;
    config.connections = 1;
    model_medium_init(&medium, &config, BEGIN_NS);
    for (uint32_t i = 0; i < 4; i++) {
        requests[i] = (struct model_request){.bytes = 1000};
        model_medium_begin(&medium, &requests[i], BEGIN_NS);
    }
    model_medium_drop(&medium, &requests[3], BEGIN_NS); /* last of the queue */
    model_medium_drop(&medium, &requests[1], BEGIN_NS);
    model_medium_drop(&medium, &requests[0], BEGIN_NS + 2 * MS);
    assert_true(model_medium_look(&medium, &requests[2], BEGIN_NS + 12 * MS) != 0);
    assert_true(model_medium_look(&medium, &requests[2], BEGIN_NS + 13 * MS) == 0);
    assert_int_equal(medium.busy_count, 0);
    assert_null(medium.queue);
}

/* Four ranges of 1000 bytes, 1000 apart. */
static void the_bound_is_the_best_set(void **unused)
{
    static const struct model_range ranges[] = {
        {0, 1000}, {2000, 1000}, {4000, 1000}, {6000, 1000}};
    struct model_config config = easy();
    struct model_bound bound = model_bound_find(&config, ranges, 4, 0);

    (void)unused;
    assert_true(fabs(bound.seconds - (0.010 + 2 * 0.013 / 8)) < 1e-9); /* in pairs */
    assert_int_equal(bound.requests, 2);
    config.connections = 1;
    bound = model_bound_find(&config, ranges, 4, 0); /* all as one */
    assert_true(fabs(bound.seconds - (0.010 + 0.017)) < 1e-9);
    assert_int_equal(bound.requests, 1);
    config.connections = 8;
    config.requests_per_second = 50;
    bound = model_bound_find(&config, ranges, 4, 0); /* a turn each 20 ms */
    assert_true(fabs(bound.seconds - (0.010 + 0.020)) < 1e-9);
    assert_int_equal(bound.requests, 1);
    config.requests_per_second = 0;
    bound = model_bound_find(&config, ranges, 4, 1000); /* one after another */
    assert_true(fabs(bound.seconds - (0.010 + 4 * 0.011)) < 1e-9);
    assert_int_equal(bound.requests, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_alone),
        cmocka_unit_test(the_line_is_shared_fairly),
        cmocka_unit_test(requests_queue_for_connections),
        cmocka_unit_test(requests_take_turns),
        cmocka_unit_test(latency_is_spread_evenly),
        cmocka_unit_test(an_arm_takes_its_way),
        cmocka_unit_test(a_dropped_request_frees_its_connection),
        cmocka_unit_test(the_bound_is_the_best_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
