/* SPDX-License-Identifier: MIT */
/*
 * Redirects: followed by hand, a few of them, to http and https only, and nothing of ours goes to
 * another server; buckets that are in another region.
 *
 * LSIO_ROWS: H11
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 9, SIZE = 50000 };

static struct server_fault redirect_to(int status, const char *where)
{
    return (struct server_fault){
        .kind = SERVER_STATUS, .status = status, .name = "Location", .text = where};
}

static void plan_redirect(struct http_case *c, int status, const char *where)
{
    struct server_fault fault = redirect_to(status, where);

    http_case_plan(c, NULL, 0, &fault);
}

static void begin_s3(struct http_case *c, const char *option)
{
    http_case_open_s3(c, option);
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_put(c, "/bucket/moved/k", ID, SIZE);
}

/* ------------------------------------------------------------------------- the same server -- */

static void followed_at_home(void **state)
{
    static const struct {
        int status;
        const char *where; /* "%s": the server */
        const char *target;
    } rows[] = {
        {301, "%s/bucket/moved/k", "/bucket/moved/k"},
        {302, "/bucket/moved/k", "/bucket/moved/k"},
        {303, "moved/k", "/bucket/moved/k"},
        {307, "/bucket/moved/k?a=b%%20c#fragment", "/bucket/moved/k?a=b%20c"},
        {308, "?x=1", "/bucket/k?x=1"},
    };
    struct http_case *c = *state;

    begin_s3(c, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char where[256];
        unsigned before = http_case_requests(c);
        snprintf(where, sizeof(where), rows[i].where, server_url(c->server));
        plan_redirect(c, rows[i].status, where);
        http_case_expect(c, "k", ID, 10, 1000);
        assert_int_equal(http_case_requests(c) - before, 2);
        assert_string_equal(http_case_request(c, before + 1).target, rows[i].target);
        assert_string_equal(http_case_header(c, before + 1, "range"), "bytes=10-1009");
        assert_non_null(strstr(http_case_header(c, before + 1, "authorization"), "AWS4-HMAC"));
    }
}

/* What broke off behind a redirect is resumed there. */
static void resumed_behind_a_redirect(void **state)
{
    struct http_case *c = *state;

    begin_s3(c, NULL);
    plan_redirect(c, 307, "/bucket/moved/k");
    http_case_plan(c, "/bucket/moved/k", 0,
                   &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 400});
    http_case_expect(c, "k", ID, 0, 1000);
    assert_int_equal(http_case_requests(c), 3);
    assert_string_equal(http_case_request(c, 2).path, "/bucket/moved/k");
    assert_string_equal(http_case_header(c, 2, "range"), "bytes=400-999");
}

static void a_loop_ends(void **state)
{
    struct http_case *c = *state;
    struct server_fault fault = redirect_to(302, "/bucket/k");

    begin_s3(c, NULL);
    fault.times = 6;
    http_case_plan(c, NULL, 0, &fault);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_int_equal(http_case_requests(c), 6);
    assert_int_equal(c->error.code, 302);
    assert_non_null(strstr(c->error.text, "too many redirects"));
}

/* ------------------------------------------------------------------------- where not to go -- */

static void refused(void **state)
{
    static const char *const wheres[] = {"file:///etc/passwd",
                                         "ftp://127.0.0.1/k",
                                         "gopher://127.0.0.1/",
                                         "//user@127.0.0.1/k",
                                         "http://User:word@localhost/k",
                                         "http://",
                                         "http:///k",
                                         "javascript:alert(1)",
                                         "s3://b/k"};
    struct http_case *c = *state;

    begin_s3(c, NULL);
    for (size_t i = 0; i < COUNT(wheres); i++) {
        plan_redirect(c, 302, wheres[i]);
        assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
        assert_non_null(strstr(c->error.text, "must not be followed"));
        assert_int_equal(http_case_requests(c), i + 1);
    }
}

