/* SPDX-License-Identifier: MIT */
/*
 * The fault server when nothing is planned: objects and ranges, conditions, errors in the style of
 * each store, listings, scripted routes, the log, and its pattern. Faults:
 * test_fault_server_faults.c.
 */
#define _GNU_SOURCE
#include "fault_server_case.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SIZE = CASE_SIZE };

/* The shared case, with its client connected. */
static int setup(void **state)
{
    struct server_case *f;

    case_setup(state);
    f = *state;
    case_connect(&f->client, f->server);
    return 0;
}

static void expect(struct server_case *f, const char *path, const char *headers, int status,
                   const char *content_range)
{
    struct raw_answer answer = case_get(&f->client, path, headers, SIZE_MAX);
    assert_int_equal(answer.end, RAW_OPEN);
    assert_int_equal(answer.status, status);
    assert_true(raw_has(&answer, "Content-Range", content_range));
    raw_answer_free(&answer);
}

/* A range of /b/k has these bytes. */
static void expect_range(struct server_case *f, const char *range, uint64_t first, uint64_t count)
{
    struct raw_answer answer;
    struct server_text line = {0};

    server_text_print(&line, "Range: bytes=%s\r\n", range);
    answer = case_get(&f->client, "/b/k", line.at, SIZE_MAX);
    assert_int_equal(answer.status, 206);
    assert_int_equal(answer.body.used, count);
    assert_int_equal(server_pattern_check(CASE_PATTERN, first, answer.body.at, count), -1);
    server_text_clear(&line);
    server_text_print(&line, "bytes %llu-%llu/%d", (unsigned long long)first,
                      (unsigned long long)(first + count - 1), SIZE);
    assert_true(raw_has(&answer, "Content-Range", line.at));
    server_text_free(&line);
    raw_answer_free(&answer);
}

static void ranges(void **state)
{
    struct server_case *f = *state;

    expect_range(f, "0-0", 0, 1);
    expect_range(f, "7-30", 7, 24);
    expect_range(f, "99990-", 99990, 10);
    expect_range(f, "99990-18446744073709551614", 99990, 10);
    expect_range(f, "-13", SIZE - 13, 13);
    expect_range(f, "-200000", 0, SIZE);
    expect(f, "/b/k", "Range: bytes=100000-\r\n", 416, "bytes */100000");
    expect(f, "/b/k", "Range: bytes=-0\r\n", 416, "bytes */100000");
    /* No ranges in RFC 9110's sense, or several: the whole object. */
    expect(f, "/b/k", "", 200, NULL);
    expect(f, "/b/k", "Range: bytes=5-4\r\n", 200, NULL);
    expect(f, "/b/k", "Range: bytes=x\r\n", 200, NULL);
    expect(f, "/b/k", "Range: bytes=0-1,4-5\r\n", 200, NULL);
    expect(f, "/b/k", "x-ms-range: bytes=3-4\r\n", 206, "bytes 3-4/100000");
    /* All of them over one connection. */
    assert_int_equal(server_connection_count(f->server), 1);
}

static void an_empty_object_has_no_range(void **state)
{
    struct server_case *f = *state;

    server_put(f->server, &(struct server_object){.path = "/b/empty", .bytes = "", .size = 0});
    expect(f, "/b/empty", "", 200, NULL);
    expect(f, "/b/empty", "Range: bytes=0-\r\n", 416, "bytes */0");
    expect(f, "/b/empty", "Range: bytes=-5\r\n", 416, "bytes */0");
}

static void conditions(void **state)
{
    struct server_case *f = *state;
    struct server_object object = {.path = "/b/c", .bytes = "one", .size = 3, .etag = "\"e1\""};
    struct raw_answer answer;

    server_put(f->server, &object);
    expect(f, "/b/c", "If-Match: \"e1\"\r\n", 200, NULL);
    expect(f, "/b/c", "If-Match: \"e0\", \"e1\"\r\n", 200, NULL);
    expect(f, "/b/c", "If-Match: *\r\n", 200, NULL);
    expect(f, "/b/c", "If-Match: \"e2\"\r\n", 412, NULL);
    expect(f, "/b/c", "If-Match: W/\"e1\"\r\n", 412, NULL);
    raw_get(&f->client, "/b/c", "If-None-Match: W/\"e1\"\r\n");
    raw_receive_head(&f->client, &answer);
    assert_int_equal(answer.status, 304);
    raw_answer_free(&answer);
    /* The object is replaced: the old validator does not match any more. */
    object.etag = "W/\"e2\"";
    server_put(f->server, &object);
    expect(f, "/b/c", "If-Match: \"e1\"\r\n", 412, NULL);
    expect(f, "/b/c", "If-Match: W/\"e2\"\r\n", 412, NULL);
    assert_int_equal(server_remove(f->server, "/b/c"), 0);
    assert_int_equal(server_remove(f->server, "/b/c"), -ENOENT);
    expect(f, "/b/c", "", 404, NULL);
}

