/* SPDX-License-Identifier: MIT */
/*
 * What goes into a request and what comes out of a head: keys and URLs that try to write headers of
 * their own, heads that are too large, settings that are headers.
 *
 * LSIO_ROWS: H20
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 41, SIZE = 5000 };

/* ------------------------------------------------------------------------------------ keys -- */

static void keys_are_encoded(void **state)
{
    static const struct {
        const char *key, *target;
    } rows[] = {
        {"a b", "/bucket/a%20b"},
        {"a//b", "/bucket/a//b"},
        {"./x", "/bucket/./x"},
        {"a/../b", "/bucket/a/../b"},
        {"+=%&?#", "/bucket/%2B%3D%25%26%3F%23"},
        {"\xc3\xa9~", "/bucket/%C3%A9~"},
        {"a\r\nX-Evil: yes", "/bucket/a%0D%0AX-Evil%3A%20yes"},
        {"a\tb\x7f", "/bucket/a%09b%7F"},
        {"HTTP/1.1", "/bucket/HTTP/1.1"},
    };
    struct http_case *c = *state;

    http_case_open_s3(c, NULL);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/bucket/%s", rows[i].key);
        http_case_put(c, path, ID + i, SIZE);
        http_case_expect(c, rows[i].key, ID + i, 0, SIZE);
        assert_string_equal(http_case_request(c, i).target, rows[i].target);
        assert_string_equal(http_case_header(c, i, "x-evil"), "");
    }
    assert_int_equal(http_case_requests(c), COUNT(rows));
}

/* On plain http they would name something else. */
static void dots_are_refused_on_http(void **state)
{
    static const char *const keys[] = {"../x", "a/../b", "./x", "a/.", "/x"};
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(http_case_read(c, keys[i], 0, 10), -EINVAL);
    assert_int_equal(http_case_requests(c), 0);
}

static void keys_have_a_limit(void **state)
{
    struct http_case *c = *state;
    char *key = malloc(20001);

    memset(key, 'k', 20000);
    key[20000] = '\0';
    http_case_open_s3(c, NULL);
    http_case_put(c, "/bucket/k", ID, SIZE);
    assert_int_equal(http_case_read(c, key, 0, 10), LSIO_E_LIMIT);
    assert_non_null(strstr(c->error.text, "too long"));
    key[1024] = '\0'; /* S3's longest */
    assert_int_equal(http_case_read(c, key, 0, 10), -ENOENT);
    free(key);
}

static void urls_and_options_are_clean(void **state)
{
    struct http_case *c = *state;

    assert_int_equal(http_case_try_open(c, "%s/data\r\nX-Evil: yes", NULL), -EINVAL);
    assert_int_equal(http_case_try_open(c, "%s/data\x01", NULL), -EINVAL);
    assert_int_equal(http_case_try_open(c, "http://User:canary@localhost/data", NULL), -EINVAL);
    assert_int_equal(http_case_try_open(c, "%s/data", "user_agent=a\r\nX-Evil: yes", NULL),
                     -EINVAL);
    assert_int_equal(http_case_try_open(c, "%s/data", "no_such_option=1", NULL), -EINVAL);
    assert_null(strstr(c->log, "canary"));
    assert_non_null(strstr(c->log, "no_such_option"));
}

/* ----------------------------------------------------------------------------------- heads -- */

static void heads_have_a_limit(void **state)
{
    static const struct server_fault faults[] = {
        {.kind = SERVER_HUGE_HEADERS, .count = 1, .bytes = 70000},
        {.kind = SERVER_HUGE_HEADERS, .count = 700, .bytes = 100},
        {.kind = SERVER_HUGE_HEADERS, .count = 20000, .bytes = 20},
    };
    static const struct server_fault fine = {
        .kind = SERVER_HUGE_HEADERS, .count = 10, .bytes = 6000};
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    http_case_plan(c, NULL, 0, &fine);
    http_case_expect(c, "k", ID, 0, SIZE);
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct server_fault fault = faults[i];
        fault.times = 2;
        http_case_plan(c, NULL, 0, &fault);
        assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_PROTOCOL);
        assert_int_equal(c->error.attempts, 2);
        http_case_expect(c, "k", ID, 0, SIZE);
    }
}

