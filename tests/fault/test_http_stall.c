/* SPDX-License-Identifier: MIT */
/*
 * Servers that do not answer, answer too slowly, or are not there: every wait ends, what has come
 * is kept, and a late answer may be raced by a second request.
 *
 * LSIO_ROWS: H12 H21 H22 H24
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <sys/resource.h>

enum { ID = 11, SIZE = 200000 };

static void begin(struct http_case *c, const char *one, const char *two)
{
    http_case_open(c, "%s/data", "connect_timeout=10s", one, two, NULL);
    http_case_put(c, "/data/k", ID, SIZE);
}

/* ------------------------------------------------------------------------------ H12: hangs -- */

struct hang {
    const char *name;
    struct server_fault fault;
    const char *option, *says;
};

static const struct hang hangs[] = {
    {"before the head",
     {.kind = SERVER_HANG, .place = SERVER_BEFORE_HEAD},
     "first_byte_timeout=80ms",
     "first_byte_timeout"},
    {"in the head",
     {.kind = SERVER_HANG, .place = SERVER_IN_HEAD, .bytes = 20},
     "first_byte_timeout=80ms",
     "first_byte_timeout"},
    {"after the head", {.kind = SERVER_HANG}, "stall_timeout=80ms", "stall_timeout"},
    {"in the body", {.kind = SERVER_HANG, .bytes = 5000}, "stall_timeout=80ms", "stall_timeout"},
    {"one byte at a time",
     {.kind = SERVER_TRICKLE, .bytes = 5000, .bytes_each = 1, .each_ms = 10},
     "stall_timeout=200ms",
     "stall_timeout"},
    {"head by the byte",
     {.kind = SERVER_TRICKLE, .place = SERVER_BEFORE_HEAD, .bytes_each = 1, .each_ms = 10},
     "first_byte_timeout=80ms",
     "first_byte_timeout"},
    {"steadily but too long",
     {.kind = SERVER_TRICKLE, .bytes_each = 1000, .each_ms = 10},
     "timeout=100ms",
     "not complete within timeout"},
};

/* Asked again, it goes well. */
static void a_hang_is_left(void **state)
{
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(hangs); i++) {
        uint64_t retries;
        begin(c, hangs[i].option, NULL);
        retries = api_stats(c->context).retries;
        http_case_plan(c, NULL, 0, &hangs[i].fault);
        http_case_expect(c, "k", ID, 10, 100000);
        if (api_stats(c->context).retries == retries)
            fail_msg("%s: did not matter", hangs[i].name);
    }
}

/* Asked again, it hangs again, until the attempts are used up. */
static void hangs_end_as_timeouts(void **state)
{
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(hangs); i++) {
        struct server_fault fault = hangs[i].fault;
        unsigned before;
        begin(c, hangs[i].option, "retry_attempts_max=2");
        before = http_case_requests(c);
        fault.times = 2;
        http_case_plan(c, NULL, 0, &fault);
        assert_int_equal(http_case_read(c, "k", 10, 100000), -ETIMEDOUT);
        assert_int_equal(c->error.attempts, 2);
        /* the last one may be given up before a busy machine's server has read it */
        assert_true(server_wait_requests(c->server, before + 2, 60000));
        assert_int_equal(http_case_requests(c) - before, 2);
        if (!strstr(c->error.text, hangs[i].says))
            fail_msg("%s: %s", hangs[i].name, c->error.text);
    }
}

/* What had come is not asked for again. */
static void a_stalled_body_is_resumed(void **state)
{
    struct http_case *c = *state;

    begin(c, "stall_timeout=80ms", NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_HANG, .bytes = 5000});
    http_case_expect(c, "k", ID, 10, 100000);
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=5010-100009");
    assert_int_equal(http_case_header(c, 1, "if-match")[0], '"');
}

/* Slow, but steady: no limit is met. */
static void a_slow_answer_is_no_failure(void **state)
{
    struct http_case *c = *state;

    begin(c, "stall_timeout=500ms", NULL);
    http_case_plan(
        c, NULL, 0,
        &(struct server_fault){.kind = SERVER_TRICKLE, .bytes_each = 1000, .each_ms = 10});
    http_case_expect(c, "k", ID, 0, 60000);
    assert_int_equal(http_case_requests(c), 1);
    assert_int_equal(api_stats(c->context).retries, 0);
}

