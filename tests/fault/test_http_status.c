/* SPDX-License-Identifier: MIT */
/*
 * Answers that are errors: which end a read and with what status, which are tried again and how
 * often, and that only a proven absence is absence.
 *
 * LSIO_ROWS: H6 H7 H8 H9 H27
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 3, SIZE = 100000, ATTEMPTS = 3 };

static void begin(struct http_case *c, enum server_style style, const char *option)
{
    if (style == SERVER_S3)
        http_case_open_s3(c, option);
    else if (style == SERVER_GCS)
        http_case_open_gcs(c, option);
    else if (style == SERVER_AZURE)
        http_case_open_azure(c, option);
    else
        http_case_open(c, "%s/bucket", option, NULL);
    http_case_put(c, style == SERVER_AZURE ? "/account/bucket/k" : "/bucket/k", ID, SIZE);
}

/* ------------------------------------------------------------------------------- the table -- */

struct row {
    enum server_style style;
    int code;
    const char *name; /* of the error */
    int status;
    unsigned requests; /* when the answer stays the same */
};

static const struct row rows[] = {
    /* H6: absence */
    {SERVER_PLAIN, 404, NULL, -ENOENT, 1},
    {SERVER_PLAIN, 410, NULL, -ENOENT, 1},
    {SERVER_S3, 404, "NoSuchKey", -ENOENT, 1},
    {SERVER_S3, 404, "NoSuchVersion", -ENOENT, 1},
    {SERVER_S3, 404, "NoSuchBucket", LSIO_E_HTTP, 1},
    {SERVER_S3, 404, "SomethingNew", LSIO_E_HTTP, 1},
    {SERVER_GCS, 404, "NoSuchKey", -ENOENT, 1},
    {SERVER_AZURE, 404, "BlobNotFound", -ENOENT, 1},
    {SERVER_AZURE, 404, "ContainerNotFound", LSIO_E_HTTP, 1},
    {SERVER_AZURE, 404, "ResourceNotFound", LSIO_E_HTTP, 1},
    {SERVER_S3, 410, NULL, LSIO_E_HTTP, 1},
    /* H7: permission; what may be stale is asked again once */
    {SERVER_PLAIN, 403, NULL, -EACCES, 1},
    {SERVER_S3, 403, "AccessDenied", -EACCES, 1},
    {SERVER_S3, 403, "SignatureDoesNotMatch", -EACCES, 1},
    {SERVER_S3, 403, "ExpiredToken", -EACCES, 2},
    {SERVER_S3, 403, "RequestTimeTooSkewed", -EACCES, 2},
    {SERVER_S3, 400, "ExpiredToken", -EACCES, 2},
    {SERVER_AZURE, 403, "AuthorizationFailure", -EACCES, 1},
    /* H8: no use in asking again */
    {SERVER_PLAIN, 401, NULL, -EACCES, 1},
    {SERVER_S3, 401, "InvalidToken", -EACCES, 2},
    {SERVER_PLAIN, 400, NULL, LSIO_E_HTTP, 1},
    {SERVER_S3, 400, "InvalidArgument", LSIO_E_HTTP, 1},
    {SERVER_PLAIN, 405, NULL, LSIO_E_HTTP, 1},
    {SERVER_PLAIN, 409, NULL, LSIO_E_HTTP, 1},
    {SERVER_PLAIN, 411, NULL, LSIO_E_HTTP, 1},
    {SERVER_PLAIN, 412, NULL, LSIO_E_CHANGED, 1},
    {SERVER_AZURE, 412, "ConditionNotMet", LSIO_E_CHANGED, 1},
    {SERVER_PLAIN, 418, NULL, LSIO_E_HTTP, 1},
    {SERVER_PLAIN, 501, NULL, LSIO_E_HTTP, 1},
    /* H8, H9: passing trouble */
    {SERVER_S3, 400, "RequestTimeout", LSIO_E_HTTP, ATTEMPTS},
    {SERVER_S3, 400, "InternalError", LSIO_E_HTTP, ATTEMPTS},
    {SERVER_PLAIN, 408, NULL, LSIO_E_HTTP, ATTEMPTS},
    {SERVER_PLAIN, 429, NULL, LSIO_E_THROTTLED, ATTEMPTS},
    {SERVER_S3, 503, "SlowDown", LSIO_E_THROTTLED, ATTEMPTS},
    {SERVER_AZURE, 503, "ServerBusy", LSIO_E_THROTTLED, ATTEMPTS},
    {SERVER_PLAIN, 500, NULL, LSIO_E_HTTP, ATTEMPTS},
    {SERVER_PLAIN, 502, NULL, LSIO_E_HTTP, ATTEMPTS},
    {SERVER_PLAIN, 504, NULL, LSIO_E_HTTP, ATTEMPTS},
};

