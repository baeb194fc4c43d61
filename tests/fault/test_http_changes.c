/* SPDX-License-Identifier: MIT */
/*
 * Objects that change while they are read: every answer is compared with the first one of the
 * batch, whatever the server does with If-Match.
 *
 * LSIO_ROWS: H17
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 31, PART = 1 << 20, SIZE = 3 << 20 };

/* Reads of SIZE bytes are made in three parts, one after the other. */
static void begin(struct http_case *c)
{
    http_case_open(c, "%s/data", "split_bytes=1M", "concurrency_max=1", NULL);
}

static void put(struct http_case *c, const char *etag, const char *last_modified)
{
    assert_int_equal(server_put(c->server, &(struct server_object){.path = "/data/k",
                                                                   .pattern_id = ID,
                                                                   .size = SIZE,
                                                                   .etag = etag,
                                                                   .last_modified = last_modified}),
                     0);
}

static void plan_header(struct http_case *c, uint32_t nth, const char *name, const char *text)
{
    http_case_plan(c, "/data/k", nth,
                   &(struct server_fault){.kind = SERVER_HEADER, .name = name, .text = text});
}

/* The first answer fixes the version, and all later requests name it. */
static void later_parts_name_the_version(void **state)
{
    struct http_case *c = *state;

    begin(c);
    put(c, "\"v1\"", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_true(http_case_requests(c) >= 2);
    assert_string_equal(http_case_header(c, 0, "if-match"), "");
    for (unsigned i = 1; i < http_case_requests(c); i++)
        assert_string_equal(http_case_header(c, i, "if-match"), "\"v1\"");
}

/* A server that ignores If-Match and sends the rest of another version. */
static void another_version_is_seen(void **state)
{
    static const struct {
        const char *etag, *last_modified; /* of the object */
        const char *name, *text;          /* of the second answer */
    } rows[] = {
        {"\"v1\"", NULL, "ETag", "\"v2\""},
        {"\"v1\"", NULL, "Content-Range", NULL}, /* replaced below: another total */
        {"W/\"w\"", NULL, "Last-Modified", "Thu, 01 Jan 2026 00:00:01 GMT"},
        {"", NULL, "Last-Modified", "Thu, 01 Jan 2026 00:00:01 GMT"},
    };
    struct http_case *c = *state;

    begin(c);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *text = rows[i].text;
        char range[64];
        put(c, rows[i].etag, rows[i].last_modified);
        if (!text) {
            snprintf(range, sizeof(range), "bytes %d-%d/%d", PART, 2 * PART - 1, SIZE + 1);
            text = range;
        }
        plan_header(c, 2, rows[i].name, text);
        assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CHANGED);
    }
}

/* Weak and empty validators are compared, but never sent. */
static void weak_validators_are_not_sent(void **state)
{
    static const char *const etags[] = {"W/\"w\"", "", "\"\""};
    struct http_case *c = *state;

    begin(c);
    for (size_t i = 0; i < COUNT(etags); i++) {
        unsigned before = http_case_requests(c);
        put(c, etags[i], NULL);
        http_case_expect(c, "k", ID, 0, SIZE);
        for (unsigned r = before; r < http_case_requests(c); r++)
            assert_string_equal(http_case_header(c, r, "if-match"), "");
    }
}

static void precondition_failed(void **state)
{
    struct http_case *c = *state;

    begin(c);
    put(c, NULL, NULL);
    http_case_plan(c, "/data/k", 2, &(struct server_fault){.kind = SERVER_STATUS, .status = 412});
    assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CHANGED);
}

/* Broken off, and another version when the rest is asked for: not a byte of a mixture. */
static void changed_before_the_rest(void **state)
{
    struct http_case *c = *state;

    begin(c);
    put(c, "\"v1\"", NULL);
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 5000});
    plan_header(c, 1, "ETag", "\"v2\"");
    assert_int_equal(http_case_read(c, "k", 0, PART), LSIO_E_CHANGED);
    assert_int_equal(http_case_requests(c), 2);
}