static void head_has_no_body(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    raw_send(&f->client, "HEAD /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_receive_head(&f->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(raw_has(&answer, "Content-Length", "100000"));
    raw_answer_free(&answer);
    expect_range(f, "1-2", 1, 2); /* the next answer begins right behind the head */
}

static void a_replaced_object_has_another_etag(void **state)
{
    struct server_case *f = *state;
    struct raw_answer before = case_get(&f->client, "/b/k", "", SIZE_MAX), after;

    server_put(f->server, &(struct server_object){.path = "/b/k", .pattern_id = 4, .size = SIZE});
    after = case_get(&f->client, "/b/k", "", SIZE_MAX);
    assert_non_null(strstr(before.head.at, "ETag: \"v1-"));
    assert_non_null(strstr(after.head.at, "ETag: \"v2-"));
    assert_int_equal(server_pattern_check(CASE_PATTERN, 0, before.body.at, SIZE), -1);
    assert_int_equal(server_pattern_check(4, 0, after.body.at, SIZE), -1);
    assert_int_equal(server_pattern_check(4, 0, before.body.at, SIZE), 5);
    raw_answer_free(&before);
    raw_answer_free(&after);
}

static void missing(void **unused)
{
    static const struct {
        enum server_style style;
        const char *key, *bucket, *header;
    } cases[] = {
        {SERVER_PLAIN, "no such object", "no such object", NULL},
        {SERVER_S3, "<Code>NoSuchKey</Code>", "<Code>NoSuchBucket</Code>", NULL},
        {SERVER_GCS, "<Code>NoSuchKey</Code>", "<Code>NoSuchBucket</Code>", NULL},
        {SERVER_AZURE, "<Code>BlobNotFound</Code>", "<Code>ContainerNotFound</Code>",
         "BlobNotFound"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server_case f;
        struct raw_answer answer;
        case_begin(&f, &(struct server_config){.style = cases[i].style});
        server_put(f.server, &(struct server_object){.path = "/b/k", .bytes = "x", .size = 1});
        answer = case_get(&f.client, "/b/other", "", SIZE_MAX);
        assert_int_equal(answer.status, 404);
        assert_non_null(strstr(answer.body.at, cases[i].key));
        assert_true(raw_has(&answer, "x-ms-error-code", cases[i].header));
        raw_answer_free(&answer);
        answer = case_get(&f.client, "/other/k", "", SIZE_MAX);
        assert_int_equal(answer.status, 404);
        assert_non_null(strstr(answer.body.at, cases[i].bucket));
        raw_answer_free(&answer);
        case_end(&f);
    }
}

/* The listing's keys and prefixes, each with a comma, and its continuation token. */
static void list(struct server_case *f, const char *query, const char *expected, char *token,
                 size_t room)
{
    struct raw_answer answer;
    struct server_text path = {0}, keys = {0};

    server_text_print(&path, "/b?list-type=2&%s", query);
    answer = case_get(&f->client, path.at, "", SIZE_MAX);
    assert_int_equal(answer.status, 200);
    for (const char *at = answer.body.at; (at = strpbrk(at, "<")) != NULL; at++) {
        if (strncmp(at, "<Key>", 5) == 0 || strncmp(at, "<Prefix>", 8) == 0) {
            const char *text = strchr(at, '>') + 1;
            server_text_print(&keys, "%.*s,", (int)strcspn(text, "<"), text);
        } else if (token && strncmp(at, "<NextContinuationToken>", 23) == 0) {
            assert_true(strcspn(at + 23, "<") < room);
            memcpy(token, at + 23, strcspn(at + 23, "<"));
            token[strcspn(at + 23, "<")] = 0;
        }
    }
    assert_string_equal(server_text_string(&keys), expected);
    server_text_free(&keys);
    server_text_free(&path);
    raw_answer_free(&answer);
}

static void listings(void **state)
{
    static const char *const keys[] = {"/b/a b",   "/b/d/1",      "/b/d/2",
                                       "/b/d/e/3", "/b/\xc3\xa9", "/c/x"};
    struct server_case *f = *state;
    char token[64] = "", query[128];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        server_put(f->server, &(struct server_object){.path = keys[i], .bytes = "x", .size = 1});
    list(f, "", "a b,d/1,d/2,d/e/3,k,\xc3\xa9,", NULL, 0);
    list(f, "encoding-type=url", "a%20b,d/1,d/2,d/e/3,k,%C3%A9,", NULL, 0);
    list(f, "delimiter=%2F", "a b,d/,k,\xc3\xa9,", NULL, 0);
    list(f, "prefix=d%2F&delimiter=/", "d/1,d/2,d/e/,", NULL, 0);
    list(f, "start-after=d/2", "d/e/3,k,\xc3\xa9,", NULL, 0);
    list(f, "prefix=a+b", "a b,", NULL, 0);
    list(f, "delimiter=/&max-keys=2", "a b,d/,", token, sizeof(token));
    assert_string_not_equal(token, "");
    snprintf(query, sizeof(query), "delimiter=/&max-keys=2&continuation-token=%s", token);
    token[0] = 0;
    list(f, query, "k,\xc3\xa9,", token, sizeof(token));
    assert_string_equal(token, "");
    expect(f, "/nobucket?list-type=2", "", 404, NULL);
}

static void routes(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_record record;

    server_route(f->server,
                 &(struct server_route){.method = "PUT",
                                        .path = "/latest/api/token",
                                        .body = "TOKEN",
                                        .wants = "X-aws-ec2-metadata-token-ttl-seconds: 600\n"});
    server_route(f->server, &(struct server_route){.method = "POST",
                                                   .path = "/sts",
                                                   .status = 403,
                                                   .headers = "X-Extra: 1\r\n",
                                                   .body = "{}",
                                                   .wants_query = "v=1",
                                                   .wants_body = "Action=AssumeRole"});
    raw_send(&f->client, "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_receive(&f->client, SIZE_MAX, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.body.at,
                        "the request lacks: X-aws-ec2-metadata-token-ttl-seconds: 600\n");
    raw_answer_free(&answer);
    raw_send(&f->client, "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n"
                         "x-AWS-ec2-metadata-token-ttl-seconds:600\r\n\r\n");
    raw_receive(&f->client, SIZE_MAX, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body.at, "TOKEN");
    raw_answer_free(&answer);
    raw_send(&f->client, "POST /sts?v=1 HTTP/1.1\r\nContent-Length: 17\r\n\r\nAction=AssumeRole");
    raw_receive(&f->client, SIZE_MAX, &answer);
    assert_int_equal(answer.status, 403);
    assert_true(raw_has(&answer, "X-Extra", "1"));
    raw_answer_free(&answer);
    assert_true(server_request(f->server, 2, &record));
    assert_string_equal(record.body, "Action=AssumeRole");
    assert_int_equal(record.body_bytes, 17);
    assert_true(server_has_seen(f->server, "AssumeRole"));
}

static void the_log_has_what_was_sent(void **state)
{
    struct server_case *f = *state;
    struct server_record record;
    char value[32];

    expect(f, "/b/a%2Fb%20c?x=%41&y", "Range: bytes=1-2\r\nX-Empty:\r\n", 404, NULL);
    expect(f, "/b/k", "Range: bytes=1-2\r\n", 206, "bytes 1-2/100000");
    assert_true(server_wait_ended(f->server, 2, 20000));
    assert_int_equal(server_request_count(f->server), 2);
    assert_true(server_request(f->server, 0, &record));
    assert_string_equal(record.method, "GET");
    assert_string_equal(record.path, "/b/a/b c");
    assert_string_equal(record.query, "x=%41&y");
    assert_string_equal(record.target, "/b/a%2Fb%20c?x=%41&y");
    assert_string_equal(server_header(&record, "range", value, sizeof(value)), "bytes=1-2");
    assert_string_equal(server_header(&record, "X-Empty", value, sizeof(value)), "");
    assert_null(server_header(&record, "Rang", value, sizeof(value)));
    assert_null(server_header(&record, "Authorization", value, sizeof(value)));
    assert_int_equal(record.status, 404);
    assert_true(server_request(f->server, 1, &record));
    assert_int_equal(record.connection, 1);
    assert_int_equal(record.number, 2);
    assert_true(record.ended);
    assert_int_equal(record.sent_bytes, 2);
    assert_null(record.fault);
    assert_false(server_request(f->server, 2, &record));
    assert_true(server_has_seen(f->server, "a%2Fb"));
    assert_true(server_has_seen(f->server, "X-Empty"));
    assert_false(server_has_seen(f->server, "secret"));
}

static void files_below_a_root(void **unused)
{
    char directory[] = "/tmp/lsio-server-XXXXXX", path[64];
    struct server_case f;
    struct raw_answer answer;
    int fd;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    case_begin(&f, &(struct server_config){.root = directory});
    answer = case_get(&f.client, "/file", "Range: bytes=3-5\r\n", SIZE_MAX);
    assert_int_equal(answer.status, 206);
    assert_string_equal(answer.body.at, "345");
    raw_answer_free(&answer);
    expect(&f, "/nofile", "", 404, NULL);
    expect(&f, "/", "", 404, NULL); /* a directory */
    expect(&f, "/../etc/hostname", "", 404, NULL);
    expect(&f, "/%2e%2e/etc/hostname", "", 404, NULL);
    case_end(&f);
    unlink(path);
    rmdir(directory);
}

static void addresses_of_loopback_only(void **unused)
{
    struct server *server;
    struct raw_client client;

    assert_int_equal(server_create(&(struct server_config){.address = "0.0.0.0"}, &server),
                     -EINVAL);
    assert_int_equal(server_create(&(struct server_config){.address = "10.0.0.1"}, &server),
                     -EINVAL);
    assert_int_equal(server_create(&(struct server_config){.relay = "10.0.0.1:80"}, &server),
                     -EINVAL);
    assert_int_equal(server_create(&(struct server_config){.address = "127.0.0.8"}, &server), 0);
    assert_true(raw_open(&client, "127.0.0.8", server_port(server)));
    raw_close(&client);
    assert_false(raw_open(&client, "127.0.0.1", server_port(server)));
    server_destroy(server);
}

static void what_is_not_taken_is_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"rubbish\r\n\r\n", 400},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
        {"PUT /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413},
    };
    struct server_case *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raw_answer answer;
        case_reconnect(&f->client, f->server);
        raw_send(&f->client, cases[i].request);
        raw_receive(&f->client, SIZE_MAX, &answer);
        assert_int_equal(answer.status, cases[i].status);
        raw_answer_free(&answer);
    }
    assert_int_equal(server_request_count(f->server), 0);
}

