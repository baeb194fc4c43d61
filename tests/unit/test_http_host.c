/* SPDX-License-Identifier: MIT */
/* test_http_host.c - permits, their growth and halving, tokens, back-off. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "between.h"
#include "driver/http/host.h"

#define MS            UINT64_C(1000000)
#define PERMITS_START 8u

/* An env that notes what is posted. */
struct post {
    struct driver_env env;
    unsigned posted;
    struct queue_node *last;
};

static void note_post(struct driver_env *env, struct queue_node *node)
{
    struct post *post = (struct post *)(void *)env;

    post->posted++;
    post->last = node;
}

struct fixture {
    struct http_hosts hosts;
    struct http_host *host;
    struct post post;
};

static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    http_hosts_init(&f.hosts);
    assert_int_equal(http_hosts_get(&f.hosts, "http://localhost/a", PERMITS_START, 32, &f.host), 0);
    f.post.env.post = note_post;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    http_hosts_finish(&f->hosts, false);
    return 0;
}

static void hosts_are_found_again(void **state)
{
    struct fixture *f = *state;
    struct http_host *same, *other;

    assert_int_equal(http_hosts_get(&f->hosts, "http://localhost/a", 8, 32, &same), 0);
    assert_int_equal(http_hosts_get(&f->hosts, "http://localhost/b", 8, 32, &other), 0);
    assert_ptr_equal(same, f->host);
    assert_ptr_not_equal(other, f->host);
}

/* One permit is given back, and the `posted`th post hands it to `next`. */
static void hand_on(struct fixture *f, unsigned posted, const struct http_permit *next)
{
    http_host_release(f->host, HTTP_OUTCOME_OTHER, NULL, 0);
    assert_int_equal(f->post.posted, posted);
    assert_ptr_equal(f->post.last, &next->node);
}

/* Three come to wait, of whom the second leaves: from the middle of the queue, or early, from its
 * end. Whoever comes behind it is not forgotten. */
static void wait_and_leave(struct fixture *f, struct http_permit *waiting, bool early)
{
    for (unsigned i = 0; i < 3; i++)
        waiting[i] = (struct http_permit){.env = &f->post.env};
    for (unsigned i = 0; i < PERMITS_START; i++)
        assert_true(http_host_acquire(f->host, &waiting[0]));
    assert_false(http_host_acquire(f->host, &waiting[0]));
    assert_false(http_host_acquire(f->host, &waiting[1]));
    if (early)
        assert_true(http_host_withdraw(f->host, &waiting[1]));
    assert_false(http_host_acquire(f->host, &waiting[2]));
    if (!early)
        assert_true(http_host_withdraw(f->host, &waiting[1]));
}

static void permits_are_bounded_and_handed_on_in_order(void **state)
{
    struct fixture *f = *state;
    struct http_permit waiting[3];

    wait_and_leave(f, waiting, false);
    assert_false(http_host_withdraw(f->host, &waiting[1]));
    hand_on(f, 1, &waiting[0]);
    assert_false(http_host_withdraw(f->host, &waiting[0])); /* it has a permit */
    hand_on(f, 2, &waiting[2]);
    http_host_release(f->host, HTTP_OUTCOME_OTHER, NULL, 0);
    assert_int_equal(f->post.posted, 2);
    assert_int_equal(f->host->used, PERMITS_START - 1);
}

static void the_end_of_the_queue_may_leave(void **state)
{
    struct fixture *f = *state;
    struct http_permit waiting[3];

    wait_and_leave(f, waiting, true);
    hand_on(f, 1, &waiting[0]);
    hand_on(f, 2, &waiting[2]);
}

static void release(struct fixture *f, enum http_outcome outcome, uint64_t first_byte, uint64_t now)
{
    struct http_permit permit = {.env = &f->post.env};
    struct http_seen seen = {.first_byte_ns = first_byte};

    assert_true(http_host_acquire(f->host, &permit));
    http_host_release(f->host, outcome, &seen, now);
}

