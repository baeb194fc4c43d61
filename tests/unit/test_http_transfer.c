/* SPDX-License-Identifier: MIT */
/*
 * transfer.c and read.c over a scripted transport, a controlled loop and a clock that the test
 * moves: resumption, pauses and limits, the race of a hedge, cancellation in each state; and that
 * every end gives the permits back.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "between.h"
#include "driver/http/http.h"
#include "driver/http/transfer.h"
#include "driver_rig.h"
#include "http_script_transport.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

enum { SIZE = 1000 };

static const char whole[] = "Content-Range: bytes 0-999/1000\r\nContent-Length: 1000\r\n"
                            "ETag: \"v1\"\r\n";

static uint64_t clock_ns;

static uint64_t clock_now(void)
{
    return clock_ns;
}

struct fixture {
    struct loop_os os;
    struct rig rig;
    struct http_state *state;
    struct lsio_store *store;
    struct driver_object object;
    struct rig_read read;
    uint8_t bytes[SIZE];  /* of the object */
    uint8_t memory[SIZE]; /* where the read goes */
};

static struct http_host *host_of(struct fixture *f)
{
    return http_store_of(f->store)->host;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    clock_ns = 1000 * S;
    script_begin();
    f->os = loop_os_linux;
    f->os.now_ns = clock_now;
    rig_init(&f->rig, "controlled", &f->os, &driver_http);
    assert_int_equal(http_state_create(&transport_script, 1, &f->state), 0);
    for (int i = 0; i < SIZE; i++)
        f->bytes[i] = rig_pattern(1, (uint64_t)i);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(host_of(f)->used, 0);
    rig_leave(&f->rig, f->state);
    f->rig.driver->finish_object(&f->object);
    f->rig.driver->store_close(f->store, false);
    rig_finish(&f->rig);
    f->rig.driver->state_destroy(f->state, false);
    free(f);
    return 0;
}

/* Opens the store and begins to read the whole object. */
static void begin(struct fixture *f, const char *one, const char *two)
{
    assert_int_equal(rig_store_open(&f->rig, f->state, "http://127.0.0.1:1/data", &f->store,
                                    "proxy_url=", one, one ? two : NULL, NULL),
                     0);
    rig_object_init(&f->object, f->store, "k");
    rig_read_init(&f->read, &f->object, 0, SIZE, f->memory);
    rig_begin(&f->rig, &f->read);
    rig_turn(&f->rig);
}

/* Lets the time pass, in steps in which every timer has its chance. */
static void pass(struct fixture *f, uint64_t ns)
{
    for (uint64_t end = clock_ns + ns; clock_ns < end;) {
        clock_ns += end - clock_ns < 5 * MS ? end - clock_ns : 5 * MS;
        rig_turn(&f->rig);
        rig_turn(&f->rig);
    }
}

/* Until one more request has been made than `count`. */
static void pass_until(struct fixture *f, unsigned count)
{
    for (int i = 0; i < 1000000 && script_count() <= count && !f->read.completions; i++)
        pass(f, 5 * MS);
}

static void ends(struct fixture *f, int status)
{
    for (int i = 0; i < 4; i++)
        rig_turn(&f->rig);
    assert_int_equal(f->read.completions, 1);
    assert_int_equal(f->read.read.status, status);
    if (!status)
        assert_memory_equal(f->memory, f->bytes, SIZE);
    assert_int_equal(host_of(f)->used, 0);
}

static void serve_from(struct fixture *f, unsigned index, unsigned from)
{
    char lines[128];

    snprintf(lines, sizeof(lines), "Content-Range: bytes %u-999/1000\r\nETag: \"v1\"\r\n", from);
    assert_int_equal(script_head(index, 206, lines), 0);
    assert_int_equal(script_body(index, f->bytes + from, SIZE - from), SIZE - from);
    script_end(index, TRANSPORT_OK, false);
}

/* ------------------------------------------------------------------------------ resumption -- */

static void whole_at_once(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_string_equal(script_target(0), "/data/k");
    assert_string_equal(script_header(0, "range"), "bytes=0-999");
    assert_int_equal(host_of(f)->used, 1);
    serve_from(f, 0, 0);
    ends(f, 0);
    assert_int_equal(script_count(), 1);
}

