/* SPDX-License-Identifier: MIT */
/*
 * Listings that break off, lie or never end.
 *
 * LSIO_ROWS: H10 H28
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { OBJECTS = 30 };

struct names {
    unsigned count;
    char last[64];
    bool disordered;
};

static int keep(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct names *names = data;

    for (size_t i = 0; i < count; i++) {
        names->disordered |= strcmp(names->last, entries[i].key) >= 0;
        snprintf(names->last, sizeof(names->last), "%s", entries[i].key);
    }
    names->count += (unsigned)count;
    return 0;
}

static void begin(struct http_case *c, const char *option)
{
    char path[32];

    http_case_open_s3(c, option);
    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(path, sizeof(path), "/bucket/o%02u", i);
        http_case_put(c, path, i, 100);
    }
}

static void expect_all(struct http_case *c)
{
    struct names names = {0};

    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), 0);
    assert_int_equal(names.count, OBJECTS);
    assert_false(names.disordered);
}

/* A page that breaks off is asked for anew, and no entry is shown twice. */
static void pages_are_asked_again(void **state)
{
    static const struct server_fault faults[] = {
        {.kind = SERVER_CLOSE, .bytes = 700},
        {.kind = SERVER_RESET, .bytes = 700},
        {.kind = SERVER_STATUS, .status = 503, .code = "SlowDown"},
        {.kind = SERVER_STATUS, .status = 500},
        {.kind = SERVER_CHUNK_BROKEN, .bytes = 300},
        {.kind = SERVER_CLOSE, .place = SERVER_BEFORE_HEAD},
    };
    struct http_case *c = *state;

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(faults); i++) {
        http_case_plan(c, "/bucket", 0, &faults[i]);
        expect_all(c);
    }
}

static void answers_that_are_no_listing(void **state)
{
    static const char laughs[] =
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;\">]><ListBucketResult><Name>&c;</Name></ListBucketResult>";
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>", LSIO_E_HTTP},
        {laughs, LSIO_E_PROTOCOL},
        {"<?xml version=\"1.0\"?><!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>", LSIO_E_PROTOCOL},
        {"<ListBucketResult><Contents><Key>a</Key>", LSIO_E_PROTOCOL},
        {"<html><body>sign in</body></html>", LSIO_E_PROTOCOL},
        {"", LSIO_E_PROTOCOL},
        {"not XML", LSIO_E_PROTOCOL},
    };
    struct http_case *c = *state;
    struct names names = {0};

    begin(c, "retry_attempts_max=1");
    for (size_t i = 0; i < COUNT(rows); i++) {
        http_case_plan(c, "/bucket", 0,
                       &(struct server_fault){.kind = SERVER_BODY, .text = rows[i].body});
        if (lsio_list(c->store, "", 0, keep, &names) != rows[i].status)
            fail_msg("row %zu was taken for something else", i);
    }
    assert_int_equal(names.count, 0);
    expect_all(c);
}

/* Pages that always say that more follows, at the same place. */
static void a_listing_without_end(void **state)
{
    static const char again[] =
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>same</NextContinuationToken></ListBucketResult>";
    struct http_case *c = *state;
    struct names names = {0};

    begin(c, NULL);
    http_case_plan(c, "/bucket", 0,
                   &(struct server_fault){.kind = SERVER_BODY, .text = again, .times = 2});
    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), LSIO_E_PROTOCOL);
    assert_int_equal(http_case_requests(c), 2);
}

static void a_page_without_end(void **state)
{
    struct http_case *c = *state;
    struct names names = {0};

    begin(c, NULL);
    http_case_plan(c, "/bucket", 0, &(struct server_fault){.kind = SERVER_ENDLESS});
    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), LSIO_E_PROTOCOL);
    assert_true(server_wait_ended(c->server, 1, 10000));
    assert_in_range(http_case_request(c, 0).sent_bytes, 0, 32 * MIB);
}

static void refused(void **state)
{
    struct http_case *c = *state;
    struct names names = {0};
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"};

    begin(c, NULL);
    http_case_plan(c, "/bucket", 0, &fault);
    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), -EACCES);
    fault.status = 404;
    fault.code = NULL; /* a listing is not asked about by another listing */
    http_case_plan(c, "/bucket", 0, &fault);
    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), LSIO_E_HTTP);
    assert_int_equal(http_case_requests(c), 2);
    http_case_open(c, "%s/data", NULL);
    assert_int_equal(lsio_list(c->store, "", 0, keep, &names), -EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_asked_again),
        cmocka_unit_test(answers_that_are_no_listing),
        cmocka_unit_test(a_listing_without_end),
        cmocka_unit_test(a_page_without_end),
        cmocka_unit_test(refused),
    };

    return http_case_run("list", tests, COUNT(tests));
}