static void the_limit_follows_the_server(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 8; i++)
        release(f, HTTP_OUTCOME_OK, 10 * MS, i);
    assert_int_equal(f->host->limit, 9);
    for (unsigned i = 0; i < 9; i++)
        release(f, HTTP_OUTCOME_OK, 10 * MS, i);
    assert_int_equal(f->host->limit, 10);
    for (unsigned i = 0; i < 100; i++) /* it queues: no growth */
        release(f, HTTP_OUTCOME_OK, 41 * MS, i);
    assert_int_equal(f->host->limit, 10);
    release(f, HTTP_OUTCOME_THROTTLED, 0, 1000 * MS);
    assert_int_equal(f->host->limit, 5);
    release(f, HTTP_OUTCOME_THROTTLED, 0, 1050 * MS); /* sent before: counts once */
    assert_int_equal(f->host->limit, 5);
    for (unsigned i = 2; i < 8; i++)
        release(f, HTTP_OUTCOME_THROTTLED, 0, i * 1000 * MS);
    assert_int_equal(f->host->limit, 1); /* never none */
    for (unsigned i = 0; i < 32 * 33; i++)
        release(f, HTTP_OUTCOME_OK, 10 * MS, i);
    assert_int_equal(f->host->limit, 32); /* the ceiling */
}

/* Releases one of the permits in use and takes all that there are then. */
static void keep_busy(struct fixture *f, struct http_permit *permits, uint32_t *used,
                      uint64_t first_byte)
{
    struct http_seen seen = {.first_byte_ns = first_byte};

    http_host_release(f->host, HTTP_OUTCOME_OK, &seen, 1);
    (*used)--;
    while (f->host->used < f->host->limit) {
        permits[*used] = (struct http_permit){.env = &f->post.env};
        assert_true(http_host_acquire(f->host, &permits[(*used)++]));
    }
}

/* In use to its limit, a host that has not yet been slow is given one more for each success. */
static void the_limit_is_found_quickly(void **state)
{
    struct fixture *f = *state;
    struct http_permit permits[33];
    uint32_t used = 0;

    while (used < 8) {
        permits[used] = (struct http_permit){.env = &f->post.env};
        assert_true(http_host_acquire(f->host, &permits[used++]));
    }
    for (unsigned i = 0; i < 8; i++)
        keep_busy(f, permits, &used, 10 * MS);
    assert_int_equal(f->host->limit, 16);
    keep_busy(f, permits, &used, 41 * MS); /* it queues: from here on a round of successes each */
    for (unsigned i = 0; i < 15; i++)
        keep_busy(f, permits, &used, 10 * MS);
    assert_between(f->host->limit, 16, 17);
    for (unsigned i = 0; i < 17; i++)
        keep_busy(f, permits, &used, 10 * MS);
    assert_between(f->host->limit, 17, 18);
    while (used) {
        http_host_release(f->host, HTTP_OUTCOME_OK, NULL, 1);
        used--;
    }
}

static void retries_cost_and_successes_pay(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < HTTP_RETRY_TOKENS / HTTP_RETRY_COST; i++)
        assert_true(http_host_retry(f->host));
    assert_false(http_host_retry(f->host));
    for (unsigned i = 0; i < HTTP_RETRY_COST - 1; i++)
        release(f, HTTP_OUTCOME_OK, MS, i);
    assert_false(http_host_retry(f->host));
    release(f, HTTP_OUTCOME_OK, MS, 9);
    assert_true(http_host_retry(f->host));
    assert_false(http_host_retry(f->host));
}

static void hedges_are_few(void **state)
{
    struct fixture *f = *state;
    unsigned hedges = 0;

    for (unsigned i = 0; i < 1000; i++) {
        release(f, HTTP_OUTCOME_OK, MS, i);
        hedges += http_host_hedge(f->host, 5);
    }
    assert_int_equal(hedges, 50);
}

static void quantiles_need_samples(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 1; i < 8; i++)
        release(f, HTTP_OUTCOME_OK, i * MS, i);
    assert_int_equal(http_host_first_byte(f->host, 50), 0);
    for (unsigned i = 8; i <= 101; i++)
        release(f, HTTP_OUTCOME_OK, i * MS, i);
    /* the last 64: 38 .. 101 */
    assert_int_equal(http_host_first_byte(f->host, 0), 38 * MS);
    assert_int_equal(http_host_first_byte(f->host, 50), 69 * MS);
    assert_int_equal(http_host_first_byte(f->host, 100), 101 * MS);
}

