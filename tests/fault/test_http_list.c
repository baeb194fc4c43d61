/* SPDX-License-Identifier: MIT */
/*
 * Listings that break off, lie or never end; and what their entries tell.
 *
 * LSIO_ROWS: H10 H28
 */
#define _GNU_SOURCE
#include "http_case.h"
#include "server/text.h"

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

/* "KEY=VERSION " of each entry. */
static int keep_versions(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct server_text *text = data;

    for (size_t i = 0; i < count; i++)
        server_text_print(text, "%s=%s ", entries[i].key, entries[i].version);
    return 0;
}

/* Entries tell their version where the store does: Amazon's listing of a bucket has none. */
static void versions(void **state)
{
#define BLOB(name, version)                                                                        \
    "<Blob><Name>" name "</Name>" version "<Properties><Content-Length>5</Content-Length>"         \
    "</Properties></Blob>"
#define CONTENTS(key, version)                                                                     \
    "<Contents><Key>" key "</Key>" version "<Size>5</Size></Contents>"
    static const struct {
        void (*open)(struct http_case *c, const char *option);
        const char *path, *body, *want;
    } rows[] = {
        {http_case_open_s3, "/bucket",
         "<ListBucketResult>" CONTENTS("a", "<VersionId>3HL4kqtJ</VersionId>") CONTENTS(
             "b", "") "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListBucketResult>",
         "a=3HL4kqtJ b= c/= "},
        {http_case_open_gcs, "/bucket",
         "<ListBucketResult>" CONTENTS("a", "<Generation>1360887697105000</Generation>")
             CONTENTS("b", "<Generation>2</Generation>") "</ListBucketResult>",
         "a=1360887697105000 b=2 "},
        {http_case_open_azure, "/account/bucket",
         "<EnumerationResults><Blobs>" BLOB("a", "<VersionId>2024-01-02T03:04:05.1Z</VersionId>")
             BLOB("b", "") "</Blobs></EnumerationResults>",
         "a=2024-01-02T03:04:05.1Z b= "},
    };
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server_text text = {0};
        rows[i].open(c, NULL);
        http_case_plan(c, rows[i].path, 0,
                       &(struct server_fault){.kind = SERVER_BODY, .text = rows[i].body});
        assert_int_equal(lsio_list(c->store, "", 0, keep_versions, &text), 0);
        assert_string_equal(server_text_string(&text), rows[i].want);
        server_text_free(&text);
    }
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
    assert_between(http_case_request(c, 0).sent_bytes, 0, 32 * MIB);
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

/* ---------------------------------------------------------------------- what is said of it -- */

static int end_it(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)count;
    return *(const int *)data;
}

/* The last error is that of the listing of "a/". */
static struct lsio_error told(struct http_case *c, int status, const char *text)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct names names = {0};

    assert_int_equal(lsio_list(c->store, "a/", 0, keep, &names), status);
    assert_int_equal(lsio_last_error(c->context, &error), 0);
    assert_int_equal(error.status, status);
    assert_true(error.index == LSIO_NO_CHUNK);
    if (!strstr(error.text, text) || !strstr(error.text, ": the listing of \"a/\""))
        fail_msg("not \"%s\", but: %s", text, error.text);
    assert_string_equal(error.url, "s3://bucket/a/");
    assert_non_null(strstr(c->log, error.text));
    return error;
}

static void failures_are_told(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"};
    struct lsio_error error;

    begin(c, "retry_attempts_max=2");
    http_case_plan(c, "/bucket", 0, &fault);
    error = told(c, -EACCES, "the server answered 403 AccessDenied: planned by the test");
    assert_int_equal(error.code, 403);
    assert_int_equal(error.attempts, 1);
    assert_string_equal(error.request_id, "fault-server");
    fault = (struct server_fault){.kind = SERVER_STATUS, .status = 500, .times = 2};
    http_case_plan(c, "/bucket", 0, &fault);
    error = told(c, LSIO_E_HTTP, "the server answered 500");
    assert_int_equal(error.attempts, 2);
    fault = (struct server_fault){.kind = SERVER_BODY,
                                  .text = "<Error><Code>InternalError</Code></Error>"};
    http_case_plan(c, "/bucket", 0, &fault);
    error = told(c, LSIO_E_HTTP, "the server answered 200 InternalError");
    assert_int_equal(error.code, 200);
    fault.text = "<html/>";
    http_case_plan(c, "/bucket", 0, &fault);
    error = told(c, LSIO_E_PROTOCOL, "the answer is no listing");
    assert_int_equal(error.code, 0);
    fault = (struct server_fault){.kind = SERVER_RESET, .times = 2};
    http_case_plan(c, "/bucket", 0, &fault);
    error = told(c, -ECONNRESET, "");
    assert_int_equal(error.code, ECONNRESET);
    assert_int_equal(error.attempts, 2);
}