static void resumed_with_the_validator(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, whole), 0);
    assert_int_equal(script_body(0, f->bytes, 300), 300);
    script_end(0, TRANSPORT_RESET, false);
    assert_int_equal(host_of(f)->used, 0); /* while it sleeps, others may go */
    assert_int_equal(host_of(f)->retry_tokens, HTTP_RETRY_TOKENS - HTTP_RETRY_COST);
    pass(f, 99 * MS);
    assert_int_equal(script_count(), 1);
    pass_until(f, 1);
    assert_string_equal(script_header(1, "range"), "bytes=300-999");
    assert_string_equal(script_header(1, "if-match"), "\"v1\"");
    serve_from(f, 1, 300);
    ends(f, 0);
    assert_int_equal(f->rig.env.retries, 1);
    assert_int_equal(host_of(f)->retry_tokens, HTTP_RETRY_TOKENS - HTTP_RETRY_COST + 1);
}

static void another_version_is_refused(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, whole), 0);
    assert_int_equal(script_body(0, f->bytes, 300), 300);
    script_end(0, TRANSPORT_RESET, false);
    pass_until(f, 1);
    assert_int_not_equal(
        script_head(1, 206, "Content-Range: bytes 300-999/1000\r\nETag: \"v2\"\r\n"), 0);
    script_end(1, TRANSPORT_STOPPED, false);
    ends(f, LSIO_E_CHANGED);
}

static void no_byte_beyond_the_last(void **state)
{
    struct fixture *f = *state;
    uint8_t more[SIZE + 1] = {0};

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, "Content-Range: bytes 0-999/1000\r\n"), 0);
    memcpy(more, f->bytes, SIZE);
    assert_int_equal(script_body(0, more, SIZE + 1), SIZE);
    script_end(0, TRANSPORT_OVERLONG, false);
    ends(f, LSIO_E_PROTOCOL);
}

/* All that was asked for has come, and then the answer breaks off: in the last chunk of its
 * framing, or in what else a server without ranges sends. Nothing is asked for again. */
static void ends_without_its_end(struct fixture *f, enum transport_error error)
{
    script_end(0, error, false);
    pass(f, S);
    ends(f, 0);
    assert_int_equal(script_count(), 1);
    assert_int_equal(f->rig.env.retries, 0);
}

static void the_end_of_the_answer_is_lost(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, "Content-Range: bytes 0-999/1000\r\n"), 0);
    assert_int_equal(script_body(0, f->bytes, SIZE), SIZE);
    ends_without_its_end(f, TRANSPORT_RESET);
}

static void the_end_of_the_answer_is_garbled(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, "Content-Range: bytes 0-999/1000\r\n"), 0);
    assert_int_equal(script_body(0, f->bytes, SIZE), SIZE);
    ends_without_its_end(f, TRANSPORT_PROTOCOL);
}

static void the_end_of_the_answer_stands_still(void **state)
{
    struct fixture *f = *state;

    begin(f, "stall_timeout=1s", NULL);
    assert_int_equal(script_head(0, 206, "Content-Range: bytes 0-999/1000\r\n"), 0);
    assert_int_equal(script_body(0, f->bytes, SIZE), SIZE);
    pass(f, 2 * S);
    assert_true(script_aborted(0));
    ends(f, 0);
    assert_int_equal(script_count(), 1);
}

static void unwanted_bytes_are_lost(void **state)
{
    struct fixture *f = *state;
    uint8_t more[SIZE] = {0};

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 200, "Content-Length: 5000\r\n"), 0);
    assert_int_equal(script_body(0, f->bytes, SIZE), SIZE);
    assert_int_equal(script_body(0, more, SIZE), SIZE);
    ends_without_its_end(f, TRANSPORT_RESET);
}

/* What an answer said that was got over is not what is wrong with a later one. */
static void errors_got_over_are_forgotten(void **state)
{
    struct fixture *f = *state;
    static const char busy[] =
        "<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>";

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 503, ""), 0);
    (void)script_body(0, busy, sizeof(busy) - 1);
    script_end(0, TRANSPORT_OK, false);
    pass_until(f, 1);
    assert_int_equal(script_head(1, 206, "Content-Range: bytes 0-799/800\r\n"), 0);
    (void)script_body(1, f->bytes, 800);
    script_end(1, TRANSPORT_OK, false);
    ends(f, LSIO_E_TRUNCATED);
    assert_int_equal(f->read.read.code, 0);
}

