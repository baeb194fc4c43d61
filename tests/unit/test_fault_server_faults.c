/* SPDX-License-Identifier: MIT */
/*
 * Each fault of the fault server does what fault_server.h says, seen byte for byte by a client
 * without any policy; what was planned and did not happen is reported.
 */
#define _GNU_SOURCE
#include "fault_server_case.h"

#include <errno.h>
#include <time.h>

enum { SIZE = CASE_SIZE, WAIT_MS = CASE_WAIT_MS };

static void plan(struct server_case *f, struct server_fault fault)
{
    assert_int_equal(server_plan(f->server, NULL, &fault), 0);
}

/* The answer to a request for bytes 1000-1999 of the object, on a connection of its own. */
static struct raw_answer ask(struct server_case *f)
{
    struct raw_answer answer;

    case_reconnect(&f->client, f->server);
    answer = case_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n", SIZE);
    assert_int_not_equal(answer.end, RAW_SILENT);
    return answer;
}

static void check_bytes(const struct raw_answer *answer, size_t count)
{
    assert_int_equal(answer->body.used, count);
    assert_int_equal(
        server_pattern_check(CASE_PATTERN, 1000, server_text_string(&answer->body), count), -1);
}

/* The connection still works, so the answer before it ended where it should. */
static void check_next(struct server_case *f)
{
    struct raw_answer answer = case_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n", SIZE);
    assert_int_equal(answer.status, 206);
    assert_int_equal(answer.end, RAW_OPEN);
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
}

/* ------------------------------------------------------------------------------ broken off -- */

static void broken_off(void **state)
{
    static const struct {
        enum server_fault_kind kind;
        enum server_place place;
        uint64_t bytes;
        int status;
        size_t body;
        enum raw_end end;
    } cases[] = {
        {SERVER_CLOSE, SERVER_IN_BODY, 0, 206, 0, RAW_FIN},
        {SERVER_CLOSE, SERVER_IN_BODY, 300, 206, 300, RAW_FIN},
        {SERVER_TRUNCATE, SERVER_IN_BODY, 999, 206, 999, RAW_FIN},
        {SERVER_RESET, SERVER_IN_BODY, 0, 206, 0, RAW_RESET},
        {SERVER_RESET, SERVER_IN_BODY, 700, 206, 700, RAW_RESET},
        {SERVER_CLOSE, SERVER_IN_HEAD, 20, 0, 0, RAW_FIN},
        {SERVER_RESET, SERVER_IN_HEAD, 20, 0, 0, RAW_RESET},
        {SERVER_CLOSE, SERVER_BEFORE_HEAD, 0, 0, 0, RAW_FIN},
        {SERVER_RESET, SERVER_BEFORE_HEAD, 0, 0, 0, RAW_RESET},
    };
    struct server_case *f = *state;
    struct server_record record;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raw_answer answer;
        plan(f, (struct server_fault){
                    .kind = cases[i].kind, .place = cases[i].place, .bytes = cases[i].bytes});
        answer = ask(f);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(answer.end, cases[i].end);
        check_bytes(&answer, cases[i].body);
        if (cases[i].status == 0)
            assert_int_equal(answer.head.used, cases[i].bytes);
        raw_answer_free(&answer);
        assert_true(server_wait_ended(f->server, i + 1, WAIT_MS));
        assert_true(server_request(f->server, i, &record));
        assert_int_equal(record.sent_bytes, cases[i].body);
        assert_int_equal(record.status, cases[i].status);
        assert_non_null(record.fault);
    }
}

static void behind_a_whole_answer(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_text rest = {0};

    /* The answer is complete and says nothing of an end: an idle connection that is closed. */
    plan(f, (struct server_fault){.kind = SERVER_CLOSE, .bytes = 1000});
    answer = ask(f);
    assert_int_equal(answer.end, RAW_OPEN);
    check_bytes(&answer, 1000);
    assert_true(raw_has(&answer, "Connection", NULL));
    assert_int_equal(raw_receive_bytes(&f->client, 1, &rest), RAW_FIN);
    server_text_free(&rest);
    raw_answer_free(&answer);
}

