/* SPDX-License-Identifier: MIT */
/*
 * The fault server as a relay before another fault server, and as a proxy: requests go out as they
 * came, answers come back as they were, and faults happen on the way.
 */
#define _GNU_SOURCE
#include "fault_server_case.h"

enum { SIZE = 1000000 };

struct fixture {
    struct server *origin, *relay;
    struct raw_client client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char address[64];

    f->origin = case_server(&(struct server_config){.style = SERVER_S3});
    case_put(f->origin, "/b/k", 5, SIZE);
    snprintf(address, sizeof(address), "127.0.0.1:%u", server_port(f->origin));
    f->relay = case_server(&(struct server_config){.relay = address});
    case_connect(&f->client, f->relay);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    raw_close(&f->client);
    case_server_end(f->relay);
    case_server_end(f->origin);
    free(f);
    return 0;
}

static void expect(struct fixture *f, const char *lines, int status, uint64_t first, size_t count)
{
    struct raw_answer answer = case_get(&f->client, "/b/k", lines, 2 * SIZE);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.body.used, count);
    assert_int_equal(server_pattern_check(5, first, server_text_string(&answer.body), count), -1);
    raw_answer_free(&answer);
}

static void passes_on_as_it_came(void **state)
{
    static const char request[] = "GET /b//k%2B?x=%41 HTTP/1.1\r\nhOsT:  bucket.example\r\n"
                                  "Authorization: AWS4-HMAC-SHA256 x\r\n\r\n";
    struct fixture *f = *state;
    struct server_record record;
    struct raw_answer answer;
    char value[64];

    raw_send(&f->client, request);
    raw_receive(&f->client, SIZE, &answer);
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(answer.body.at, "NoSuchKey"));
    assert_true(raw_has(&answer, "x-amz-request-id", "fault-server"));
    raw_answer_free(&answer);
    assert_true(server_request(f->origin, 0, &record));
    assert_string_equal(record.target, "/b//k%2B?x=%41");
    assert_string_equal(record.headers, "hOsT:  bucket.example\r\n"
                                        "Authorization: AWS4-HMAC-SHA256 x\r\n");
    assert_string_equal(server_header(&record, "Host", value, sizeof(value)), "bucket.example");
    expect(f, "", 200, 0, SIZE);
    expect(f, "Range: bytes=10-29\r\n", 206, 10, 20);
    raw_send(&f->client, "HEAD /b/k HTTP/1.1\r\n\r\n");
    raw_receive_head(&f->client, &answer);
    assert_true(raw_has(&answer, "Content-Length", "1000000"));
    raw_answer_free(&answer);
    raw_send(&f->client, "PUT /b/new HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    raw_receive(&f->client, SIZE, &answer);
    assert_int_equal(answer.status, 405);
    raw_answer_free(&answer);
    assert_true(server_request(f->origin, 4, &record));
    assert_string_equal(record.body, "hello");
    assert_int_equal(server_connection_count(f->origin), 1);
}

static void framings_of_the_origin(void **state)
{
    struct fixture *f = *state;
    struct raw_answer answer;

    server_plan(f->origin, NULL, &(struct server_fault){.kind = SERVER_CHUNKED});
    server_plan(f->origin, &(struct server_match){.nth = 2},
                &(struct server_fault){.kind = SERVER_UNSIZED});
    raw_get(&f->client, "/b/k", "Range: bytes=0-9\r\n");
    raw_receive_head(&f->client, &answer);
    assert_true(raw_has(&answer, "Transfer-Encoding", "chunked"));
    assert_int_equal(raw_receive_bytes(&f->client, 3 + 10 + 2 + 5, &answer.body), RAW_OPEN);
    assert_int_equal(server_pattern_check(5, 0, answer.body.at + 3, 10), -1);
    assert_string_equal(answer.body.at + 13, "\r\n0\r\n\r\n");
    raw_answer_free(&answer);
    answer = case_get(&f->client, "/b/k", "Range: bytes=7-9\r\n", SIZE);
    assert_int_equal(answer.end, RAW_FIN);
    assert_int_equal(answer.body.used, 3);
    raw_answer_free(&answer);
}