/* The version that the caller names. */
static void expected_etag(void **state)
{
    struct http_case *c = *state;
    struct lsio_chunk chunk = {.length = 10, .dst = c->memory, .dst_bytes = 10};
    struct lsio_object object;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);

    begin(c);
    put(c, "\"v1\"", NULL);
    object = (struct lsio_object){.store = c->store, .key = "k", .etag = "\"v1\""};
    assert_int_equal(lsio_read_batch(c->context, &request), 0);
    assert_string_equal(http_case_header(c, 0, "if-match"), "\"v1\"");
    object.etag = "\"v0\"";
    assert_int_equal(lsio_read_batch(c->context, &request), LSIO_E_CHANGED);
    plan_header(c, 1, "ETag", "\"v3\""); /* a server that ignores If-Match */
    object.etag = "\"v1\"";
    assert_int_equal(lsio_read_batch(c->context, &request), LSIO_E_CHANGED);
    object.etag = "\"v1\"\r\nX-Evil: yes";
    assert_int_equal(lsio_read_batch(c->context, &request), -EINVAL);
    assert_false(server_has_seen(c->server, "X-Evil"));
}

/* Cloud Storage's generations count where there is no ETag. */
static void generations(void **state)
{
    struct http_case *c = *state;
    struct server_object object = {.path = "/bucket/k",
                                   .pattern_id = ID,
                                   .size = SIZE,
                                   .etag = "",
                                   .headers = "x-goog-generation: 1700000000000001\r\n"};

    http_case_serve(c, &(struct server_config){.style = SERVER_GCS});
    http_case_open(c, "gs://bucket", "base_url=%s", "skip_signature=true", "split_bytes=1M",
                   "concurrency_max=1", NULL);
    assert_int_equal(server_put(c->server, &object), 0);
    http_case_expect(c, "k", ID, 0, SIZE);
    http_case_plan(c, "/bucket/k", 2,
                   &(struct server_fault){.kind = SERVER_HEADER,
                                          .name = "x-goog-generation",
                                          .text = "1700000000000002"});
    assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CHANGED);
}

/* --------------------------------------------------------------------------------- restart -- */

/* Broken off in the middle of version 1, whose place version 2 has taken since: all of it is of
 * version 2. */
static void restarted_after_412(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data", "on_change=restart", NULL);
    put(c, "\"v1\"", NULL);
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 5000});
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = SERVER_STATUS, .status = 412});
    plan_header(c, 1, "ETag", "\"v2\"");
    http_case_expect(c, "k", ID, 100, 50000);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_header(c, 1, "if-match"), "\"v1\"");
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=5100-50099");
    assert_string_equal(http_case_header(c, 2, "if-match"), "");
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=100-50099");
}

/* The same where the server knows no preconditions, and just sends the rest of another version. */
static void restarted_after_another_answer(void **state)
{
    static const char later[] = "Thu, 01 Jan 2026 00:00:01 GMT";
    struct http_case *c = *state;

    http_case_open(c, "%s/data", "on_change=restart", NULL);
    put(c, "", NULL);
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 5000});
    plan_header(c, 1, "Last-Modified", later);
    plan_header(c, 1, "Last-Modified", later);
    http_case_expect(c, "k", ID, 100, 50000);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_header(c, 1, "range"), "bytes=5100-50099");
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=100-50099");
}

static void restarted_once(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data", "on_change=restart", NULL);
    put(c, "\"v1\"", NULL);
    http_case_plan(c, "/data/k", 1, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 5000});
    http_case_plan(c, "/data/k", 1,
                   &(struct server_fault){.kind = SERVER_STATUS, .status = 412, .times = 2});
    assert_int_equal(http_case_read(c, "k", 100, 50000), LSIO_E_CHANGED);
    assert_int_equal(http_case_requests(c), 3);
}

/* What was delivered stays what it was: then a change is an error for the rest. */
static void not_after_a_delivery(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data", "on_change=restart", "split_bytes=1M", "concurrency_max=1", NULL);
    put(c, "\"v1\"", NULL);
    plan_header(c, 2, "ETag", "\"v2\"");
    assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_CHANGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_parts_name_the_version),
        cmocka_unit_test(another_version_is_seen),
        cmocka_unit_test(weak_validators_are_not_sent),
        cmocka_unit_test(precondition_failed),
        cmocka_unit_test(changed_before_the_rest),
        cmocka_unit_test(expected_etag),
        cmocka_unit_test(generations),
        cmocka_unit_test(restarted_after_412),
        cmocka_unit_test(restarted_after_another_answer),
        cmocka_unit_test(restarted_once),
        cmocka_unit_test(not_after_a_delivery),
    };

    return http_case_run("changes", tests, COUNT(tests));
}