static void held_until_released(void **state)
{
    static const enum server_place places[] = {SERVER_BEFORE_HEAD, SERVER_IN_HEAD, SERVER_IN_BODY};
    struct server_case *f = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct raw_answer answer;
        bool in_body = places[i] == SERVER_IN_BODY;
        plan(f, (struct server_fault){.kind = SERVER_HANG, .place = places[i], .bytes = 30});
        case_reconnect(&f->client, f->server);
        raw_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n");
        assert_true(server_wait_held(f->server, i + 1, WAIT_MS));
        if (in_body) { /* what comes before has been sent */
            raw_receive(&f->client, 30, &answer);
            check_bytes(&answer, 30);
        }
        server_release(f->server);
        if (in_body)
            assert_int_equal(raw_receive_bytes(&f->client, 1000, &answer.body), RAW_OPEN);
        else
            raw_receive(&f->client, SIZE, &answer);
        assert_int_equal(answer.end, RAW_OPEN);
        check_bytes(&answer, 1000);
        raw_answer_free(&answer);
        check_next(f);
    }
}

static void peaks(void **state)
{
    struct server_case *f = *state;
    struct raw_client clients[3];

    plan(f, (struct server_fault){.kind = SERVER_HANG, .times = 3});
    for (unsigned i = 0; i < 3; i++) {
        case_connect(&clients[i], f->server);
        raw_get(&clients[i], "/b/k", "Range: bytes=0-0\r\n");
    }
    assert_true(server_wait_held(f->server, 3, WAIT_MS));
    server_release(f->server);
    assert_true(server_wait_ended(f->server, 3, WAIT_MS));
    for (unsigned i = 0; i < 3; i++)
        raw_close(&clients[i]);
    assert_int_equal(server_request_peak(f->server), 3);
    assert_int_equal(server_connection_peak(f->server), 3);
}

/* A held connection neither outlives its client nor keeps destroy waiting. */
static void held_but_given_up(void **state)
{
    struct server_case *f = *state;

    plan(f, (struct server_fault){.kind = SERVER_HANG, .times = 2});
    for (unsigned i = 1; i <= 2; i++) {
        case_connect(&f->client, f->server);
        raw_get(&f->client, "/b/k", "");
        assert_true(server_wait_held(f->server, i, WAIT_MS));
        if (i == 1)
            raw_close(&f->client);
        assert_true(i == 2 || server_wait_ended(f->server, 1, WAIT_MS));
    }
    case_server_end(f->server);
    f->server = case_server(&(struct server_config){0});
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Lower bounds only: how late a machine is cannot be tested. */
static void slow(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    uint64_t began_ms = now_ms();

    plan(f, (struct server_fault){.kind = SERVER_DELAY, .delay_ms = 50});
    answer = ask(f);
    check_bytes(&answer, 1000);
    assert_true(now_ms() - began_ms >= 50);
    raw_answer_free(&answer);
    plan(f, (struct server_fault){
                .kind = SERVER_TRICKLE, .bytes = 980, .bytes_each = 2, .each_ms = 3});
    began_ms = now_ms();
    answer = ask(f);
    check_bytes(&answer, 1000);
    assert_true(now_ms() - began_ms >= 30);
    raw_answer_free(&answer);
    plan(f, (struct server_fault){.kind = SERVER_TRICKLE,
                                  .place = SERVER_IN_HEAD,
                                  .bytes = 10,
                                  .bytes_each = 50,
                                  .each_ms = 5});
    began_ms = now_ms();
    answer = ask(f);
    check_bytes(&answer, 1000);
    assert_true(now_ms() - began_ms >= 15);
    raw_answer_free(&answer);
    check_next(f);
}

static void paced(void **unused)
{
    struct server_case f = {0};
    struct raw_answer answer;
    uint64_t began_ms;

    case_begin(&f, &(struct server_config){.latency_ms = 20, .bytes_per_s = 1000000});
    case_put(f.server, "/b/k", CASE_PATTERN, SIZE);
    began_ms = now_ms();
    answer = case_get(&f.client, "/b/k", "", SIZE);
    /* 100,000 bytes at 1 MB/s; the last piece of 10 ms leaves at the beginning of its time. */
    assert_true(now_ms() - began_ms >= 20 + 90 - 1);
    assert_int_equal(answer.body.used, SIZE);
    raw_answer_free(&answer);
    case_end(&f);
}

/* --------------------------------------------------------------------------- other answers -- */

static void statuses(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){.kind = SERVER_STATUS,
                                  .status = 503,
                                  .code = "SlowDown",
                                  .name = "Retry-After",
                                  .text = "7",
                                  .times = 2});
    plan(f, (struct server_fault){.kind = SERVER_STATUS,
                                  .status = 301,
                                  .name = "Location",
                                  .text = "http://127.0.0.1:1/x"});
    for (int i = 0; i < 2; i++) {
        answer = ask(f);
        assert_int_equal(answer.status, 503);
        assert_true(raw_has(&answer, "Retry-After", "7"));
        assert_non_null(strstr(answer.body.at, "<Code>SlowDown</Code>"));
        raw_answer_free(&answer);
    }
    answer = ask(f);
    assert_int_equal(answer.status, 301);
    assert_true(raw_has(&answer, "Location", "http://127.0.0.1:1/x"));
    raw_answer_free(&answer);
    check_next(f);
}