/* A line that is longer than anything curl takes. */
static void one_endless_line(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    http_case_plan(c, NULL, 0,
                   &(struct server_fault){
                       .kind = SERVER_HUGE_HEADERS, .count = 1, .bytes = 400000, .times = 2});
    assert_int_equal(http_case_read(c, "k", 0, SIZE), LSIO_E_PROTOCOL);
    assert_int_equal(c->error.attempts, 2);
    assert_non_null(strstr(c->error.text, "head is too long"));
    http_case_expect(c, "k", ID, 0, SIZE);
}

static void heads_that_are_none(void **state)
{
#define RAW(string) string, sizeof(string) - 1
    static const struct {
        const char *text;
        size_t bytes;
    } rows[] = {
        {RAW("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX: a\0b\r\n\r\n0123456789")},
        {RAW("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 11\r\n\r\n0123456789")},
        {RAW("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n0123456789")},
        {RAW("HTTP/1.1 2x0 OK\r\nContent-Length: 10\r\n\r\n0123456789")},
        {RAW("HTTP/1.1 206 OK\r\nContent-Length: 10\r\nno colon here\r\n"
             "Content-Range: bytes 0-9/10\r\n\r\n0123456789")},
    };
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server_fault fault = {
            .kind = SERVER_RAW, .text = rows[i].text, .text_bytes = rows[i].bytes, .times = 2};
        http_case_plan(c, NULL, 0, &fault);
        if (http_case_read(c, "k", 0, 10) != LSIO_E_PROTOCOL)
            fail_msg("row %zu: %s", i, c->error.text);
    }
}

/* --------------------------------------------------------------- settings that are headers -- */

static void settings_are_sent(void **state)
{
    static const char key[] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    struct http_case *c = *state;
    char option[96];

    snprintf(option, sizeof(option), "sse_customer_key_base64=%s", key);
    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_open(c, "s3://bucket", "endpoint=%s", "access_key_id=id", "secret_access_key=secret",
                   option, "request_payer=true", "user_agent=mine/1", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 0, "user-agent"), "mine/1");
    assert_string_equal(http_case_header(c, 0, "x-amz-request-payer"), "requester");
    assert_string_equal(http_case_header(c, 0, "x-amz-server-side-encryption-customer-algorithm"),
                        "AES256");
    assert_string_equal(http_case_header(c, 0, "x-amz-server-side-encryption-customer-key"), key);
    /* printf 01234567890123456789012345678901 | openssl md5 -binary | base64 */
    assert_string_equal(http_case_header(c, 0, "x-amz-server-side-encryption-customer-key-md5"),
                        "KYvwGXoFFJ42a2u2GDWhwQ==");
    assert_non_null(strstr(http_case_header(c, 0, "authorization"),
                           "x-amz-server-side-encryption-customer-key"));
    assert_int_equal(http_case_try_open(c, "s3://bucket", "endpoint=%s",
                                        "sse_customer_key_base64=c2hvcnQ=", NULL),
                     -EINVAL);
    assert_int_equal(
        http_case_try_open(c, "s3://bucket", "endpoint=http://store.example", option, NULL),
        -EINVAL); /* in the clear */
}

static void azure_settings_are_sent(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.style = SERVER_AZURE});
    http_case_put(c, "/account/bucket/k", ID, SIZE);
    http_case_open_azure(c, "encryption_key=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 0, "x-ms-encryption-algorithm"), "AES256");
    /* printf 01234567890123456789012345678901 | openssl sha256 -binary | base64 */
    assert_string_equal(http_case_header(c, 0, "x-ms-encryption-key-sha256"),
                        "hhAJ7E1Zn6sfQKvHbm+JiAz/WDPHnFSMmfkEXxkc2Qs=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_encoded),        cmocka_unit_test(dots_are_refused_on_http),
        cmocka_unit_test(keys_have_a_limit),       cmocka_unit_test(urls_and_options_are_clean),
        cmocka_unit_test(heads_have_a_limit),      cmocka_unit_test(one_endless_line),
        cmocka_unit_test(heads_that_are_none),     cmocka_unit_test(settings_are_sent),
        cmocka_unit_test(azure_settings_are_sent),
    };

    return http_case_run("names", tests, COUNT(tests));
}