/* Neither what the callback returns, nor what a listing met that was followed by a good one. */
static void only_failures_are_told(void **state)
{
    struct http_case *c = *state;
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"};
    static const int ends[] = {-EACCES, 42};

    begin(c, NULL);
    for (size_t i = 0; i < COUNT(ends); i++) {
        http_case_plan(c, "/bucket", 0, &fault);
        (void)told(c, -EACCES, "403");
        assert_int_equal(lsio_list(c->store, "", 0, end_it, (void *)(uintptr_t)&ends[i]), ends[i]);
        assert_int_equal(lsio_last_error(c->context, &error), -ENOENT);
    }
    http_case_plan(c, "/bucket", 0, &fault);
    (void)told(c, -EACCES, "403");
    expect_all(c);
    assert_int_equal(lsio_last_error(c->context, &error), -ENOENT);
}

/* Not even where the option says so of objects, or when the store has answered before. */
static void a_listing_is_never_absent(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_STATUS, .status = 404};

    begin(c, "missing_on_403=true");
    expect_all(c);
    http_case_plan(c, "/bucket", 0, &fault);
    (void)told(c, LSIO_E_HTTP, "404");
    fault.code = "NoSuchKey";
    http_case_plan(c, "/bucket", 0, &fault);
    (void)told(c, LSIO_E_HTTP, "404 NoSuchKey");
    fault = (struct server_fault){.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"};
    http_case_plan(c, "/bucket", 0, &fault);
    (void)told(c, -EACCES, "403 AccessDenied");
}

/* Of several objects, the first that fails. */
static void stat_is_told(void **state)
{
    struct http_case *c = *state;
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_object objects[3];
    struct lsio_object_info infos[3];
    int statuses[3];

    begin(c, NULL);
    for (int i = 0; i < 3; i++)
        objects[i] = (struct lsio_object){.store = c->store, .key = i == 1 ? "lost" : "o01"};
    for (int i = 0; i < 3; i++)
        infos[i].struct_bytes = sizeof(infos[i]);
    assert_int_equal(lsio_stat_batch(c->context, objects, 3, infos, 0, statuses), -ENOENT);
    assert_int_equal(statuses[0], 0);
    assert_int_equal(statuses[1], -ENOENT);
    assert_int_equal(statuses[2], 0);
    assert_int_equal(lsio_last_error(c->context, &error), 0);
    assert_int_equal(error.status, -ENOENT);
    assert_int_equal(error.index, 1);
    assert_int_equal(error.code, 404);
    assert_string_equal(error.request_id, "fault-server");
    assert_non_null(strstr(error.text, "404 NoSuchKey"));
    assert_non_null(strstr(error.text, ": object 1, \"lost\""));
    assert_non_null(strstr(c->log, error.text));
    assert_int_equal(lsio_stat_batch(c->context, objects, 1, infos, 0, statuses), 0);
    assert_int_equal(lsio_last_error(c->context, &error), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_asked_again),
        cmocka_unit_test(answers_that_are_no_listing),
        cmocka_unit_test(versions),
        cmocka_unit_test(a_listing_without_end),
        cmocka_unit_test(a_page_without_end),
        cmocka_unit_test(refused),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(only_failures_are_told),
        cmocka_unit_test(a_listing_is_never_absent),
        cmocka_unit_test(stat_is_told),
    };

    return http_case_run("list", tests, COUNT(tests));
}