static void headers(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){
                .kind = SERVER_HEADER, .name = "content-range", .text = "bytes NaN-100/100000"});
    plan(f, (struct server_fault){.kind = SERVER_HEADER, .name = "Content-Range"});
    plan(f, (struct server_fault){.kind = SERVER_HEADER, .name = "ETag", .text = "W/\"x\""});
    plan(f, (struct server_fault){.kind = SERVER_HEADER, .name = "Content-Length", .text = "2000"});
    plan(f, (struct server_fault){.kind = SERVER_HUGE_HEADERS, .count = 3, .bytes = 70000});
    answer = ask(f);
    assert_true(raw_has(&answer, "Content-Range", "bytes NaN-100/100000"));
    raw_answer_free(&answer);
    answer = ask(f);
    assert_int_equal(answer.status, 206);
    assert_true(raw_has(&answer, "Content-Range", NULL));
    raw_answer_free(&answer);
    answer = ask(f);
    assert_true(raw_has(&answer, "ETag", "W/\"x\""));
    raw_answer_free(&answer);
    case_reconnect(&f->client, f->server); /* a length that is too long leaves the client waiting */
    raw_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n");
    raw_receive_head(&f->client, &answer);
    assert_true(raw_has(&answer, "Content-Length", "2000"));
    raw_answer_free(&answer);
    answer = ask(f);
    assert_between(answer.head.used, 3 * 70000, 3 * 70000 + 1000);
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
    check_next(f);
}

static void whole_for_a_range(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){.kind = SERVER_WHOLE});
    answer = ask(f);
    assert_int_equal(answer.status, 200);
    assert_true(raw_has(&answer, "Content-Range", NULL));
    assert_int_equal(answer.body.used, SIZE);
    assert_int_equal(server_pattern_check(CASE_PATTERN, 0, answer.body.at, SIZE), -1);
    raw_answer_free(&answer);
    check_next(f);
}

static void multipart(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    const char *data;

    plan(f, (struct server_fault){.kind = SERVER_MULTIPART});
    answer = ask(f);
    assert_int_equal(answer.status, 206);
    assert_true(raw_has(&answer, "Content-Type", "multipart/byteranges; boundary=part"));
    assert_true(raw_has(&answer, "Content-Range", NULL));
    data = strstr(answer.body.at, "\r\n\r\n");
    assert_non_null(data);
    assert_int_equal(server_pattern_check(CASE_PATTERN, 1000, data + 4, 1000), -1);
    assert_memory_equal(data + 4 + 1000, "\r\n--part--\r\n", 12);
    raw_answer_free(&answer);
    check_next(f);
}

static void interim_answers(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){.kind = SERVER_INTERIM});
    case_connect(&f->client, f->server);
    raw_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n");
    raw_receive_head(&f->client, &answer);
    assert_int_equal(answer.status, 100);
    raw_answer_free(&answer);
    raw_receive_head(&f->client, &answer);
    assert_int_equal(answer.status, 103);
    raw_answer_free(&answer);
    raw_receive(&f->client, SIZE, &answer);
    assert_int_equal(answer.status, 206);
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
    check_next(f);
}