/* A connection that was closed while it idled: no attempt, no token, but only once. */
static void idle_connection_closed(void **state)
{
    struct fixture *f = *state;

    begin(f, "retry_attempts_max=1", NULL);
    script_end(0, TRANSPORT_RESET, true);
    assert_int_equal(script_count(), 2); /* at once */
    assert_int_equal(host_of(f)->retry_tokens, HTTP_RETRY_TOKENS);
    script_end(1, TRANSPORT_RESET, true);
    ends(f, -ECONNRESET);
    assert_int_equal(script_count(), 2);
}

static void errors_that_are_not_tried_again(void **state)
{
    static const struct {
        enum transport_error error;
        int status;
        unsigned requests;
    } rows[] = {{TRANSPORT_TLS, LSIO_E_TLS, 1},           {TRANSPORT_MEMORY, -ENOMEM, 1},
                {TRANSPORT_PROTOCOL, LSIO_E_PROTOCOL, 2}, {TRANSPORT_RESOLVE, -EHOSTUNREACH, 2},
                {TRANSPORT_CONNECT, -ECONNREFUSED, 4},    {TRANSPORT_SOCKETS, -EMFILE, 4},
                {TRANSPORT_SLOW, -ETIMEDOUT, 4}};
    struct fixture *f = *state;

    begin(f, "retry_attempts_max=4", NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned before = script_count() - 1;
        while (!f->read.completions) {
            script_end(script_count() - 1, rows[i].error, false);
            pass_until(f, script_count());
        }
        assert_int_equal(script_count() - before, rows[i].requests);
        ends(f, rows[i].status);
        rig_begin(&f->rig, &f->read);
    }
    rig_turn(&f->rig);
    serve_from(f, script_count() - 1, 0);
    ends(f, 0);
}

/* ---------------------------------------------------------------------------------- pauses -- */

static void retry_after(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 503, "Retry-After: 7\r\n"), 0);
    script_end(0, TRANSPORT_OK, false);
    assert_int_equal(host_of(f)->throttled, 1);
    assert_int_equal(host_of(f)->limit, 4); /* of 8 */
    pass(f, 7 * S - 5 * MS);
    assert_int_equal(script_count(), 1);
    pass(f, 10 * MS);
    assert_int_equal(script_count(), 2);
    assert_int_equal(script_head(1, 429, "Retry-After: 3600\r\n"), 0);
    script_end(1, TRANSPORT_OK, false);
    pass(f, 60 * S - 5 * MS); /* a minute at most */
    assert_int_equal(script_count(), 2);
    pass(f, 10 * MS);
    serve_from(f, 2, 0);
    ends(f, 0);
}

/* No attempt begins later than retry_timeout after the first. */
static void the_time_is_limited(void **state)
{
    struct fixture *f = *state;
    uint64_t began, last;

    begin(f, "retry_attempts_max=1000", NULL);
    began = last = clock_ns;
    while (!f->read.completions) {
        last = clock_ns;
        assert_int_equal(script_head(script_count() - 1, 500, ""), 0);
        script_end(script_count() - 1, TRANSPORT_OK, false);
        pass_until(f, script_count());
    }
    ends(f, LSIO_E_HTTP);
    assert_true(last - began >= 180 * S);
    assert_true(last - began <= 201 * S); /* it may sleep 20 s at the end */
    assert_between(script_count(), 10, 90);
}

/* ---------------------------------------------------------------------------------- clocks -- */

static void stalls(void **state)
{
    struct fixture *f = *state;

    begin(f, "stall_timeout=8s", "first_byte_timeout=20s");
    pass(f, 19 * S);
    assert_false(script_aborted(0));
    pass(f, 3 * S);
    assert_true(script_aborted(0)); /* no head within 20 s */
    pass_until(f, 1);
    assert_int_equal(script_head(1, 206, whole), 0);
    assert_int_equal(script_body(1, f->bytes, 100), 100);
    pass(f, 7 * S);
    assert_false(script_aborted(1));
    pass(f, 4 * S);
    assert_true(script_aborted(1)); /* nothing more within 8 s */
    pass_until(f, 2);
    assert_string_equal(script_header(2, "range"), "bytes=100-999");
    serve_from(f, 2, 100);
    ends(f, 0);
}

