/* SPDX-License-Identifier: MIT */
/*
 * Answers whose bodies, lengths or ranges are wrong: what is resumed, what is refused, and that no
 * byte is delivered that is not exactly the one asked for.
 *
 * LSIO_ROWS: H1 H2 H3 H4 H5 H13 H14 H15 H16 H23
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <inttypes.h>

enum { ID = 5, SIZE = 300000, FROM = 1000, LENGTH = 200000 };

static void begin(struct http_case *c, const char *option)
{
    http_case_open(c, "%s/data", option, NULL);
    http_case_put(c, "/data/k", ID, SIZE);
}

/* ------------------------------------------------------------------ H1: ends in the middle -- */

/* The rest is asked for, from the first byte that did not come, under the validator. */
static void resumed(struct http_case *c, struct server_fault fault)
{
    char want[64];
    uint64_t from = 0;

    fault.bytes = 70001;
    http_case_plan(c, "/data/k", 1, &fault);
    http_case_expect(c, "k", ID, FROM, LENGTH);
    assert_int_equal(http_case_requests(c), 2);
    assert_string_equal(http_case_header(c, 0, "range"), "bytes=1000-200999");
    assert_int_equal(sscanf(http_case_header(c, 1, "range"), "bytes=%" SCNu64 "-", &from), 1);
    assert_between(from, FROM, FROM + 70001);
    if (fault.kind != SERVER_RESET) /* which may throw away what has been received */
        assert_int_equal(from, FROM + 70001);
    snprintf(want, sizeof(want), "bytes=%" PRIu64 "-200999", from);
    assert_string_equal(http_case_header(c, 1, "range"), want);
    assert_int_equal(http_case_header(c, 1, "if-match")[0], '"');
    assert_int_equal(api_stats(c->context).retries, 1);
    assert_int_equal(api_stats(c->context).resumes, from > FROM);
    assert_int_equal(api_stats(c->context).requests, 2);
}

static void closed_in_the_body(void **state)
{
    begin(*state, NULL);
    resumed(*state, (struct server_fault){.kind = SERVER_CLOSE});
}

static void reset_in_the_body(void **state)
{
    begin(*state, NULL);
    resumed(*state, (struct server_fault){.kind = SERVER_RESET});
}

static void broken_off_again_and_again(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_CLOSE, .bytes = 50000, .times = 3};

    begin(c, NULL);
    http_case_plan(c, NULL, 0, &fault);
    http_case_expect(c, "k", ID, FROM, LENGTH);
    assert_int_equal(http_case_requests(c), 4);
    assert_string_equal(http_case_header(c, 3, "range"), "bytes=151000-200999");
    assert_int_equal(api_stats(c->context).retries, 3);
    assert_int_equal(api_stats(c->context).resumes, 3);
}

/* The attempts end: status, count and what is said. */
static void never_whole(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_CLOSE, .bytes = 10, .times = 4};

    begin(c, "retry_attempts_max=4");
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), -ECONNRESET);
    assert_int_equal(c->error.attempts, 4);
    assert_int_equal(http_case_requests(c), 4);
    assert_int_equal(c->error.offset, FROM);
    assert_int_equal(c->error.length, LENGTH);
    assert_non_null(strstr(c->error.url, "/data/k"));
}

/* ---------------------------------------------------- H2, H4, H13, H14, H16: wrong answers -- */

struct wrong {
    const char *name;
    struct server_fault fault;
    int status;        /* when each answer is like that */
    unsigned requests; /* and how often was asked */
    const char *says;
};

#define RANGE_IS(value) .kind = SERVER_HEADER, .name = "Content-Range", .text = value