static void short_long_and_stray(void **state)
{
    static const char stray[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_text behind = {0};

    plan(f, (struct server_fault){.kind = SERVER_SHORT, .bytes = 1});
    answer = ask(f);
    assert_true(raw_has(&answer, "Content-Range", "bytes 1000-1999/100000"));
    assert_true(raw_has(&answer, "Content-Length", "999"));
    check_bytes(&answer, 999);
    raw_answer_free(&answer);
    check_next(f);
    plan(f, (struct server_fault){.kind = SERVER_LONG, .bytes = 500});
    answer = ask(f);
    assert_true(raw_has(&answer, "Content-Range", "bytes 1000-1999/100000"));
    assert_true(raw_has(&answer, "Content-Length", "1500"));
    check_bytes(&answer, 1500);
    raw_answer_free(&answer);
    check_next(f);
    plan(f, (struct server_fault){.kind = SERVER_STRAY, .text = stray});
    answer = ask(f);
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
    assert_int_equal(raw_receive_bytes(&f->client, strlen(stray), &behind), RAW_OPEN);
    assert_string_equal(behind.at, stray);
    server_text_free(&behind);
    check_next(f);
}

static void without_length(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){.kind = SERVER_UNSIZED});
    answer = ask(f);
    assert_true(raw_has(&answer, "Content-Length", NULL));
    assert_int_equal(answer.end, RAW_FIN);
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
    plan(f, (struct server_fault){.kind = SERVER_ENDLESS});
    plan(f, (struct server_fault){.kind = SERVER_ENDLESS_CHUNKS});
    for (int i = 0; i < 2; i++) {
        answer = ask(f); /* gives up after SIZE bytes */
        assert_int_equal(answer.end, RAW_OPEN);
        assert_int_equal(answer.body.used, SIZE);
        assert_true(raw_has(&answer, "Content-Length", NULL));
        assert_true(raw_has(&answer, "Transfer-Encoding", i == 0 ? NULL : "chunked"));
        raw_answer_free(&answer);
    }
}

static void chunked(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_text body = {0};

    plan(f, (struct server_fault){.kind = SERVER_CHUNKED});
    case_connect(&f->client, f->server);
    raw_get(&f->client, "/b/k", "Range: bytes=1000-1999\r\n");
    raw_receive_head(&f->client, &answer);
    assert_true(raw_has(&answer, "Transfer-Encoding", "chunked"));
    assert_true(raw_has(&answer, "Content-Length", NULL));
    raw_answer_free(&answer);
    assert_int_equal(raw_receive_bytes(&f->client, 5 + 1000 + 2 + 3 + 17 + 2, &body), RAW_OPEN);
    assert_memory_equal(body.at, "3e8\r\n", 5);
    assert_int_equal(server_pattern_check(CASE_PATTERN, 1000, body.at + 5, 1000), -1);
    assert_string_equal(body.at + 1005, "\r\n0\r\nX-Trailer: here\r\n\r\n");
    server_text_free(&body);
    check_next(f);

    plan(f, (struct server_fault){.kind = SERVER_CHUNK_BROKEN, .bytes = 100});
    answer = ask(f);
    assert_int_equal(answer.end, RAW_FIN);
    assert_memory_equal(answer.body.at, "64\r\n", 4);
    assert_int_equal(server_pattern_check(CASE_PATTERN, 1000, answer.body.at + 4, 100), -1);
    assert_string_equal(answer.body.at + 104, "\r\nno number\r\n");
    raw_answer_free(&answer);
}