static void row_check(struct http_case *c, const struct row *row)
{
    struct server_fault fault = {
        .kind = SERVER_STATUS, .status = row->code, .code = row->name, .times = row->requests};
    unsigned before = http_case_requests(c);
    int status;

    http_case_plan(c, NULL, 0, &fault);
    status = http_case_read(c, "k", 10, 1000);
    if (status != row->status || http_case_requests(c) - before != row->requests)
        fail_msg("style %d, %d %s: %s after %u requests: %s", row->style, row->code,
                 row->name ? row->name : "", lsio_status_name(status),
                 http_case_requests(c) - before, c->error.text);
    assert_int_equal(c->error.code, row->code);
    assert_int_equal(c->error.attempts, row->requests);
    if (row->name)
        assert_non_null(strstr(c->error.text, row->name));
    assert_int_equal(c->memory[0], 0xEE); /* the text of an error is never data */
    http_case_expect(c, "k", ID, 10, 1000);
}

static void rows_of(struct http_case *c, enum server_style style)
{
    begin(c, style, "retry_attempts_max=3");
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].style == style)
            row_check(c, &rows[i]);
}

static void plain_http(void **state)
{
    rows_of(*state, SERVER_PLAIN);
}

static void s3(void **state)
{
    rows_of(*state, SERVER_S3);
}

static void cloud_storage(void **state)
{
    rows_of(*state, SERVER_GCS);
}

static void azure(void **state)
{
    rows_of(*state, SERVER_AZURE);
}

/* What the server calls the request by, to find it in its logs. */
static void request_ids_are_kept(void **state)
{
    static const enum server_style styles[] = {SERVER_S3, SERVER_GCS, SERVER_AZURE};
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(styles); i++) {
        begin(c, styles[i], NULL);
        assert_int_equal(http_case_read(c, "absent", 0, 10), -ENOENT);
        assert_string_equal(c->error.request_id, "fault-server");
        server_destroy(c->server);
        c->server = NULL;
    }
}

/* ----------------------------------------------------------------------------- H6: absence -- */

static void plan_bare_404(struct http_case *c)
{
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_STATUS, .status = 404});
}

/* A 404 that does not say of what: one listing of that name shows whether the bucket is there. */
static void bare_404_is_asked_about(struct http_case *c, enum server_style style, const char *query)
{
    struct server_record record;

    begin(c, style, NULL);
    /* the fault server lists for the others */
    assert_int_equal(
        server_route(c->server, &(struct server_route){.path = "/account/bucket",
                                                       .wants_query = "comp=list",
                                                       .body = "<EnumerationResults/>"}),
        0);
    plan_bare_404(c);
    assert_int_equal(http_case_read(c, "a b", 0, 10), -ENOENT);
    assert_int_equal(http_case_requests(c), 2);
    record = http_case_request(c, 1);
    assert_string_equal(record.query, query);
    assert_int_equal(c->error.code, 404);
    plan_bare_404(c); /* from now on it is known that the store answers */
    assert_int_equal(http_case_read(c, "other", 0, 10), -ENOENT);
    assert_int_equal(http_case_requests(c), 3);
}

static void bare_404_of_s3(void **state)
{
    bare_404_is_asked_about(*state, SERVER_S3, "list-type=2&max-keys=1&prefix=a%20b");
    assert_non_null(strstr(http_case_header(*state, 1, "authorization"), "Signature="));
}