static const struct wrong wrongs[] = {
    {"another start",
     {RANGE_IS("bytes 0-199999/300000")},
     LSIO_E_PROTOCOL,
     2,
     "asked for bytes 1000-200999, the server sent 206 \"bytes 0-199999/300000\""},
    {"beyond the end", {RANGE_IS("bytes 1000-201000/300000")}, LSIO_E_PROTOCOL, 2, "wrong range"},
    {"backwards", {RANGE_IS("bytes 1000-999/300000")}, LSIO_E_PROTOCOL, 2, "wrong range"},
    {"shorter than the length",
     {RANGE_IS("bytes 1000-1999/300000")},
     LSIO_E_PROTOCOL,
     2,
     "length and range"},
    {"no Content-Range", {RANGE_IS(NULL)}, LSIO_E_PROTOCOL, 2, "wrong range"},
    {"no numbers", {RANGE_IS("bytes NaN-100/10000")}, LSIO_E_PROTOCOL, 2, "NaN-100"},
    {"another unit", {RANGE_IS("lines 1000-200999/300000")}, LSIO_E_PROTOCOL, 2, "lines"},
    {"multipart", {.kind = SERVER_MULTIPART}, LSIO_E_PROTOCOL, 2, "several ranges"},
    {"a body too short",
     {.kind = SERVER_SHORT, .bytes = 1},
     LSIO_E_PROTOCOL,
     2,
     "length and range"},
    {"a body too long", {.kind = SERVER_LONG, .bytes = 1}, LSIO_E_PROTOCOL, 2, "length and range"},
    {"a body that never ends", {.kind = SERVER_ENDLESS}, LSIO_E_PROTOCOL, 1, ""},
    {"chunks that never end", {.kind = SERVER_ENDLESS_CHUNKS}, LSIO_E_PROTOCOL, 1, ""},
    {"encoded",
     {.kind = SERVER_HEADER, .name = "Content-Encoding", .text = "gzip"},
     LSIO_E_PROTOCOL,
     1,
     "encoded: gzip"},
    {"204", {.kind = SERVER_STATUS, .status = 204}, LSIO_E_PROTOCOL, 2, "204"},
};

static void wrong_answers_are_refused(void **state)
{
    struct http_case *c = *state;

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        const struct wrong *wrong = &wrongs[i];
        struct server_fault fault = wrong->fault;
        unsigned before = http_case_requests(c);
        int status;

        fault.times = wrong->requests;
        http_case_plan(c, NULL, 0, &fault);
        status = http_case_read(c, "k", FROM, LENGTH);
        if (status != wrong->status || http_case_requests(c) - before != wrong->requests ||
            !strstr(c->error.text, wrong->says))
            fail_msg("%s: %s after %u requests: %s", wrong->name, lsio_status_name(status),
                     http_case_requests(c) - before, c->error.text);
        assert_int_equal(c->error.attempts, wrong->requests);
        http_case_expect(c, "k", ID, FROM, LENGTH); /* nothing is remembered */
    }
}

/* The same wrong answer, once: asked again, all is well. */
static void one_wrong_answer_is_survived(void **state)
{
    struct http_case *c = *state;

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        if (wrongs[i].requests == 1)
            continue;
        http_case_plan(c, NULL, 0, &wrongs[i].fault);
        http_case_expect(c, "k", ID, FROM, LENGTH);
    }
}

/* ---------------------------------------------------------------------- H3: ranges ignored -- */

static void whole_instead_of_range(void **state)
{
    static const struct {
        int64_t from;
        uint64_t length;
    } ranges[] = {{0, SIZE},       {0, 100},         {FROM, LENGTH},
                  {SIZE - 10, 10}, {0, LSIO_TO_END}, {FROM, LSIO_TO_END}};
    struct http_case *c = *state;

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(ranges); i++) {
        bool to_end = ranges[i].length == LSIO_TO_END;
        unsigned before = http_case_requests(c);
        http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_WHOLE});
        http_case_expect(c, "k", ID, ranges[i].from, ranges[i].length);
        assert_int_equal(http_case_requests(c) - before, to_end ? 2 : 1);
        if (!to_end)
            continue;
        assert_int_equal(c->bytes, SIZE - ranges[i].from); /* the rest came without a range */
        assert_string_equal(http_case_header(c, before + 1, "range"), "");
    }
}

