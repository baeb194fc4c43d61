/* SPDX-License-Identifier: MIT */
/*
 * Joined requests: the chain of each chunk runs as soon as its bytes have come, and what goes wrong
 * behind them fails, or asks again for, the chunks that are left, once each.
 *
 * LSIO_ROWS: H1 H2 H17
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 77, CHUNKS = 3, LENGTH = 40000, SIZE = CHUNKS * LENGTH, EARLY = 2, BREAK = 100000 };

struct join {
    struct lsio_batch *batch;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct api_seen seen;
    struct api_gate checked; /* counts chunks whose bytes were right */
};

static int check(struct lsio_call *call)
{
    return server_pattern_check(ID, (uint64_t)call->chunk->offset, call->in, call->in_bytes) < 0
               ? 0
               : LSIO_E_CORRUPT;
}

static void begin(struct http_case *c, const char *option)
{
    http_case_open(c, "%s/data", "inflight_max=1", "gap_bytes=64K", option, NULL);
    http_case_put(c, "/data/k", ID, SIZE);
}

/* What happens behind so many bytes of the first answer. */
static void break_first(struct http_case *c, enum server_fault_kind kind, uint64_t bytes)
{
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = kind, .bytes = bytes});
}

/* All chunks in one request. */
static void submit(struct http_case *c, struct join *join)
{
    struct lsio_stage stages[2] = {
        api_stage(check, LSIO_STAGE_READS_ONLY, NULL),
        api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &join->checked)};
    struct lsio_object object = {.store = c->store, .key = "k", .size = SIZE};
    struct lsio_request request = api_request(&object, 1, join->chunks, CHUNKS, join->results);
    struct lsio_chain *chain;

    memset(join, 0, sizeof(*join));
    join->checked.open = true;
    for (int i = 0; i < CHUNKS; i++)
        join->chunks[i] = (struct lsio_chunk){.offset = i * LENGTH, .length = LENGTH};
    api_seen_init(&join->seen, CHUNKS);
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &join->seen;
    assert_int_equal(lsio_chain_create(c->context, stages, 2, &chain), 0);
    request.chain = chain; /* the context ends it */
    assert_int_equal(lsio_submit_batch(c->context, &request, &join->batch), 0);
}

/* Ends the batch: the chunks that ended early are good, the others have `status`. */
static void end(struct join *join, int status)
{
    assert_int_equal(api_wait(join->batch), status);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(join->results[i].status, i < EARLY ? 0 : status);
    assert_int_equal(lsio_batch_destroy(join->batch), 0);
    api_seen_check(&join->seen);
}

static void their_chains_run_before_the_end(void **state)
{
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_HANG, BREAK);
    submit(c, &join);
    api_gate_wait(&join.checked, EARLY);
    assert_int_equal(lsio_batch_wait(join.batch, 0, NULL), -ETIMEDOUT);
    assert_true(server_wait_held(c->server, 1, 60000)); /* else there is nothing to release yet */
    server_release(c->server);
    end(&join, 0);
    assert_int_equal(join.checked.entered, CHUNKS);
    assert_int_equal(http_case_requests(c), 1);
}

/* The second chunk's bytes have come in part: its chain, which would see that, waits. */
static void no_chain_runs_before_its_bytes(void **state)
{
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_HANG, LENGTH + LENGTH / 2);
    submit(c, &join);
    api_gate_wait(&join.checked, 1);
    assert_true(server_wait_held(c->server, 1, 60000));
    server_release(c->server);
    end(&join, 0);
    assert_int_equal(join.checked.entered, CHUNKS);
}

static void the_rest_is_resumed(void **state)
{
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_CLOSE, BREAK);
    submit(c, &join);
    end(&join, 0);
    assert_int_equal(join.checked.entered, CHUNKS);
    assert_int_equal(http_case_requests(c), 2);
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=100000-119999");
}

/* Only what has not been delivered is asked for once more, by itself. */
static void what_is_left_is_read_unjoined(void **state)
{
    const struct server_fault wrong = {
        .kind = SERVER_HEADER, .name = "Content-Range", .text = "bytes 0-19999/120000", .times = 2};
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_CLOSE, BREAK);
    http_case_plan(c, "/data/k", 1, &wrong);
    submit(c, &join);
    end(&join, 0);
    assert_int_equal(join.checked.entered, CHUNKS);
    assert_int_equal(http_case_requests(c), 4);
    assert_string_equal(http_case_header(c, 3, "range"), "bytes=80000-119999");
}

/* The rest is of another version: it is not delivered beside what was. */
static void the_object_changes_behind_them(void **state)
{
    const struct server_fault other = {
        .kind = SERVER_HEADER, .name = "ETag", .text = "\"other\"", .times = 2};
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_CLOSE, BREAK);
    http_case_plan(c, "/data/k", 1, &other);
    submit(c, &join);
    end(&join, LSIO_E_CHANGED);
    assert_int_equal(join.checked.entered, EARLY);
}

/* Where the whole may be read anew, nothing of it is delivered before its end. */
static void nothing_is_early_that_may_be_read_anew(void **state)
{
    const struct server_object object = {
        .path = "/data/k", .pattern_id = ID, .size = SIZE, .etag = ""};
    const struct server_fault later = {.kind = SERVER_HEADER,
                                       .name = "Last-Modified",
                                       .text = "Thu, 01 Jan 2026 00:00:01 GMT",
                                       .times = 2};
    struct http_case *c = *state;
    struct join join;

    begin(c, "on_change=restart");
    assert_int_equal(server_put(c->server, &object), 0);
    break_first(c, SERVER_CLOSE, BREAK);
    http_case_plan(c, "/data/k", 1, &later);
    submit(c, &join);
    end(&join, 0);
    assert_int_equal(join.checked.entered, CHUNKS);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=0-119999");
}

static void a_cancel_ends_the_rest(void **state)
{
    struct http_case *c = *state;
    struct join join;

    begin(c, NULL);
    break_first(c, SERVER_HANG, BREAK);
    submit(c, &join);
    api_gate_wait(&join.checked, EARLY);
    assert_int_equal(lsio_batch_cancel(join.batch), 0);
    end(&join, -ECANCELED);
    server_release(c->server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(their_chains_run_before_the_end),
        cmocka_unit_test(no_chain_runs_before_its_bytes),
        cmocka_unit_test(the_rest_is_resumed),
        cmocka_unit_test(what_is_left_is_read_unjoined),
        cmocka_unit_test(the_object_changes_behind_them),
        cmocka_unit_test(nothing_is_early_that_may_be_read_anew),
        cmocka_unit_test(a_cancel_ends_the_rest),
    };

    return http_case_run("http_joins", tests, COUNT(tests));
}
