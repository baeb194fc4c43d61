/* SPDX-License-Identifier: MIT */
/*
 * judge.c: what each status and error code means, by dialect. What is not in the table of a dialect
 * fails as LSIO_E_HTTP; only a proven absence is -ENOENT.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/judge.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    HTTP = 1 << HTTP_DIALECT_HTTP,
    S3 = 1 << HTTP_DIALECT_S3,
    GCS = 1 << HTTP_DIALECT_GCS,
    AZURE = 1 << HTTP_DIALECT_AZURE,
    BUCKETS = S3 | GCS | AZURE,
    ALL = 15
};

struct row {
    int dialects;
    unsigned status;
    const char *code;
    enum http_action action;
    int result;
};

static void judged(int dialect, const struct http_judge *how, const struct http_head *head,
                   const char *code, const char *region, enum http_action action, int result)
{
    struct http_judge judge = *how;
    struct http_verdict verdict;

    judge.dialect = (enum http_dialect)dialect;
    memset(&verdict, 0xA5, sizeof(verdict));
    http_judge(&judge, head, code, region, &verdict);
    if (verdict.action != action || verdict.status != result)
        fail_msg("dialect %d, %u %s: action %d, status %d instead of %d, %d", dialect, head->status,
                 code, (int)verdict.action, verdict.status, (int)action, result);
}

static void rows_hold(const struct row *rows, size_t count, const struct http_judge *how)
{
    for (size_t i = 0; i < count; i++) {
        struct http_head head;
        http_head_reset(&head, rows[i].status);
        for (int dialect = 0; dialect < 4; dialect++)
            if (rows[i].dialects & 1 << dialect)
                judged(dialect, how, &head, rows[i].code, "", rows[i].action, rows[i].result);
    }
}

static void by_status_and_code(void **state)
{
    static const struct row rows[] = {
        {ALL, 301, "", HTTP_FAIL, LSIO_E_HTTP}, /* leads nowhere */
        {ALL, 304, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 400, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 400, "InvalidArgument", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 400, "RequestTimeout", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 400, "InternalError", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 400, "ExpiredToken", HTTP_CREDENTIALS, -EACCES},
        {ALL, 400, "AuthorizationHeaderMalformed", HTTP_FAIL, LSIO_E_HTTP}, /* no region */
        {ALL, 401, "", HTTP_CREDENTIALS, -EACCES},
        {ALL, 403, "", HTTP_FAIL, -EACCES},
        {ALL, 403, "AccessDenied", HTTP_FAIL, -EACCES},
        {ALL, 403, "ExpiredToken", HTTP_CREDENTIALS, -EACCES},
        {ALL, 403, "TokenRefreshRequired", HTTP_CREDENTIALS, -EACCES},
        {ALL, 403, "RequestTimeTooSkewed", HTTP_FAIL, -EACCES}, /* without a Date */
        {HTTP, 404, "", HTTP_FAIL, -ENOENT},
        {HTTP, 404, "NoSuchBucket", HTTP_FAIL, -ENOENT},
        {BUCKETS, 404, "", HTTP_ASK_MISSING, LSIO_E_HTTP},
        {BUCKETS, 404, "SomethingNew", HTTP_FAIL, LSIO_E_HTTP},
        {BUCKETS, 404, "NoSuchKey", HTTP_FAIL, -ENOENT},
        {BUCKETS, 404, "BlobNotFound", HTTP_FAIL, -ENOENT},
        {BUCKETS, 404, "NoSuchBucket", HTTP_FAIL, LSIO_E_HTTP},
        {BUCKETS, 404, "ContainerNotFound", HTTP_FAIL, LSIO_E_HTTP},
        {BUCKETS, 404, "AccountNotFound", HTTP_FAIL, LSIO_E_HTTP},
        {HTTP, 410, "", HTTP_FAIL, -ENOENT},
        {BUCKETS, 410, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 405, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 407, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 408, "", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 409, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 411, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 412, "", HTTP_FAIL, LSIO_E_CHANGED},
        {ALL, 429, "", HTTP_THROTTLE, LSIO_E_THROTTLED},
        {ALL, 500, "", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 501, "", HTTP_FAIL, LSIO_E_HTTP},
        {ALL, 502, "", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 503, "", HTTP_THROTTLE, LSIO_E_THROTTLED},
        {ALL, 503, "SlowDown", HTTP_THROTTLE, LSIO_E_THROTTLED},
        {ALL, 504, "", HTTP_RETRY, LSIO_E_HTTP},
        {ALL, 204, "", HTTP_FAIL, LSIO_E_PROTOCOL},
        {ALL, 999, "", HTTP_FAIL, LSIO_E_HTTP},
    };

    (void)state;
    rows_hold(rows, COUNT(rows), &(struct http_judge){0});
}