/* Time goes on while requests of another store, which is looked at more often, come and go. */
static void a_busy_store_hides_no_stall(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *busy;
    struct driver_object object = {0};
    struct rig_read read;
    uint8_t memory[SIZE];
    uint64_t began;

    begin(f, "first_byte_timeout=8s", "retry_attempts_max=1");
    assert_int_equal(rig_store_open(&f->rig, f->state, "http://127.0.0.1:2/data", &busy,
                                    "proxy_url=", "first_byte_timeout=100ms", NULL),
                     0);
    rig_object_init(&object, busy, "k");
    for (began = clock_ns; !script_aborted(0) && clock_ns - began < 100 * S;) {
        unsigned at = script_count();
        rig_read_init(&read, &object, 0, SIZE, memory);
        rig_begin(&f->rig, &read);
        serve_from(f, at, 0);
        pass(f, S);
        assert_int_equal(read.completions, 1);
    }
    assert_true(clock_ns - began <= 11 * S);
    ends(f, -ETIMEDOUT);
    f->rig.driver->finish_object(&object);
    f->rig.driver->store_close(busy, false);
}

/* ---------------------------------------------------------------------------------- hedges -- */

/* A tick that was set for slower stores comes just after a request has begun. */
static void time_before_the_request_does_not_count(void **state)
{
    struct fixture *f = *state;

    begin(f, "first_byte_timeout=1s", NULL);
    clock_ns += 10 * MS;
    transfer_tick(f->state->workers[0], 2 * S);
    assert_false(script_aborted(0));
    pass(f, 1100 * MS);
    assert_true(script_aborted(0));
    pass_until(f, 1);
    serve_from(f, 1, 0);
    ends(f, 0);
}

/* A late first answer: both requests are in flight, each with a permit. */
static void begin_hedged(struct fixture *f)
{
    begin(f, "hedge=true", "hedge_delay=30ms");
    host_of(f)->requests = 1000; /* of which few have been hedged */
    pass(f, 25 * MS);
    assert_int_equal(script_count(), 1);
    pass(f, 20 * MS);
    assert_int_equal(script_count(), 2);
    assert_int_equal(host_of(f)->used, 2);
    assert_string_equal(script_header(1, "range"), "bytes=0-999");
}

static void the_first_head_wins(struct fixture *f, unsigned winner)
{
    unsigned loser = 1 - winner;

    begin_hedged(f);
    assert_int_equal(script_head(winner, 206, whole), 0);
    assert_true(script_aborted(loser));
    assert_int_not_equal(script_head(loser, 206, whole), 0); /* it crossed the abort */
    rig_turn(&f->rig);
    assert_false(script_runs(loser));
    assert_int_equal(script_body(winner, f->bytes, SIZE), SIZE);
    script_end(winner, TRANSPORT_OK, false);
    ends(f, 0);
    assert_int_equal(script_count(), 2);
    assert_int_equal(f->rig.env.retries, 0);
}

static void the_hedge_wins(void **state)
{
    the_first_head_wins(*state, 1);
}

static void the_hedge_loses(void **state)
{
    the_first_head_wins(*state, 0);
}

/* An error, or a connection that ends, leaves the race to the other. */
static void one_of_two_fails(void **state)
{
    struct fixture *f = *state;

    begin_hedged(f);
    assert_int_not_equal(script_head(0, 503, ""), 0);
    script_end(0, TRANSPORT_STOPPED, false);
    assert_int_equal(f->read.completions, 0);
    assert_int_equal(host_of(f)->used, 2); /* the read's own, and the hedge's */
    serve_from(f, 1, 0);
    ends(f, 0);
}

/* The second error comes before the request that brought the first has ended: nothing better is to
 * come, so it counts. */
static void both_answers_are_errors(void **state)
{
    struct fixture *f = *state;

    begin_hedged(f);
    assert_int_not_equal(script_head(0, 404, ""), 0);
    assert_int_equal(script_head(1, 404, ""), 0);
    rig_turn(&f->rig);
    assert_false(script_runs(0));
    script_end(1, TRANSPORT_OK, false);
    ends(f, -ENOENT);
    assert_int_equal(script_count(), 2);
}

/* What became of the other request counts, even if that one ends first. */
static void an_error_and_a_reset(void **state)
{
    struct fixture *f = *state;

    begin_hedged(f);
    host_of(f)->retry_tokens = 0;
    assert_int_not_equal(script_head(1, 404, ""), 0);
    script_end(0, TRANSPORT_RESET, false);
    script_end(1, TRANSPORT_STOPPED, false);
    ends(f, -ECONNRESET);
}