static void replaced(void **state)
{
    static const char raw[] = "HTTP/1.1 206 Partial\r\nX-Nul: a\0b\r\n\r\n";
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_text all = {0};

    plan(f, (struct server_fault){.kind = SERVER_BODY, .text = "<Error/>"});
    answer = ask(f);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body.at, "<Error/>");
    raw_answer_free(&answer);
    check_next(f);
    plan(f, (struct server_fault){.kind = SERVER_RAW, .text = raw, .text_bytes = sizeof(raw) - 1});
    raw_get(&f->client, "/b/k", "");
    assert_int_equal(raw_receive_bytes(&f->client, 1000, &all), RAW_FIN);
    assert_int_equal(all.used, sizeof(raw) - 1);
    assert_memory_equal(all.at, raw, sizeof(raw) - 1);
    server_text_free(&all);
}

static void flipped(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;

    plan(f, (struct server_fault){.kind = SERVER_FLIP, .bytes = 321});
    answer = ask(f);
    assert_int_equal(answer.body.used, 1000);
    assert_int_equal(server_pattern_check(CASE_PATTERN, 1000, answer.body.at, 1000), 321);
    answer.body.at[321] ^= 1;
    check_bytes(&answer, 1000);
    raw_answer_free(&answer);
    check_next(f);
}

/* ----------------------------------------------------------------------------- connections -- */

static void connections(void **state)
{
    struct server_case *f = *state;
    struct raw_answer answer;
    struct server_dead_port dead;

    plan(f, (struct server_fault){.kind = SERVER_ACCEPT_CLOSE});
    plan(f, (struct server_fault){.kind = SERVER_ACCEPT_HANG});
    answer = ask(f);
    assert_int_equal(answer.status, 0);
    assert_true(answer.end == RAW_FIN || answer.end == RAW_RESET); /* the request came too late */
    raw_answer_free(&answer);
    case_reconnect(&f->client, f->server);
    assert_true(server_wait_held(f->server, 1, WAIT_MS));
    assert_int_equal(server_request_count(f->server), 0);
    server_release(f->server);
    check_next(f);
    plan(f, (struct server_fault){.kind = SERVER_ACCEPT_RESET});
    answer = ask(f);
    assert_int_equal(answer.end, RAW_RESET);
    raw_answer_free(&answer);

    assert_int_equal(server_port_refused(&dead), 0);
    assert_false(raw_open(&f->client, "127.0.0.1", dead.port));
    server_port_free(&dead);
}

static void a_port_can_hang(void **unused)
{
    struct server_dead_port dead;

    /* Making one proves it: its last connect gets no answer. */
    assert_int_equal(server_port_hung(&dead), 0);
    assert_true(dead.port != 0 && dead.count > 1);
    server_port_free(&dead);
}

/* ------------------------------------------------------------------------------------ plan -- */

/* The status of a GET on the open connection. */
static int status_of(struct server_case *f, const char *path, const char *lines)
{
    struct raw_answer answer = case_get(&f->client, path, lines, SIZE);
    int status;

    status = answer.status;
    raw_answer_free(&answer);
    return status;
}

static void plan_status(struct server_case *f, const struct server_match *match, int status)
{
    assert_int_equal(server_plan(f->server, match,
                                 &(struct server_fault){.kind = SERVER_STATUS, .status = status}),
                     0);
}

static void matches(void **state)
{
    struct server_case *f = *state;

    case_connect(&f->client, f->server);
    plan_status(f, &(struct server_match){.path = "/b/k", .nth = 3}, 500);
    plan_status(f, &(struct server_match){.path = "/b/k", .range = "bytes=5-6"}, 501);
    plan_status(f, &(struct server_match){.reused = true}, 502);
    plan_status(f, &(struct server_match){.method = "HEAD"}, 503);
    plan_status(f, &(struct server_match){.connection = 2}, 504);
    assert_int_equal(status_of(f, "/b/k", ""), 200);                     /* 1st */
    assert_int_equal(status_of(f, "/b/k", "Range: bytes=5-6\r\n"), 501); /* 2nd */
    assert_int_equal(status_of(f, "/b/other", ""), 502);
    assert_int_equal(status_of(f, "/b/k", ""), 500);                     /* 3rd */
    assert_int_equal(status_of(f, "/b/k", "Range: bytes=5-6\r\n"), 206); /* each only once */
    case_reconnect(&f->client, f->server);
    assert_int_equal(status_of(f, "/b/k", ""), 504);
    raw_send(&f->client, "HEAD /b/k HTTP/1.1\r\n\r\n");
    assert_true(server_wait_ended(f->server, 7, WAIT_MS));
}