/* Of a store that has answered, a 404 without a code means the key; with one that nobody knows it
 * may mean anything. */
static void after_an_answer(void **state)
{
    static const struct row rows[] = {
        {BUCKETS, 404, "", HTTP_FAIL, -ENOENT},
        {BUCKETS, 404, "SomethingNew", HTTP_FAIL, LSIO_E_HTTP},
        {BUCKETS, 404, "NoSuchBucket", HTTP_FAIL, LSIO_E_HTTP},
    };

    (void)state;
    rows_hold(rows, COUNT(rows), &(struct http_judge){.answered = true});
}

static void missing_on_403(void **state)
{
    static const struct row rows[] = {
        {ALL, 403, "", HTTP_FAIL, -ENOENT},
        {ALL, 403, "AccessDenied", HTTP_FAIL, -ENOENT},
        {ALL, 403, "SignatureDoesNotMatch", HTTP_FAIL, -EACCES},
        {ALL, 403, "ExpiredToken", HTTP_CREDENTIALS, -EACCES},
    };

    (void)state;
    rows_hold(rows, COUNT(rows), &(struct http_judge){.missing_on_403 = true});
}

static void clocks(void **state)
{
    static const struct http_judge how;
    struct http_head head;

    (void)state;
    http_head_reset(&head, 403);
    assert_int_equal(http_head_add(&head, "date", 4, "Wed, 01 Mar 2006 12:00:00 GMT", 29), 0);
    judged(HTTP_DIALECT_S3, &how, &head, "RequestTimeTooSkewed", "", HTTP_CLOCK, -EACCES);
    judged(HTTP_DIALECT_S3, &how, &head, "AccessDenied", "", HTTP_FAIL, -EACCES);
}

/* Where a bucket is, said by a header or by the body, matters on S3 only. */
static void regions(void **state)
{
    static const struct http_judge how;
    static const struct {
        unsigned status;
        const char *code;
        int failed;
    } rows[] = {{301, "PermanentRedirect", LSIO_E_HTTP},
                {307, "TemporaryRedirect", LSIO_E_HTTP},
                {403, "AccessDenied", -EACCES},
                {400, "AuthorizationHeaderMalformed", LSIO_E_HTTP}};
    struct http_head head;
    struct http_verdict verdict;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        http_head_reset(&head, rows[i].status);
        judged(HTTP_DIALECT_S3, &how, &head, rows[i].code, "eu-1", HTTP_REGION, rows[i].failed);
        judged(HTTP_DIALECT_GCS, &how, &head, rows[i].code, "eu-1", HTTP_FAIL, rows[i].failed);
        assert_int_equal(http_head_add(&head, "x-amz-bucket-region", 19, "eu-2", 4), 0);
        http_judge(&(struct http_judge){.dialect = HTTP_DIALECT_S3}, &head, rows[i].code, "eu-1",
                   &verdict);
        assert_string_equal(verdict.region, "eu-2"); /* the header counts more */
        judged(HTTP_DIALECT_S3, &(struct http_judge){.region = "eu-2"}, &head, rows[i].code, "",
               HTTP_FAIL, rows[i].failed); /* it was the right one */
    }
}

static void redirects(void **state)
{
    static const struct http_judge how;
    static const unsigned followed[] = {301, 302, 303, 307, 308}, not_followed[] = {300, 304, 305};
    struct http_head head;

    (void)state;
    for (int dialect = 0; dialect < 4; dialect++) {
        for (size_t i = 0; i < COUNT(followed); i++) {
            http_head_reset(&head, followed[i]);
            assert_int_equal(http_head_add(&head, "location", 8, "/there", 6), 0);
            judged(dialect, &how, &head, "", "", HTTP_REDIRECT, LSIO_E_HTTP);
            head.location_cut = true; /* who knows where that would lead */
            judged(dialect, &how, &head, "", "", HTTP_FAIL, LSIO_E_HTTP);
        }
        for (size_t i = 0; i < COUNT(not_followed); i++) {
            http_head_reset(&head, not_followed[i]);
            assert_int_equal(http_head_add(&head, "location", 8, "/there", 6), 0);
            judged(dialect, &how, &head, "", "", HTTP_FAIL, LSIO_E_HTTP);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_status_and_code),
        cmocka_unit_test(after_an_answer),
        cmocka_unit_test(missing_on_403),
        cmocka_unit_test(clocks),
        cmocka_unit_test(regions),
        cmocka_unit_test(redirects),
    };

    return cmocka_run_group_tests_name("http judge", tests, NULL, NULL);
}
