/* SPDX-License-Identifier: MIT */
/*
 * head.h and date.h: every form of Content-Range, lengths that cannot be trusted, validators,
 * waits, dates in all forms; a new status line forgets the last head.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver/http/date.h"
#include "driver/http/head.h"
#include "lsio/lsio.h"

static struct http_head head;

static int add(const char *name, const char *value)
{
    return http_head_add(&head, name, strlen(name), value, strlen(value));
}

/* A fresh head with one header. */
static int only(const char *name, const char *value)
{
    http_head_reset(&head, 206);
    return add(name, value);
}

static void content_ranges(void **state)
{
    static const struct {
        const char *text;
        enum http_range_form form;
        uint64_t first, last, total;
    } cases[] = {
        {"bytes 0-0/1", HTTP_RANGE_BYTES, 0, 0, 1},
        {"bytes 100-199/1000", HTTP_RANGE_BYTES, 100, 199, 1000},
        {" BYTES 5-9/* ", HTTP_RANGE_BYTES, 5, 9, HTTP_SIZE_UNKNOWN},
        {"bytes 0-9223372036854775798/9223372036854775799", HTTP_RANGE_BYTES, 0,
         UINT64_C(9223372036854775798), UINT64_C(9223372036854775799)},
        {"bytes */1000", HTTP_RANGE_UNSATISFIABLE, 0, 0, 1000},
        {"bytes */0", HTTP_RANGE_UNSATISFIABLE, 0, 0, 0},
        {"bytes */*", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes NaN-100/10000", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 5-4/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-10/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-9/10x", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-9", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes -9/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes=0-9/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"items 0-9/10", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-9/-1", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 0-9/18446744073709551626", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
        {"bytes 18446744073709551616-18446744073709551617/*", HTTP_RANGE_BAD, 0, 0,
         HTTP_SIZE_UNKNOWN},
        {"", HTTP_RANGE_BAD, 0, 0, HTTP_SIZE_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(only("Content-Range", cases[i].text), 0);
        assert_int_equal(head.range, cases[i].form);
        assert_int_equal(head.range_first, cases[i].first);
        assert_int_equal(head.range_last, cases[i].last);
        assert_int_equal(head.range_total, cases[i].total);
        assert_int_equal(http_head_object_size(&head), cases[i].total);
    }
    assert_int_equal(only("content-range", "bytes 0-1/9"), 0);
    assert_int_equal(add("content-range", "bytes 0-1/9"), 0);
    assert_int_equal(add("content-range", "bytes 0-1/10"), LSIO_E_PROTOCOL);
}

static void content_lengths(void **state)
{
    static const char *const bad[] = {
        "", "-1", "1,1", "1 1", "0x10", "18446744073709551616", "+1", "9999999999999999999"};

    (void)state;
    http_head_reset(&head, 200);
    assert_int_equal(head.content_length, HTTP_SIZE_UNKNOWN);
    assert_int_equal(add("CONTENT-LENGTH", " 0\t"), 0);
    assert_int_equal(head.content_length, 0);
    assert_int_equal(http_head_object_size(&head), 0);
    assert_int_equal(add("Content-Length", "0"), 0);
    assert_int_equal(add("Content-Length", "1"), LSIO_E_PROTOCOL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(only("content-length", bad[i]), LSIO_E_PROTOCOL);
}

static void etags(void **state)
{
    static const struct {
        const char *text;
        bool strong;
    } cases[] = {{"\"abc\"", true}, {"W/\"abc\"", false}, {"\"\"", false},    {"abc", false},
                 {"", false},       {"\"", false},        {"\"a\"b\"", false}};
    char longest[140];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(only("ETag", cases[i].text), 0);
        assert_string_equal(head.etag, cases[i].text);
        assert_int_equal(head.etag_strong, cases[i].strong);
    }
    memset(longest, '"', sizeof(longest)); /* half of one is not one */
    assert_int_equal(http_head_add(&head, "etag", 4, longest, 128), 0);
    assert_string_equal(head.etag, "");
    assert_false(head.etag_strong);
}

static void other_headers(void **state)
{
    char location[3000];

    (void)state;
    assert_int_equal(only("x-amz-bucket-region", "eu-west-1"), 0);
    assert_int_equal(add("x-goog-generation", "1234567890123456"), 0);
    assert_int_equal(add("x-ms-error-code", "BlobNotFound"), 0);
    assert_int_equal(add("x-amz-request-id", "R"), 0);
    assert_int_equal(add("x-amz-version-id", "V"), 0);
    assert_string_equal(head.version, "V");
    assert_int_equal(add("Transfer-Encoding", "gzip, chunked"), 0);
    assert_int_equal(add("content-type", "multipart/byteranges; boundary=x"), 0);
    assert_int_equal(add("accept-ranges", "none"), 0);
    assert_int_equal(add("location", "/elsewhere\r\n"), 0);
    assert_int_equal(add("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(add("x-unknown", "y"), 0);
    assert_string_equal(head.region, "eu-west-1");
    assert_true(head.has_generation && head.generation == 1234567890123456u);
    assert_string_equal(head.error_code, "BlobNotFound");
    assert_string_equal(head.request_id, "R");
    assert_true(head.chunked && head.multipart && !head.xml && head.ranges_refused);
    assert_string_equal(head.location, "/elsewhere");
    assert_true(head.has_last_modified && head.last_modified_s == 784111777);
    memset(location, 'a', sizeof(location));
    assert_int_equal(http_head_add(&head, "location", 8, location, sizeof(location)), 0);
    assert_true(head.location_cut && head.location[0] == '\0');
    assert_int_equal(add("location", "/again"), 0);
    http_head_reset(&head, 200); /* a new status line: nothing is left */
    assert_string_equal(head.location, "");
    assert_string_equal(head.region, "");
    assert_false(head.has_generation || head.chunked || head.multipart);
    assert_int_equal(head.bytes, 0);
}

static void date_of_the_answer(void **state)
{
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Wednesday, 06-Nov-94 08:49:37 GMT", /* the longest */
                                       "Sun Nov  6 08:49:37 1994"};
    int64_t unix_s = 0;

    (void)state;
    http_head_reset(&head, 200);
    assert_false(http_head_date(&head, &unix_s));
    assert_int_equal(only("Date", "yesterday"), 0);
    assert_false(http_head_date(&head, &unix_s));
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(only("Date", same[i]), 0);
        unix_s = 0;
        assert_true(http_head_date(&head, &unix_s));
        assert_int_equal(unix_s, 784111777);
    }
}

static void encodings(void **state)
{
    (void)state;
    assert_int_equal(only("content-encoding", "identity"), 0);
    assert_int_equal(head.encoding, HTTP_ENCODING_IDENTITY);
    assert_int_equal(only("content-encoding", "aws-chunked"), 0);
    assert_int_equal(head.encoding, HTTP_ENCODING_IDENTITY);
    assert_int_equal(only("content-encoding", "gzip"), 0);
    assert_int_equal(head.encoding, HTTP_ENCODING_OTHER);
    assert_string_equal(head.content_encoding, "gzip");
    assert_int_equal(only("content-encoding", "br"), 0);
    assert_int_equal(add("content-encoding", "identity"), 0);
    assert_int_equal(head.encoding, HTTP_ENCODING_OTHER);
    assert_string_equal(head.content_encoding, "br");
    assert_int_equal(add("x-goog-stored-content-encoding", "gzip"), 0);
    assert_string_equal(head.stored_encoding, "gzip");
}

static void retry_after(void **state)
{
    uint64_t wait_ms = 7;

    (void)state;
    http_head_reset(&head, 503);
    assert_false(http_head_retry_after(&head, 0, &wait_ms));
    assert_int_equal(add("retry-after", "120"), 0);
    assert_true(http_head_retry_after(&head, 0, &wait_ms));
    assert_int_equal(wait_ms, 120000);
    assert_int_equal(only("retry-after", "9223372036854775790"), 0);
    assert_true(http_head_retry_after(&head, 0, &wait_ms));
    assert_int_equal(wait_ms, UINT64_MAX);
    assert_int_equal(only("retry-after", "soon"), 0);
    assert_false(http_head_retry_after(&head, 0, &wait_ms));
    assert_int_equal(only("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), 0);
    assert_true(http_head_retry_after(&head, 784111777, &wait_ms));
    assert_int_equal(wait_ms, 10000);
    assert_int_equal(add("date", "Sun, 06 Nov 1994 08:49:45 GMT"), 0); /* the server's clock */
    assert_true(http_head_retry_after(&head, 784111777, &wait_ms));
    assert_int_equal(wait_ms, 2000);
    assert_int_equal(only("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_true(http_head_retry_after(&head, 800000000, &wait_ms)); /* it is past */
    assert_int_equal(wait_ms, 0);
}

static void caps(void **state)
{
    static char value[HTTP_HEAD_BYTES_MAX];

    (void)state;
    memset(value, 'a', sizeof(value));
    http_head_reset(&head, 200);
    assert_int_equal(http_head_add(&head, "x", 1, value, sizeof(value) - 1), 0);
    assert_int_equal(http_head_add(&head, "x", 1, "", 0), LSIO_E_PROTOCOL);
    http_head_reset(&head, 200);
    assert_int_equal(http_head_add(&head, "x", 1, value, sizeof(value)), LSIO_E_PROTOCOL);
    http_head_reset(&head, 200);
    assert_int_equal(http_head_add(&head, "x", 1, "a\0b", 3), LSIO_E_PROTOCOL);
}

static void dates(void **state)
{
    static const char *const good[] = {/* RFC 9110 section 5.6.7: the same moment */
                                       "Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 EST",
                                      "Sun, 31 Feb 2026 08:49:37 GMT",
                                      "Sun, 29 Feb 2100 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Now 1994 08:49:37 GMT",
                                      "Sun, 6 Nov 1994 08:49:37 GMT ",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 199",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov -994 08:49:37 GMT"};
    char text[HTTP_DATE_BYTES];
    int64_t seconds;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(http_date_parse(good[i], strlen(good[i]), &seconds), 0);
        assert_int_equal(seconds, 784111777);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_date_parse(bad[i], strlen(bad[i]), &seconds), -EINVAL);
    /* What is formatted is read again, over four centuries and leap days. */
    for (int64_t day = -100000; day < 150000; day += 37) {
        int64_t want = day * 86400 + (day & 1023) * 61;
        assert_int_equal(http_date_format(text, want), 0);
        assert_int_equal(http_date_parse(text, strlen(text), &seconds), 0);
        assert_int_equal(seconds, want);
    }
    assert_int_equal(http_date_format(text, 784111777), 0);
    assert_string_equal(text, good[0]);
    assert_int_equal(http_date_format(text, INT64_MAX), -EINVAL);
    assert_int_equal(http_date_format(text, 300000000000), -EINVAL);
}

static void rfc3339(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-01-02T03:04:05",
                                      "2026-01-02 03:04:05Z",
                                      "2026-13-02T03:04:05Z",
                                      "2026-01-02T03:04:05+01:00",
                                      "2026-01-02T03:04:05.Zx",
                                      "9999-01-02T03:04:05Z"};
    int64_t ns;

    (void)state;
    assert_int_equal(http_date_parse_rfc3339("1970-01-01T00:00:01.5Z", 22, &ns), 0);
    assert_int_equal(ns, 1500000000);
    assert_int_equal(http_date_parse_rfc3339("2026-01-02T03:04:05Z", 20, &ns), 0);
    assert_int_equal(ns, INT64_C(1767323045000000000));
    assert_int_equal(http_date_parse_rfc3339("1970-01-01T00:00:00.1234567899Z", 31, &ns), 0);
    assert_int_equal(ns, 123456789);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_date_parse_rfc3339(bad[i], strlen(bad[i]), &ns), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_ranges), cmocka_unit_test(content_lengths),
        cmocka_unit_test(etags),          cmocka_unit_test(other_headers),
        cmocka_unit_test(encodings),      cmocka_unit_test(date_of_the_answer),
        cmocka_unit_test(retry_after),    cmocka_unit_test(caps),
        cmocka_unit_test(dates),          cmocka_unit_test(rfc3339),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