static void the_pattern_tells_misplaced_bytes(void **unused)
{
    unsigned char bytes[64], part[64];

    server_pattern(9, 1000, bytes, sizeof(bytes));
    for (unsigned offset = 0; offset < 20; offset++) { /* any alignment, any length */
        server_pattern(9, 1000 + offset, part, sizeof(part) - 20);
        assert_memory_equal(part, bytes + offset, sizeof(part) - 20);
    }
    assert_int_equal(server_pattern_check(9, 1000, bytes, sizeof(bytes)), -1);
    assert_true(server_pattern_check(9, 1001, bytes, sizeof(bytes)) >= 0);
    bytes[40] ^= 1;
    assert_int_equal(server_pattern_check(9, 1000, bytes, sizeof(bytes)), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranges, setup, case_teardown),
        cmocka_unit_test_setup_teardown(an_empty_object_has_no_range, setup, case_teardown),
        cmocka_unit_test_setup_teardown(conditions, setup, case_teardown),
        cmocka_unit_test_setup_teardown(head_has_no_body, setup, case_teardown),
        cmocka_unit_test_setup_teardown(a_replaced_object_has_another_etag, setup, case_teardown),
        cmocka_unit_test(missing),
        cmocka_unit_test_setup_teardown(listings, setup, case_teardown),
        cmocka_unit_test_setup_teardown(routes, setup, case_teardown),
        cmocka_unit_test_setup_teardown(the_log_has_what_was_sent, setup, case_teardown),
        cmocka_unit_test(files_below_a_root),
        cmocka_unit_test(addresses_of_loopback_only),
        cmocka_unit_test_setup_teardown(what_is_not_taken_is_refused, setup, case_teardown),
        cmocka_unit_test(the_pattern_tells_misplaced_bytes),
    };

    return cmocka_run_group_tests_name("fault server", tests, NULL, NULL);
}