static void release_body(struct fixture *f, enum http_outcome outcome, struct http_seen seen)
{
    assert_true(http_host_try(f->host));
    http_host_release(f->host, outcome, &seen, 0);
}

/* Medians; short bodies and such as took no time tell nothing of a stream. */
static void answers_are_measured(void **state)
{
    struct fixture *f = *state;
    struct plan_measured measured;

    http_host_measured(f->host, &measured);
    assert_int_equal(measured.latency_count, 0);
    assert_int_equal(measured.stream_count, 0);
    assert_int_equal(measured.latency_ns, 0);
    assert_int_equal(measured.stream_bytes_per_second, 0);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t kib = i % 2 ? 255 : 256; /* 10 ms; 40 ms for each third long one */
        release_body(f, HTTP_OUTCOME_OK,
                     (struct http_seen){.first_byte_ns = i % 3 ? 20 * MS : 90 * MS,
                                        .body_bytes = kib << 10,
                                        .body_ns = i % 3 ? 10 * MS : 40 * MS});
    }
    release_body(f, HTTP_OUTCOME_OK, (struct http_seen){.body_bytes = 1 << 30});
    release_body(f, HTTP_OUTCOME_OTHER, (struct http_seen){.first_byte_ns = 0});
    assert_true(http_host_try(f->host));
    http_host_release(f->host, HTTP_OUTCOME_OTHER, NULL, 0);
    http_host_measured(f->host, &measured);
    assert_int_equal(measured.latency_count, 64);
    assert_int_equal(measured.stream_count, 50);
    assert_int_equal(measured.latency_ns, 20 * MS);
    assert_int_equal(measured.stream_bytes_per_second, 26214400); /* 256 KiB in 10 ms */
    assert_false(measured.throttled);
    release(f, HTTP_OUTCOME_THROTTLED, 0, 1);
    http_host_measured(f->host, &measured);
    assert_true(measured.throttled);
}

/* Permits of all hosts; measurements of the one that is asked most. */
static void usage_is_of_all_hosts(void **state)
{
    struct fixture *f = *state;
    struct driver_usage usage = {.limit = 100, .used = 10};
    struct http_permit permit = {.env = &f->post.env};
    struct http_host *other;

    assert_int_equal(http_hosts_get(&f->hosts, "http://localhost/b", 2, 32, &other), 0);
    assert_true(http_host_acquire(other, &permit));
    http_host_release(other, HTTP_OUTCOME_OK, &(struct http_seen){.first_byte_ns = 5 * MS}, 0);
    for (unsigned i = 0; i < 3; i++)
        release(f, HTTP_OUTCOME_OK, 7 * MS, i);
    assert_true(http_host_acquire(f->host, &permit));
    http_hosts_usage(&f->hosts, &usage);
    assert_int_equal(usage.limit, 100 + PERMITS_START + 2);
    assert_int_equal(usage.used, 11);
    assert_int_equal(usage.requests, 4);
    assert_int_equal(usage.measured.latency_ns, 7 * MS);
}

static void back_off_is_within_its_bounds(void **state)
{
    uint64_t last = 0, most = 0, least = UINT64_MAX;

    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t next =
            http_backoff_ns(100 * MS, 20000 * MS, last, i * UINT64_C(0x9e3779b97f4a7c15));
        uint64_t bound = 3 * (last < 100 * MS ? 100 * MS : last);

        assert_true(next >= 100 * MS && next <= 20000 * MS);
        assert_true(next <= bound);
        most = next > most ? next : most;
        least = next < least ? next : least;
        last = i % 20 ? next : 0;
    }
    assert_true(most > 15000 * MS); /* the range is used */
    assert_true(least < 110 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hosts_are_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(permits_are_bounded_and_handed_on_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_queue_may_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_follows_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_is_found_quickly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(retries_cost_and_successes_pay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hedges_are_few, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quantiles_need_samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_are_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(usage_is_of_all_hosts, set_up, tear_down),
        cmocka_unit_test(back_off_is_within_its_bounds),
    };

    return cmocka_run_group_tests_name("http host", tests, NULL, NULL);
}
