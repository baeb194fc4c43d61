/* SPDX-License-Identifier: MIT */
/*
 * Over a server with a late first byte and slow connections, nothing of which is given as an
 * option: after one batch explain shows a wider gap and longer requests than before it, and what
 * they follow from; the next batch is read with them. What is given stays, and autotune=off leaves
 * all as it was.
 */
#include "http_case.h"

#define LATENCY_MS  200u
#define BYTES_PER_S 20000000u
#define ID          7u
#define CHUNKS      32u
#define LENGTH      (256 * KIB) /* of bodies as short as that a stream's rate can be told */
#define STRIDE      (556 * KIB) /* the gap is wider than the built-in one */

/* What explain says in JSON. */
struct said {
    uint64_t gap, request, split;
    uint64_t latency_ns, stream, latency_count, stream_count;
    bool followed;
};

static int chunk_check(struct lsio_call *call)
{
    return server_pattern_check(ID, (uint64_t)call->chunk->offset, call->in, call->in_bytes) < 0
               ? 0
               : LSIO_E_CORRUPT;
}

static void request_make(struct http_case *c, struct lsio_object *object, struct lsio_chunk *chunks,
                         struct lsio_request *request)
{
    *object = (struct lsio_object){.store = c->store, .key = "k", .size = CHUNKS * STRIDE};
    for (uint64_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)(i * STRIDE), .length = LENGTH};
    *request = api_request(object, 1, chunks, CHUNKS, NULL);
}

static void read_all(struct http_case *c)
{
    struct lsio_stage stage = api_stage(chunk_check, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_object object;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request;
    struct lsio_chain *chain;

    request_make(c, &object, chunks, &request);
    assert_int_equal(lsio_chain_create(c->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_read_batch(c->context, &request), 0);
    lsio_chain_destroy(chain);
}

/* The number behind the first "key": of the text. */
static uint64_t number_of(const char *text, const char *key)
{
    char quoted[64];
    const char *found;

    snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    found = strstr(text, quoted);
    if (!found)
        fail_msg("no %s in:\n%s", key, text);
    return strtoull(found + strlen(quoted), NULL, 10);
}

static struct said explain(struct http_case *c)
{
    struct lsio_object object;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request;
    struct said said;
    const char *measured;
    char *text = NULL;

    request_make(c, &object, chunks, &request);
    assert_int_equal(lsio_explain_batch(c->context, &request, LSIO_EXPLAIN_JSON, &text), 0);
    measured = strstr(text, "\"measured\": {");
    assert_non_null(measured);
    said = (struct said){
        .gap = number_of(text, "gap_bytes"),
        .request = number_of(text, "request_bytes_max"),
        .split = number_of(text, "split_bytes"),
        .latency_ns = number_of(measured, "latency_ns"),
        .stream = number_of(measured, "stream_bytes_per_second"),
        .latency_count = number_of(measured, "latency_count"),
        .stream_count = number_of(measured, "stream_count"),
        .followed = strstr(measured, "\"followed_by\": []") == NULL,
    };
    lsio_result_free(text);
    return said;
}

static void serve(struct http_case *c)
{
    http_case_serve(c,
                    &(struct server_config){.latency_ms = LATENCY_MS, .bytes_per_s = BYTES_PER_S});
    http_case_put(c, "/data/k", ID, CHUNKS * STRIDE);
}

static void the_next_batch_follows_what_was_measured(void **state)
{
    struct http_case *c = *state;
    struct said before, after;
    struct lsio_stats stats;

    serve(c);
    http_case_open(c, "%s/data", "inflight_max=16", NULL); /* joins fit into the budget then */
    before = explain(c);
    assert_int_equal(before.latency_count, 0);
    assert_false(before.followed);
    assert_int_equal(api_stats(c->context).first_byte_ns, 0);
    read_all(c);
    assert_int_equal(http_case_requests(c), CHUNKS);
    after = explain(c);
    assert_int_equal(after.latency_count, CHUNKS);
    assert_int_equal(after.stream_count, CHUNKS);
    /* orders of magnitude: machines are slow, and the server sends in bursts */
    assert_between(after.latency_ns, LATENCY_MS * 900000, LATENCY_MS * UINT64_C(10000000));
    assert_between(after.stream, BYTES_PER_S / 10, BYTES_PER_S * 10);
    assert_true(after.followed);
    assert_true(after.gap > 2 * before.gap);
    assert_true(after.request > before.request);
    assert_int_equal(after.split, after.request);
    stats = api_stats(c->context);
    assert_int_equal(stats.first_byte_ns, after.latency_ns);
    assert_int_equal(stats.stream_bytes_per_second, after.stream);
    assert_true(stats.requests_limit > 8); /* which is what it began with */
    assert_int_equal(stats.requests_inflight, 0);
    read_all(c);
    assert_true(http_case_requests(c) <= CHUNKS + CHUNKS / 2);
    /* another store of that server knows it already */
    http_case_open(c, "%s/data", NULL);
    assert_true(explain(c).gap > 2 * before.gap);
}

static void what_is_given_stays(void **state)
{
    struct http_case *c = *state;
    struct said said;

    serve(c);
    http_case_open(c, "%s/data", "gap_bytes=100K", "request_bytes_max=3M", NULL);
    read_all(c);
    said = explain(c);
    assert_true(said.followed);
    assert_int_equal(said.gap, 100 * KIB);
    assert_int_equal(said.request, 3 * MIB);
    assert_true(said.split > 8 * MIB); /* that was not */
    http_case_open(c, "%s/data", "request_latency_ns=1000000", "stream_bytes_per_second=1M", NULL);
    said = explain(c);
    assert_false(said.followed);
    assert_int_equal(said.gap, 256 * KIB);
}

static void it_can_be_turned_off(void **state)
{
    struct http_case *c = *state;
    struct said before, after;

    serve(c);
    http_case_open(c, "%s/data", "autotune=off", NULL);
    before = explain(c);
    read_all(c);
    after = explain(c);
    assert_int_equal(after.latency_count, CHUNKS); /* it is measured all the same */
    assert_false(after.followed);
    assert_int_equal(after.gap, before.gap);
    assert_int_equal(after.request, before.request);
    assert_int_equal(http_case_try_open(c, "%s/data", "autotune=perhaps", NULL), -EINVAL);
}

/* A batch that runs while the profile moves keeps its own, and may outlive it. */
static void a_running_batch_keeps_its_profile(void **state)
{
    struct http_case *c = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request;
    struct lsio_batch *batches[4];

    serve(c);
    http_case_open(c, "%s/data", NULL);
    request_make(c, &object, chunks, &request);
    read_all(c);
    for (size_t i = 0; i < COUNT(batches); i++)
        assert_int_equal(lsio_submit_batch(c->context, &request, &batches[i]), 0);
    for (size_t i = 0; i < COUNT(batches); i++) {
        assert_int_equal(api_wait(batches[i]), 0);
        assert_true(explain(c).followed);
        assert_int_equal(lsio_batch_destroy(batches[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_batch_follows_what_was_measured),
        cmocka_unit_test(what_is_given_stays),
        cmocka_unit_test(it_can_be_turned_off),
        cmocka_unit_test(a_running_batch_keeps_its_profile),
    };

    return http_case_run("http tune", tests, COUNT(tests));
}