/* Once known, no range is asked of that object in the batch. */
static void no_range_support_is_remembered(void **state)
{
    struct http_case *c = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[2] = {
        {.offset = FROM, .length = 10, .dst = NULL, .dst_bytes = 10},
        {.offset = SIZE - 20, .length = 10, .dst = NULL, .dst_bytes = 10}};
    struct lsio_request request;

    http_case_open(c, "%s/data", "concurrency_max=1", "gap_bytes=1", "gap_bytes_max=1", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    object = (struct lsio_object){.store = c->store, .key = "k"};
    request = api_request(&object, 1, chunks, 2, NULL);
    for (int i = 0; i < 2; i++)
        chunks[i].dst = c->memory + 10 * i;
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_WHOLE});
    assert_int_equal(lsio_read_batch(c->context, &request), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(server_pattern_check(ID, (uint64_t)chunks[i].offset, chunks[i].dst, 10),
                         -1);
    assert_int_equal(http_case_requests(c), 2);
    assert_int_equal(strncmp(http_case_header(c, 0, "range"), "bytes=", 6), 0);
    assert_string_equal(http_case_header(c, 1, "range"), "");
}

static void too_large_to_slice(void **state)
{
    struct http_case *c = *state;

    begin(c, "full_body_bytes_max=100K");
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_WHOLE});
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_UNSUPPORTED);
    assert_non_null(strstr(c->error.text, "full_body_bytes_max"));
    assert_int_equal(http_case_requests(c), 1);
}

/* ---------------------------------------------------------------------- H5: beyond the end -- */

static void beyond_the_end(void **state)
{
    struct http_case *c = *state;
    struct server_fault lies = {.kind = SERVER_STATUS,
                                .status = 416,
                                .name = "Content-Range",
                                .text = "bytes */300000",
                                .times = 2};

    begin(c, NULL);
    assert_int_equal(http_case_read(c, "k", SIZE, 1), LSIO_E_TRUNCATED);
    assert_int_equal(http_case_requests(c), 1);
    assert_int_equal(http_case_read(c, "k", SIZE - 10, 20), LSIO_E_TRUNCATED);
    assert_int_equal(http_case_requests(c), 2);
    http_case_expect(c, "k", ID, SIZE, LSIO_TO_END);
    assert_int_equal(c->bytes, 0);
    http_case_put(c, "/data/empty", ID, 0);
    http_case_expect(c, "empty", ID, 0, LSIO_TO_END);
    assert_int_equal(c->bytes, 0);
    http_case_plan(c, "/data/empty", 0,
                   &(struct server_fault){.kind = SERVER_STATUS, .status = 416});
    http_case_expect(c, "empty", ID, 0, LSIO_TO_END); /* asked again: what size, then? */
    assert_int_equal(c->bytes, 0);
    http_case_plan(c, "/data/k", 0, &lies);
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_PROTOCOL);
}

/* -------------------------------------------------------------- H14, H15: without a length -- */

static void chunked_and_unsized(void **state)
{
    static const enum server_fault_kind kinds[] = {SERVER_CHUNKED, SERVER_UNSIZED, SERVER_INTERIM};
    struct http_case *c = *state;

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        http_case_plan(c, NULL, 0, &(struct server_fault){.kind = kinds[i], .count = 2});
        http_case_expect(c, "k", ID, FROM, LENGTH);
        assert_int_equal(http_case_requests(c), i + 1);
    }
}

/* A body without a length that ends early is resumed once, then refused. */
static void unsized_and_cut(void **state)
{
    struct http_case *c = *state;
    static const char cut[] = "HTTP/1.1 206 Partial Content\r\nETag: \"x\"\r\n"
                              "Content-Range: bytes 0-9/10\r\nConnection: close\r\n\r\nabc";

    begin(c, NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RAW, .text = cut});
    http_case_plan(c, NULL, 0,
                   &(struct server_fault){.kind = SERVER_RAW,
                                          .text = "HTTP/1.1 206 Partial Content\r\nETag: \"x\"\r\n"
                                                  "Content-Range: bytes 3-9/10\r\n"
                                                  "Connection: close\r\n\r\ndef"});
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_PROTOCOL);
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=3-9");
    assert_string_equal(http_case_header(c, 1, "if-match"), "\"x\"");
    assert_int_equal(http_case_requests(c), 2);
}