static void a_hung_handshake_is_left(void **state)
{
    struct http_case *c = *state;
    char ca[256];

    http_case_serve(c, &(struct server_config){.identity = SERVER_TLS});
    snprintf(ca, sizeof(ca), "ca_bundle=%s", server_ca_file(c->server));
    http_case_open(c, "%s/data", ca, "connect_timeout=300ms", "retry_attempts_max=2", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_ACCEPT_HANG, .times = 2});
    assert_int_equal(http_case_read(c, "k", 0, 10), -ETIMEDOUT);
    assert_int_equal(c->error.attempts, 2);
    http_case_expect(c, "k", ID, 0, 10);
}

/* A chunk that is canceled while the server hangs ends at once. */
static void cancel_ends_a_hang(void **state)
{
    static const struct server_fault faults[] = {{.kind = SERVER_ACCEPT_HANG},
                                                 {.kind = SERVER_HANG, .place = SERVER_BEFORE_HEAD},
                                                 {.kind = SERVER_HANG, .bytes = 100}};
    struct http_case *c = *state;
    struct lsio_chunk chunk = {.length = 1000, .dst = c->memory, .dst_bytes = 1000};
    struct lsio_object object;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);

    for (size_t i = 0; i < COUNT(faults); i++) {
        struct lsio_batch *batch;
        unsigned before;
        begin(c, NULL, NULL);
        before = http_case_requests(c);
        object = (struct lsio_object){.store = c->store, .key = "k"};
        http_case_plan(c, NULL, 0, &faults[i]);
        assert_int_equal(lsio_submit_batch(c->context, &request, &batch), 0);
        if (faults[i].kind == SERVER_HANG) /* what was held before may still be counted */
            assert_true(server_wait_requests(c->server, before + 1, 20000));
        assert_true(server_wait_held(c->server, 1, 20000));
        assert_int_equal(lsio_batch_cancel(batch), 0);
        assert_int_equal(api_wait(batch), -ECANCELED);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        server_release(c->server);
        http_case_expect(c, "k", ID, 0, 1000);
    }
}

/* --------------------------------------------------------------------------------- hedging -- */

/* The first answer is late; the second request wins, and the first one writes nothing. */
static void a_hedge_wins(void **state)
{
    struct http_case *c = *state;

    begin(c, "hedge=true", "hedge_delay=30ms");
    for (int i = 0; i < 25; i++) /* few of the requests may be hedged */
        http_case_expect(c, "k", ID, i, 1000);
    http_case_plan(c, NULL, 0,
                   &(struct server_fault){.kind = SERVER_HANG, .place = SERVER_BEFORE_HEAD});
    http_case_expect(c, "k", ID, 7, 150000);
    assert_int_equal(http_case_requests(c), 27);
    assert_string_equal(http_case_header(c, 25, "range"), http_case_header(c, 26, "range"));
    server_release(c->server);
    http_case_expect(c, "k", ID, 9, 1000);
    assert_int_equal(api_stats(c->context).hedges, 1);
    assert_int_equal(api_stats(c->context).requests, 28);
    assert_int_equal(api_stats(c->context).retries, 0);
}

/* An error does not win against a request that is still on its way. */
static void a_hedge_that_fails_is_no_failure(void **state)
{
    struct http_case *c = *state;

    begin(c, "hedge=true", "hedge_delay=30ms");
    for (int i = 0; i < 25; i++)
        http_case_expect(c, "k", ID, i, 1000);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_DELAY, .delay_ms = 400});
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_STATUS, .status = 500});
    http_case_expect(c, "k", ID, 7, 150000);
    assert_int_equal(http_case_requests(c), 27);
    assert_int_equal(api_stats(c->context).hedges, 1);
    assert_int_equal(api_stats(c->context).retries, 0);
}

/* ------------------------------------------------------------------- H21, H22: connections -- */

static void nobody_listens(void **state)
{
    struct http_case *c = *state;
    struct server_dead_port port;
    char url[64];

    assert_int_equal(server_port_refused(&port), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/data", port.port);
    http_case_open(c, url, "retry_attempts_max=3", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ECONNREFUSED);
    assert_int_equal(c->error.code, ECONNREFUSED);
    assert_int_equal(c->error.attempts, 3);
    server_port_free(&port);
    assert_int_equal(server_port_hung(&port), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/data", port.port);
    http_case_open(c, url, "retry_attempts_max=2", "connect_timeout=100ms", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ETIMEDOUT);
    assert_int_equal(c->error.code, ETIMEDOUT);
    assert_int_equal(c->error.attempts, 2);
    server_port_free(&port);
}

/* A name without an address is asked for twice, for a name server may have been busy. */
static void no_such_host(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "s3://bucket", "endpoint=nowhere.invalid", "https=false",
                   "skip_signature=true", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), -EHOSTUNREACH);
    assert_int_equal(c->error.code, EHOSTUNREACH);
    assert_int_equal(c->error.attempts, 2);
    assert_non_null(strstr(c->error.text, "nowhere.invalid"));
}