static void both_fail(void **state)
{
    struct fixture *f = *state;

    begin_hedged(f);
    script_end(1, TRANSPORT_RESET, false);
    assert_int_equal(host_of(f)->used, 1);
    script_end(0, TRANSPORT_RESET, false);
    assert_int_equal(host_of(f)->used, 0);
    pass_until(f, 2);
    serve_from(f, 2, 0);
    ends(f, 0);
}

static void no_permit_no_hedge(void **state)
{
    struct fixture *f = *state;

    begin(f, "hedge=true", "hedge_delay=30ms");
    host_of(f)->requests = 1000;
    host_of(f)->limit = 1;
    pass(f, 500 * MS);
    assert_int_equal(script_count(), 1);
    assert_int_equal(host_of(f)->hedges, 0);
    serve_from(f, 0, 0);
    ends(f, 0);
}

/* ------------------------------------------------------------------------------- canceling -- */

static void canceled(struct fixture *f)
{
    rig_cancel(&f->read);
    ends(f, -ECANCELED);
    assert_int_equal(f->rig.env.background - f->state->workers[0]->clock_armed, 0);
}

static void canceled_before_the_head(void **state)
{
    begin(*state, NULL, NULL);
    canceled(*state);
}

static void canceled_in_the_body(void **state)
{
    struct fixture *f = *state;
    uint64_t room = 1;

    begin(f, NULL, NULL);
    assert_int_equal(script_head(0, 206, whole), 0);
    assert_int_equal(script_body(0, f->bytes, 300), 300);
    rig_cancel(&f->read);
    room = script_body(0, f->bytes + 300, 10); /* what crosses the abort goes nowhere */
    assert_int_equal(room, 0);
    ends(f, -ECANCELED);
    assert_memory_equal(f->memory, f->bytes, 300);
    assert_int_equal(f->memory[300], 0);
}

static void canceled_while_sleeping(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL, NULL);
    script_end(0, TRANSPORT_RESET, false);
    canceled(f);
    pass(f, S);
    assert_int_equal(script_count(), 1);
}

static void canceled_with_a_hedge(void **state)
{
    begin_hedged(*state);
    canceled(*state);
}

static void canceled_while_queued(void **state)
{
    struct fixture *f = *state;
    struct rig_read other;
    uint8_t memory[SIZE];

    begin(f, "concurrency_max=1", NULL);
    rig_read_init(&other, &f->object, 0, SIZE, memory);
    rig_begin(&f->rig, &other);
    assert_int_equal(script_count(), 1);
    rig_cancel(&other);
    rig_turn(&f->rig);
    assert_int_equal(other.completions, 1);
    assert_int_equal(other.read.status, -ECANCELED);
    rig_begin(&f->rig, &other); /* this one is granted the permit as it is canceled */
    assert_int_equal(script_head(0, 206, whole), 0);
    assert_int_equal(script_body(0, f->bytes, SIZE), SIZE);
    script_end(0, TRANSPORT_OK, false);
    rig_cancel(&other);
    ends(f, 0);
    assert_int_equal(other.completions, 1);
    assert_int_equal(other.read.status, -ECANCELED);
    assert_int_equal(script_count(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_at_once),
        TEST(resumed_with_the_validator),
        TEST(another_version_is_refused),
        TEST(no_byte_beyond_the_last),
        TEST(the_end_of_the_answer_is_lost),
        TEST(the_end_of_the_answer_is_garbled),
        TEST(the_end_of_the_answer_stands_still),
        TEST(unwanted_bytes_are_lost),
        TEST(errors_got_over_are_forgotten),
        TEST(idle_connection_closed),
        TEST(errors_that_are_not_tried_again),
        TEST(retry_after),
        TEST(the_time_is_limited),
        TEST(stalls),
        TEST(a_busy_store_hides_no_stall),
        TEST(time_before_the_request_does_not_count),
        TEST(the_hedge_wins),
        TEST(the_hedge_loses),
        TEST(one_of_two_fails),
        TEST(both_answers_are_errors),
        TEST(an_error_and_a_reset),
        TEST(both_fail),
        TEST(no_permit_no_hedge),
        TEST(canceled_before_the_head),
        TEST(canceled_in_the_body),
        TEST(canceled_while_sleeping),
        TEST(canceled_with_a_hedge),
        TEST(canceled_while_queued),
    };

    return cmocka_run_group_tests_name("http transfer", tests, NULL, NULL);
}