/* A whole object of a server that tells neither sizes nor ranges. */
static void whole_object_of_unknown_length(void **state)
{
    static const char plain[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello, world";
    struct http_case *c = *state;

    begin(c, NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RAW, .text = plain});
    assert_int_equal(http_case_read(c, "k", 0, LSIO_TO_END), 0);
    assert_int_equal(c->bytes, 12);
    assert_memory_equal(c->memory, "hello, world", 12);
    assert_int_equal(http_case_requests(c), 1);
}

static void broken_chunks(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_CHUNK_BROKEN, .bytes = 30000};

    begin(c, NULL);
    http_case_plan(c, NULL, 0, &fault);
    http_case_expect(c, "k", ID, FROM, LENGTH);
    assert_int_equal(http_case_requests(c), 2);
    fault.times = 2;
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_PROTOCOL);
    assert_int_equal(c->error.attempts, 2);
}

/* Bytes behind an answer spoil the connection, not the next answer. */
static void stray_bytes(void **state)
{
    struct http_case *c = *state;

    begin(c, NULL);
    for (int i = 0; i < 4; i++) {
        http_case_plan(c, NULL, 0,
                       &(struct server_fault){.kind = SERVER_STRAY, .text = "HTTP/1.1 stray"});
        http_case_expect(c, "k", ID, FROM, LENGTH);
        http_case_expect(c, "k", ID, FROM + 1, LENGTH);
    }
}

static void not_http_at_all(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {
        .kind = SERVER_RAW, .text = "220 mail.example ESMTP\r\n", .times = 2};

    begin(c, NULL);
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_PROTOCOL);
    assert_int_equal(http_case_requests(c), 2);
    assert_int_equal(c->error.code, 0);
}

/* ---------------------------------------------------------- H16: encodings of the dialects -- */

static void put_encoded(struct http_case *c, const char *headers)
{
    assert_int_equal(server_put(c->server, &(struct server_object){.path = "/bucket/k",
                                                                   .pattern_id = ID,
                                                                   .size = SIZE,
                                                                   .headers = headers}),
                     0);
}

static void encoding_is_metadata_on_s3(void **state)
{
    struct http_case *c = *state;

    http_case_open_s3(c, NULL);
    put_encoded(c, "Content-Encoding: gzip\r\n");
    http_case_expect(c, "k", ID, FROM, LENGTH);
    assert_string_equal(http_case_header(c, 0, "accept-encoding"), "identity");
}

static void cloud_storage_must_not_unpack(void **state)
{
    struct http_case *c = *state;

    http_case_open_gcs(c, NULL);
    put_encoded(c, "Content-Encoding: gzip\r\nx-goog-stored-content-encoding: gzip\r\n");
    http_case_expect(c, "k", ID, FROM, LENGTH);
    assert_string_equal(http_case_header(c, 0, "accept-encoding"), "gzip");
    put_encoded(c, "x-goog-stored-content-encoding: gzip\r\n");
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_PROTOCOL);
    assert_non_null(strstr(c->error.text, "unpacked"));
    put_encoded(c, "Content-Encoding: gzip\r\n");
    assert_int_equal(http_case_read(c, "k", FROM, LENGTH), LSIO_E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_in_the_body),
        cmocka_unit_test(reset_in_the_body),
        cmocka_unit_test(broken_off_again_and_again),
        cmocka_unit_test(never_whole),
        cmocka_unit_test(wrong_answers_are_refused),
        cmocka_unit_test(one_wrong_answer_is_survived),
        cmocka_unit_test(whole_instead_of_range),
        cmocka_unit_test(no_range_support_is_remembered),
        cmocka_unit_test(too_large_to_slice),
        cmocka_unit_test(beyond_the_end),
        cmocka_unit_test(chunked_and_unsized),
        cmocka_unit_test(unsized_and_cut),
        cmocka_unit_test(whole_object_of_unknown_length),
        cmocka_unit_test(broken_chunks),
        cmocka_unit_test(stray_bytes),
        cmocka_unit_test(not_http_at_all),
        cmocka_unit_test(encoding_is_metadata_on_s3),
        cmocka_unit_test(cloud_storage_must_not_unpack),
    };

    return http_case_run("bodies", tests, COUNT(tests));
}