static void tls_is_not_given_up(void **state)
{
    struct http_case *c = *state;
    struct server *clear;
    char ca[256];

    http_case_serve(c, &(struct server_config){.identity = SERVER_TLS});
    assert_int_equal(server_create(&(struct server_config){0}, &clear), 0);
    snprintf(ca, sizeof(ca), "ca_bundle=%s", server_ca_file(c->server));
    http_case_open(c, "%s/data", ca, NULL);
    plan_redirect(c, 302, server_url(clear));
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_non_null(strstr(c->error.text, "must not be followed"));
    assert_int_equal(server_request_count(clear), 0);
    server_destroy(clear);
}

static void a_bare_redirect_says_so(void **state)
{
    struct http_case *c = *state;

    begin_s3(c, NULL);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_STATUS, .status = 301});
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_non_null(strstr(c->error.text, "is the region wrong?"));
    assert_int_equal(http_case_requests(c), 1);
}

/* -------------------------------------------------------------------------- another server -- */

/* The lines that may go to a server that is not the store's. */
static bool is_harmless(const char *line)
{
    static const char *const names[] = {
        "host:", "user-agent:", "accept:", "range:", "if-match:", "accept-encoding:"};

    for (size_t i = 0; i < COUNT(names); i++)
        if (strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void only_harmless_lines(const struct server_record *record)
{
    for (const char *line = record->headers; *line; line = strstr(line, "\r\n") + 2)
        if (!is_harmless(line))
            fail_msg("went to another server: %.*s", (int)strcspn(line, "\r"), line);
}

/* Reads 0-999 of key k, whose second half must come from the other server. */
static void nothing_goes_to_another(struct http_case *c, const char *secret)
{
    struct server *other;
    struct server_record record;
    char where[256], host[64];

    assert_int_equal(server_create(&(struct server_config){0}, &other), 0);
    assert_int_equal(
        server_put(other,
                   &(struct server_object){.path = "/there", .pattern_id = ID, .size = SIZE}),
        0);
    assert_int_equal(
        server_plan(other, NULL, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 400}), 0);
    snprintf(where, sizeof(where), "%s/there?q=1", server_url(other));
    plan_redirect(c, 307, where);
    http_case_expect(c, "k", ID, 0, 1000);
    assert_int_equal(server_request_count(other), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(server_request(other, i, &record));
        only_harmless_lines(&record);
        assert_string_equal(record.query, "q=1");
        snprintf(host, sizeof(host), "127.0.0.1:%u", server_port(other));
        assert_string_equal(server_header(&record, "host", c->value, sizeof(c->value)), host);
    }
    assert_string_equal(server_header(&record, "range", c->value, sizeof(c->value)),
                        "bytes=400-999");
    assert_true(server_has_seen(c->server, secret));
    assert_false(server_has_seen(other, secret));
    assert_int_equal(server_finish(other, where, sizeof(where)), 0);
    server_destroy(other);
}

static void no_signature(void **state)
{
    begin_s3(*state, "session_token=canary-token");
    nothing_goes_to_another(*state, "canary-token");
}

static void no_bearer(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.style = SERVER_AZURE});
    http_case_open(c, "az://bucket", "endpoint=%s/account", "account_name=account",
                   "bearer_token=canary-bearer", NULL);
    nothing_goes_to_another(c, "canary-bearer");
}

static void no_shared_access_signature(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.style = SERVER_AZURE});
    http_case_open(c, "az://bucket", "endpoint=%s/account", "account_name=account",
                   "sas_token=sv=2020&sig=canarysig", NULL);
    nothing_goes_to_another(c, "canarysig");
}