static void bare_404_of_cloud_storage(void **state)
{
    bare_404_is_asked_about(*state, SERVER_GCS, "list-type=2&max-keys=1&prefix=a%20b");
}

static void bare_404_of_azure(void **state)
{
    bare_404_is_asked_about(*state, SERVER_AZURE,
                            "comp=list&maxresults=1&prefix=a%20b&restype=container");
}

/* The listing is refused as well: then nothing is proven. */
static void bare_404_without_a_bucket(void **state)
{
    static const int codes[] = {404, 400, 410};
    struct http_case *c = *state;

    begin(c, SERVER_S3, NULL);
    for (size_t i = 0; i < COUNT(codes); i++) {
        plan_bare_404(c);
        http_case_plan(c, NULL, 0,
                       &(struct server_fault){.kind = SERVER_STATUS, .status = codes[i]});
        assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
        assert_int_equal(http_case_requests(c), 2 * (i + 1));
        assert_int_equal(c->error.code, codes[i]);
    }
    plan_bare_404(c);
    http_case_plan(
        c, NULL, 0,
        &(struct server_fault){.kind = SERVER_STATUS, .status = 404, .code = "NoSuchKey"});
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
}

static void missing_bucket_is_not_missing(void **state)
{
    struct http_case *c = *state;

    begin(c, SERVER_S3, NULL);
    http_case_open(c, "s3://absent", "endpoint=%s", "access_key_id=id", "secret_access_key=secret",
                   NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_non_null(strstr(c->error.text, "NoSuchBucket"));
}

/* ----------------------------------------------------------------------------- H7, H8, H27 -- */

static void missing_on_403(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"};

    begin(c, SERVER_S3, "missing_on_403=true");
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ENOENT);
    fault.name = "x-amz-bucket-region"; /* the one that was asked: no news */
    fault.text = "us-east-1";
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ENOENT);
    assert_int_equal(http_case_requests(c), 2);
    fault.code = "SignatureDoesNotMatch";
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, 10), -EACCES);
}

/* The second request is signed with the server's time, and so is every one after it. */
static void clock_skew_is_learned(void **state)
{
    struct http_case *c = *state;
    static const char skewed[] =
        "HTTP/1.1 403 Forbidden\r\nDate: Wed, 01 Mar 2006 12:00:00 GMT\r\n"
        "Connection: close\r\nContent-Type: application/xml\r\n\r\n"
        "<Error><Code>RequestTimeTooSkewed</Code><Message>later</Message></Error>";

    begin(c, SERVER_S3, NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RAW, .text = skewed});
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 2);
    assert_int_not_equal(strncmp(http_case_header(c, 0, "x-amz-date"), "20060301T1", 10), 0);
    assert_int_equal(strncmp(http_case_header(c, 1, "x-amz-date"), "20060301T1", 10), 0);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(strncmp(http_case_header(c, 2, "x-amz-date"), "20060301T1", 10), 0);
}

/* -------------------------------------------------------------------------------------- H9 -- */

static void throttling_ends_well(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_STATUS,
                                 .status = 503,
                                 .code = "SlowDown",
                                 .name = "Retry-After",
                                 .text = "0",
                                 .times = 5};

    begin(c, SERVER_S3, NULL);
    http_case_plan(c, NULL, 0, &fault);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 6);
    assert_int_equal(api_stats(c->context).retries, 5);
}

/* What the server asks for counts more than our own pause. */
static void retry_after_is_honoured(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {
        .kind = SERVER_STATUS, .status = 503, .name = "Retry-After", .text = "1"};
    uint64_t before = api_now_ms();

    begin(c, SERVER_PLAIN, NULL);
    http_case_plan(c, NULL, 0, &fault);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_true(api_now_ms() - before >= 1000);
}