static void what_did_not_happen_is_named(void **unused)
{
    struct server_case f = {0};
    char left[256];

    case_begin(&f, &(struct server_config){0});
    case_put(f.server, "/b/k", CASE_PATTERN, SIZE);
    assert_int_equal(server_plan(f.server, &(struct server_match){.path = "/b/k", .nth = 2},
                                 &(struct server_fault){.kind = SERVER_RESET}),
                     0);
    assert_int_equal(server_plan(f.server, &(struct server_match){.method = "PUT"},
                                 &(struct server_fault){.kind = SERVER_DELAY, .times = 2}),
                     0);
    assert_int_equal(status_of(&f, "/b/k", ""), 200);
    assert_int_equal(server_finish(f.server, left, sizeof(left)), 3);
    assert_string_equal(left, "reset of any /b/k (0 of 1, from the 2. that fits, 1 came), "
                              "delay of PUT any path (0 of 2)");
    raw_close(&f.client);
    server_destroy(f.server);
}

static void senseless_plans_are_refused(void **state)
{
    static const struct server_fault faults[] = {
        {.kind = SERVER_FAULT_KINDS},
        {.kind = SERVER_STATUS},
        {.kind = SERVER_TRICKLE},
        /* Of a server without TLS: */
        {.kind = SERVER_IDENTITY, .identity = SERVER_TLS_EXPIRED},
        {.kind = SERVER_KEY_UPDATE},
    };
    struct server_case *f = *state;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_int_equal(server_plan(f->server, NULL, &faults[i]), -EINVAL);
    assert_int_equal(server_random(f->server, 1, 1001, NULL), -EINVAL);
    assert_int_equal(server_random(f->server, 1, 10, "reset,nothing"), -EINVAL);
    assert_int_equal(server_random(f->server, 1, 0, server_random_kinds()), 0);
}

/* Which of 200 requests get a fault depends on the seed only. */
static unsigned faults_by_chance(uint64_t seed, char *which)
{
    struct server_case f = {0};
    struct server_record record;
    unsigned count = 0;

    case_begin(&f, &(struct server_config){0});
    case_put(f.server, "/b/k", CASE_PATTERN, SIZE);
    assert_int_equal(server_random(f.server, seed, 100, "slowdown,error"), 0);
    for (unsigned i = 0; i < 200; i++) {
        int status = status_of(&f, "/b/k", "Range: bytes=0-9\r\n");
        assert_true(server_request(f.server, i, &record));
        assert_int_equal(record.fault != NULL, status != 206);
        which[i] = status == 206 ? '.' : status == 503 ? 's' : 'e';
        count += status != 206;
    }
    case_end(&f); /* chance owes nothing */
    return count;
}

static void by_chance(void **unused)
{
    char first[201] = "", again[201] = "", other[201] = "";

    assert_between(faults_by_chance(1, first), 5, 50);
    faults_by_chance(1, again);
    assert_string_equal(first, again);
    faults_by_chance(2, other);
    assert_string_not_equal(first, other);
    assert_true(strchr(first, 's') && strchr(first, 'e'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(broken_off, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(behind_a_whole_answer, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(held_until_released, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(peaks, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(held_but_given_up, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(slow, case_setup, case_teardown),
        cmocka_unit_test(paced),
        cmocka_unit_test_setup_teardown(statuses, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(headers, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(whole_for_a_range, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(multipart, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(interim_answers, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(short_long_and_stray, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(without_length, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(chunked, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(replaced, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(flipped, case_setup, case_teardown),
        cmocka_unit_test_setup_teardown(connections, case_setup, case_teardown),
        cmocka_unit_test(a_port_can_hang),
        cmocka_unit_test_setup_teardown(matches, case_setup, case_teardown),
        cmocka_unit_test(what_did_not_happen_is_named),
        cmocka_unit_test_setup_teardown(senseless_plans_are_refused, case_setup, case_teardown),
        cmocka_unit_test(by_chance),
    };

    return cmocka_run_group_tests_name("fault server's faults", tests, NULL, NULL);
}