static void connections_that_are_closed_at_once(void **state)
{
    struct http_case *c = *state;

    begin(c, NULL, NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_ACCEPT_CLOSE});
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_ACCEPT_RESET});
    http_case_plan(c, NULL, 0,
                   &(struct server_fault){.kind = SERVER_CLOSE, .place = SERVER_BEFORE_HEAD});
    http_case_plan(
        c, NULL, 0,
        &(struct server_fault){.kind = SERVER_RESET, .place = SERVER_IN_HEAD, .bytes = 30});
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(api_stats(c->context).retries, 4);
}

/* An idle connection that the server closes as we send is no failure and no attempt. */
static void idle_connections_are_closed(void **state)
{
    static const enum server_fault_kind kinds[] = {SERVER_CLOSE, SERVER_RESET};
    struct http_case *c = *state;

    begin(c, "concurrency_max=1", "retry_attempts_max=1");
    for (size_t i = 0; i < 2 * COUNT(kinds); i++) {
        struct server_fault fault = {.kind = kinds[i % 2], .place = SERVER_BEFORE_HEAD};
        assert_int_equal(server_plan(c->server, &(struct server_match){.reused = true}, &fault), 0);
        for (int k = 0; k < 6; k++)
            http_case_expect(c, "k", ID, k, 1000);
    }
    assert_int_equal(api_stats(c->context).reconnects, 2 * COUNT(kinds));
    assert_int_equal(api_stats(c->context).requests, http_case_requests(c));
    assert_int_equal(api_stats(c->context).retries, 0);
}

/* ----------------------------------------------------------------------------- H24: limits -- */

enum { CHUNKS = 40 };

/* Reads 40 chunks that lie apart; the status. */
static int read_many(struct http_case *c)
{
    struct lsio_object object = {.store = c->store, .key = "k"};
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    int status;

    for (unsigned i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = 5000 * i, .length = 100, .dst = c->memory + 100 * i, .dst_bytes = 100};
    status = lsio_read_batch(c->context, &request);
    for (unsigned i = 0; !status && i < CHUNKS; i++)
        assert_int_equal(server_pattern_check(ID, 5000 * i, chunks[i].dst, 100), -1);
    return status;
}

static void requests_and_connections_are_bounded(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.latency_ms = 5});
    http_case_open(c, "%s/data", "concurrency_start=3", "concurrency_max=3", "gap_bytes=1",
                   "gap_bytes_max=1", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    assert_int_equal(read_many(c), 0);
    assert_int_equal(http_case_requests(c), CHUNKS);
    assert_between(server_connection_count(c->server), 1, 6); /* 3 for each of two workers */
}

/* Without a descriptor for a socket, a read fails in time, and the next one is well again. */
static void no_descriptors(void **state)
{
    struct http_case *c = *state;
    struct rlimit limit, low;
    int status;

    begin(c, "retry_attempts_max=3", NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3; /* no new one at all */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    status = http_case_read(c, "k", 0, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(status, -EMFILE);
    assert_int_equal(c->error.attempts, 3);
    http_case_expect(c, "k", ID, 0, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hang_is_left),
        cmocka_unit_test(hangs_end_as_timeouts),
        cmocka_unit_test(a_stalled_body_is_resumed),
        cmocka_unit_test(a_slow_answer_is_no_failure),
        cmocka_unit_test(a_hung_handshake_is_left),
        cmocka_unit_test(cancel_ends_a_hang),
        cmocka_unit_test(a_hedge_wins),
        cmocka_unit_test(a_hedge_that_fails_is_no_failure),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(no_such_host),
        cmocka_unit_test(connections_that_are_closed_at_once),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(requests_and_connections_are_bounded),
        cmocka_unit_test(no_descriptors),
    };

    return http_case_run("stall", tests, COUNT(tests));
}