/* Retries cost tokens that a failing server uses up: it is not asked for ever. */
static void retry_tokens_run_out(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 500, .times = 115};
    unsigned asked = 0;

    begin(c, SERVER_PLAIN, "retry_attempts_max=1000");
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    asked = http_case_requests(c);
    assert_int_equal(asked, 101); /* 500 tokens, 5 for each retry */
    assert_int_equal(c->error.attempts, 101);
    for (; asked < 115; asked++)
        assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_int_equal(http_case_requests(c), 115); /* one each */
    http_case_expect(c, "k", ID, 0, SIZE);
}

static void no_retry_after_the_time_is_up(void **state)
{
    struct http_case *c = *state;

    begin(c, SERVER_PLAIN, "retry_timeout=0");
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_STATUS, .status = 500});
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_int_equal(http_case_requests(c), 1);
}

/* A chunk that fails leaves the others of its batch alone. */
static void neighbours_are_unaffected(void **state)
{
    enum { CHUNKS = 24 };
    struct http_case *c = *state;
    struct lsio_object objects[CHUNKS];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(objects, CHUNKS, chunks, CHUNKS, results);
    char keys[CHUNKS][8], path[32];

    begin(c, SERVER_S3, "retry_attempts_max=2");
    for (unsigned i = 0; i < CHUNKS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "o%02u", i);
        snprintf(path, sizeof(path), "/bucket/o%02u", i);
        http_case_put(c, path, 100 + i, 5000);
        objects[i] = (struct lsio_object){.store = c->store, .key = keys[i]};
        chunks[i] = (struct lsio_chunk){
            .object = i, .length = 5000, .dst = c->memory + i * 5000, .dst_bytes = 5000};
    }
    http_case_plan(c, "/bucket/o03", 0,
                   &(struct server_fault){.kind = SERVER_STATUS, .status = 500, .times = 2});
    http_case_plan(c, "/bucket/o07", 0,
                   &(struct server_fault){.kind = SERVER_STATUS, .status = 403});
    http_case_plan(c, "/bucket/o11", 0, &(struct server_fault){.kind = SERVER_RESET, .bytes = 9});
    assert_int_equal(server_remove(c->server, "/bucket/o20"), 0);
    assert_int_equal(lsio_read_batch(c->context, &request), LSIO_E_HTTP);
    for (unsigned i = 0; i < CHUNKS; i++) {
        int want = i == 3 ? LSIO_E_HTTP : i == 7 ? -EACCES : i == 20 ? -ENOENT : 0;
        assert_int_equal(results[i].status, want);
        if (!want)
            assert_int_equal(server_pattern_check(100 + i, 0, chunks[i].dst, 5000), -1);
    }
}

/* An error that was got over is not named as the cause of what came of a later answer. */
static void what_was_got_over_is_not_told(void **state)
{
    struct http_case *c = *state;

    begin(c, SERVER_S3, NULL);
    http_case_plan(
        c, NULL, 1,
        &(struct server_fault){.kind = SERVER_STATUS, .status = 503, .code = "SlowDown"});
    assert_int_equal(http_case_read(c, "k", SIZE - 10, 1000), LSIO_E_TRUNCATED);
    assert_int_equal(c->error.attempts, 2);
    assert_int_equal(c->error.code, 0);
    assert_null(strstr(c->error.text, "503"));
    assert_null(strstr(c->error.text, "SlowDown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_http),
        cmocka_unit_test(s3),
        cmocka_unit_test(cloud_storage),
        cmocka_unit_test(azure),
        cmocka_unit_test(request_ids_are_kept),
        cmocka_unit_test(bare_404_of_s3),
        cmocka_unit_test(bare_404_of_cloud_storage),
        cmocka_unit_test(bare_404_of_azure),
        cmocka_unit_test(bare_404_without_a_bucket),
        cmocka_unit_test(missing_bucket_is_not_missing),
        cmocka_unit_test(missing_on_403),
        cmocka_unit_test(clock_skew_is_learned),
        cmocka_unit_test(throttling_ends_well),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(retry_tokens_run_out),
        cmocka_unit_test(no_retry_after_the_time_is_up),
        cmocka_unit_test(neighbours_are_unaffected),
        cmocka_unit_test(what_was_got_over_is_not_told),
    };

    return http_case_run("status", tests, COUNT(tests));
}