static void no_query_of_a_signed_url(void **state)
{
    struct http_case *c = *state;

    http_case_open(c, "%s/data/k?X-Amz-Signature=canarysig", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    plan_redirect(c, 302, "/elsewhere");
    http_case_put(c, "/elsewhere", ID, SIZE);
    http_case_expect(c, "", ID, 0, 1000);
    assert_string_equal(http_case_request(c, 1).target, "/elsewhere");
    nothing_goes_to_another(c, "canarysig");
}

/* Another server teaches nothing: neither region nor clock are taken from it. */
static void another_server_teaches_nothing(void **state)
{
    struct http_case *c = *state;
    struct server *other;
    char where[256];

    begin_s3(c, NULL);
    assert_int_equal(server_create(&(struct server_config){.style = SERVER_S3}, &other), 0);
    assert_int_equal(server_plan(other, NULL,
                                 &(struct server_fault){.kind = SERVER_STATUS,
                                                        .status = 307,
                                                        .name = "x-amz-bucket-region",
                                                        .text = "evil-1"}),
                     0);
    snprintf(where, sizeof(where), "%s/there", server_url(other));
    plan_redirect(c, 307, where);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    http_case_expect(c, "k", ID, 0, 10);
    assert_false(server_has_seen(c->server, "evil-1"));
    server_destroy(other);
}

/* --------------------------------------------------------------------------------- regions -- */

static void region_is_found(struct http_case *c, const struct server_fault *fault)
{
    begin_s3(c, NULL);
    http_case_plan(c, NULL, 0, fault);
    http_case_expect(c, "k", ID, 0, 1000);
    assert_int_equal(http_case_requests(c), 2);
    assert_non_null(strstr(http_case_header(c, 0, "authorization"), "/us-east-1/s3/"));
    assert_non_null(strstr(http_case_header(c, 1, "authorization"), "/eu-north-7/s3/"));
    http_case_expect(c, "k", ID, 0, 1000); /* the host has learned it */
    assert_int_equal(http_case_requests(c), 3);
    assert_non_null(strstr(http_case_header(c, 2, "authorization"), "/eu-north-7/s3/"));
}

static void region_of_a_redirect(void **state)
{
    region_is_found(*state, &(struct server_fault){.kind = SERVER_STATUS,
                                                   .status = 301,
                                                   .code = "PermanentRedirect",
                                                   .name = "x-amz-bucket-region",
                                                   .text = "eu-north-7"});
}

static void region_of_a_refusal(void **state)
{
    region_is_found(*state, &(struct server_fault){.kind = SERVER_STATUS,
                                                   .status = 403,
                                                   .code = "AccessDenied",
                                                   .name = "x-amz-bucket-region",
                                                   .text = "eu-north-7"});
}

static void region_of_a_body(void **state)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/xml\r\n\r\n"
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message>"
        "<Region>eu-north-7</Region></Error>";

    region_is_found(*state, &(struct server_fault){.kind = SERVER_RAW, .text = answer});
}

static void region_is_taken_once(void **state)
{
    struct http_case *c = *state;

    begin_s3(c, NULL);
    http_case_plan(c, NULL, 0,
                   &(struct server_fault){.kind = SERVER_STATUS,
                                          .status = 301,
                                          .name = "x-amz-bucket-region",
                                          .text = "eu-north-7",
                                          .times = 2});
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_int_equal(http_case_requests(c), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followed_at_home),
        cmocka_unit_test(resumed_behind_a_redirect),
        cmocka_unit_test(a_loop_ends),
        cmocka_unit_test(refused),
        cmocka_unit_test(tls_is_not_given_up),
        cmocka_unit_test(a_bare_redirect_says_so),
        cmocka_unit_test(no_signature),
        cmocka_unit_test(no_bearer),
        cmocka_unit_test(no_shared_access_signature),
        cmocka_unit_test(no_query_of_a_signed_url),
        cmocka_unit_test(another_server_teaches_nothing),
        cmocka_unit_test(region_of_a_redirect),
        cmocka_unit_test(region_of_a_refusal),
        cmocka_unit_test(region_of_a_body),
        cmocka_unit_test(region_is_taken_once),
    };

    return http_case_run("redirects", tests, COUNT(tests));
}
