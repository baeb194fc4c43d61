/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a store's settings is said when it is opened, with the store and the setting
 * named and no secret; what a server does later that makes reading slow is in the log, once.
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <unistd.h>

enum { ID = 67, SIZE = 5000 };

/* The last opening was refused with that sentence. */
static void says(struct http_case *c, const char *what)
{
    if (!strstr(c->log, what))
        fail_msg("the log has no \"%s\":\n%s", what, c->log);
}

static unsigned said(const struct http_case *c, const char *what)
{
    unsigned count = 0;

    for (const char *at = c->log; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

static void addresses(void **state)
{
    static const char *const bad[] = {"resolve=garbage",
                                      "resolve=host:443",
                                      "resolve=host:443:",
                                      "resolve=host:0:127.0.0.1",
                                      "resolve=host:65536:127.0.0.1",
                                      "resolve=host:x:127.0.0.1",
                                      "resolve=:443:127.0.0.1",
                                      "resolve=host:443:127.0.0.1,",
                                      "resolve=host:443:127.0.0.1,name",
                                      "resolve=host:443:[127.0.0.1]",
                                      "resolve=host:443:127.0.0.1 -host:443"};
    static const char *const good[] = {"resolve=host:443:127.0.0.1", "resolve=*:1:::1",
                                       "resolve=host:65535:127.0.0.1,[::1],::2",
                                       "resolve= a:1:127.0.0.1  b:2:127.0.0.2 "};
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_case_try_open(c, "%s/data", bad[i], NULL) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(said(c, "\"resolve\" must be host:port:address"), COUNT(bad));
    for (size_t i = 0; i < COUNT(good); i++)
        http_case_open(c, "%s/data", good[i], NULL);
}

static void proxies(void **state)
{
    static const char *const bad[] = {"proxy_url=ftp://proxy", "proxy_url=://proxy",
                                      "proxy_url=http://", "proxy_url=http://User:canary@[::1",
                                      "proxy_url=foo bar"};
    static const char *const good[] = {"proxy_url=", "proxy_url=proxy", "proxy_url=proxy:3128",
                                       "proxy_url=HTTPS://user:word@proxy:3128/",
                                       "proxy_url=socks5h://[::1]:1080"};
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_case_try_open(c, "%s/data", bad[i], NULL) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(said(c, "\"proxy_url\" must be host:port, or a URL of "), COUNT(bad));
    assert_null(strstr(c->log, "canary"));
    for (size_t i = 0; i < COUNT(good); i++)
        http_case_open(c, "%s/data", good[i], NULL);
}

/* Only where certificates are looked at. */
static void certificates(void **state)
{
    struct http_case *c = *state;

    assert_int_equal(http_case_try_open(c, "https://host/data", "ca_bundle=/none/such", NULL),
                     -ENOENT);
    says(c, "no certificates can be read from ca_bundle, /none/such (ENOENT)");
    assert_int_equal(http_case_try_open(c, "https://host/data", "ca_bundle=/", NULL), -EISDIR);
    http_case_open(c, "https://host/data", "ca_bundle=/none/such", "insecure=true", NULL);
    http_case_open(c, "http://host/data", "ca_bundle=/none/such", NULL);
    assert_int_equal(setenv("AWS_CA_BUNDLE", "/none/other", 1), 0);
    assert_int_equal(http_case_try_open(c, "https://host/data", NULL), -ENOENT);
    assert_int_equal(unsetenv("AWS_CA_BUNDLE"), 0);
    says(c, "/none/other");
}

static void empty_values(void **state)
{
    static const char *const options[] = {"endpoint",   "region",     "access_key_id", "ca_bundle",
                                          "user_agent", "allow_http", "timeout"};
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(options); i++) {
        char option[64];
        snprintf(option, sizeof(option), "%s=", options[i]);
        assert_int_equal(http_case_try_open(c, "s3://bucket", option, NULL), -EINVAL);
        snprintf(option, sizeof(option), "option \"%s\" is empty", options[i]);
        says(c, option);
    }
    http_case_open(c, "s3://bucket", "proxy_url=", "proxy_excludes=", NULL);
    assert_int_equal(setenv("AWS_ENDPOINT_URL_S3", "", 1), 0); /* as if it were not set */
    assert_int_equal(setenv("AWS_ENDPOINT_URL", server_url(c->server), 1), 0);
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_open(c, "s3://bucket", "no_sign_request=true", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(unsetenv("AWS_ENDPOINT_URL_S3"), 0);
    assert_int_equal(unsetenv("AWS_ENDPOINT_URL"), 0);
}

static void stores_are_named_without_secrets(void **state)
{
    struct http_case *c = *state;

    assert_int_equal(http_case_try_open(c, "https://host.example/data?x=1&sig=canary%2F",
                                        "no_such_option=canary", NULL),
                     -EINVAL);
    says(c, "the store \"https://host.example/data?x=1&sig=***\" cannot be opened: ");
    assert_int_equal(
        http_case_try_open(c, "/vsicurl/https://User:canary@host.example/data", NULL), -EINVAL);
    says(c, "host.example/data\" cannot be opened");
    assert_null(strstr(c->log, "canary"));
    http_case_open(c, "s3://bucket", "conditional_put=etag", NULL);
    says(c, "store option \"conditional_put\" has no effect on reading");
}

/* ------------------------------------------------------------------------ while it is read -- */

static void attempts_are_logged(void **state)
{
    static const struct server_fault fault = {.kind = SERVER_STATUS, .status = 503, .times = 3};
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    http_case_plan(c, NULL, 0, &fault);
    http_case_expect(c, "k", ID, 0, SIZE);
    says(c, "/data/k: attempt 1 failed, the next one is in ");
    says(c, "the server answered 503");
    says(c, "/data/k: attempt 3 failed, the next one is in ");
    assert_int_equal(said(c, " failed, the next one is in "), 3);
}

static void servers_without_ranges_are_logged_once(void **state)
{
    static const struct server_fault fault = {.kind = SERVER_WHOLE, .times = 3};
    struct http_case *c = *state;

    http_case_open(c, "%s/data", NULL);
    http_case_plan(c, NULL, 0, &fault);
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/data/%d", i);
        http_case_put(c, path, ID, SIZE);
        http_case_expect(c, path + 6, ID, 100, 1000);
    }
    assert_int_equal(said(c, "the server ignores ranges"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(proxies),
        cmocka_unit_test(certificates),
        cmocka_unit_test(empty_values),
        cmocka_unit_test(stores_are_named_without_secrets),
        cmocka_unit_test(attempts_are_logged),
        cmocka_unit_test(servers_without_ranges_are_logged_once),
    };

    return http_case_run("open", tests, COUNT(tests));
}