static void faults_on_the_way(void **state)
{
    struct fixture *f = *state;
    struct raw_answer answer;

    server_plan(f->relay, NULL, &(struct server_fault){.kind = SERVER_STATUS, .status = 503});
    server_plan(f->relay, &(struct server_match){.nth = 2},
                &(struct server_fault){.kind = SERVER_HEADER, .name = "ETag", .text = "\"other\""});
    server_plan(f->relay, &(struct server_match){.nth = 3},
                &(struct server_fault){.kind = SERVER_WHOLE});
    server_plan(f->relay, &(struct server_match){.nth = 4},
                &(struct server_fault){.kind = SERVER_FLIP, .bytes = 300000});
    server_plan(f->relay, &(struct server_match){.nth = 5},
                &(struct server_fault){.kind = SERVER_SHORT, .bytes = 10});
    server_plan(f->relay, &(struct server_match){.nth = 6},
                &(struct server_fault){.kind = SERVER_RESET, .bytes = 7000});
    answer = case_get(&f->client, "/b/k", "", SIZE);
    assert_int_equal(answer.status, 503);
    assert_int_equal(server_request_count(f->origin), 0);
    raw_answer_free(&answer);
    answer = case_get(&f->client, "/b/k", "Range: bytes=0-4\r\n", SIZE);
    assert_true(raw_has(&answer, "ETag", "\"other\""));
    raw_answer_free(&answer);
    expect(f, "Range: bytes=0-4\r\n", 200, 0, SIZE);
    answer = case_get(&f->client, "/b/k", "", SIZE);
    assert_int_equal(server_pattern_check(5, 0, answer.body.at, SIZE), 300000);
    raw_answer_free(&answer);
    expect(f, "Range: bytes=0-99\r\n", 206, 0, 90);
    answer = case_get(&f->client, "/b/k", "", SIZE);
    assert_int_equal(answer.end, RAW_RESET);
    assert_int_equal(answer.body.used, 7000);
    raw_answer_free(&answer);
}

static void the_origin_goes_away(void **state)
{
    struct fixture *f = *state;
    struct raw_answer answer;

    expect(f, "Range: bytes=0-4\r\n", 206, 0, 5);
    /* It closes the connection when the next request comes; the relay asks again on a new one. */
    server_plan(f->origin, NULL,
                &(struct server_fault){.kind = SERVER_CLOSE, .place = SERVER_BEFORE_HEAD});
    expect(f, "Range: bytes=1-4\r\n", 206, 1, 4);
    assert_int_equal(server_connection_count(f->origin), 2);
    /* It breaks off within a body: so does the relay. */
    server_plan(f->origin, NULL, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 50});
    expect(f, "", 200, 0, 50);
    case_reconnect(&f->client, f->relay);
    server_plan(f->origin, NULL, &(struct server_fault){.kind = SERVER_ACCEPT_CLOSE});
    answer = case_get(&f->client, "/b/k", "", SIZE);
    assert_int_equal(answer.status, 502);
    raw_answer_free(&answer);
}

static void as_a_proxy(void **state)
{
    struct fixture *f = *state;
    struct raw_answer answer;
    struct server_record record;
    struct server_text connect = {0};

    raw_send(&f->client, "GET http://somewhere.example/b/k HTTP/1.1\r\nRange: bytes=0-4\r\n\r\n");
    raw_receive(&f->client, SIZE, &answer);
    assert_int_equal(answer.status, 206);
    raw_answer_free(&answer);
    assert_true(server_request(f->relay, 0, &record));
    assert_string_equal(record.path, "/b/k");
    assert_string_equal(record.target, "http://somewhere.example/b/k");

    server_plan(f->relay, &(struct server_match){.method = "CONNECT"},
                &(struct server_fault){.kind = SERVER_STATUS, .status = 407});
    server_text_print(&connect, "CONNECT somewhere.example:%u HTTP/1.1\r\n\r\n",
                      server_port(f->origin));
    raw_send(&f->client, connect.at);
    raw_receive(&f->client, SIZE, &answer);
    assert_int_equal(answer.status, 407);
    raw_answer_free(&answer);
    raw_send(&f->client, connect.at);
    server_text_free(&connect);
    raw_receive_head(&f->client, &answer);
    assert_int_equal(answer.status, 200);
    raw_answer_free(&answer);
    expect(f, "Range: bytes=3-999\r\n", 206, 3, 997);
    expect(f, "", 200, 0, SIZE);
    assert_int_equal(server_request_count(f->relay), 3); /* the tunnel's are not its own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passes_on_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(framings_of_the_origin, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_on_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(the_origin_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(as_a_proxy, setup, teardown),
    };

    return cmocka_run_group_tests_name("fault server as a relay", tests, NULL, NULL);
}
