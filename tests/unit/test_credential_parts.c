/* SPDX-License-Identifier: MIT */
/*
 * What credential providers are made of: growing texts that wipe themselves, strict JSON, time
 * stamps, which addresses secrets may go to, settings and their variables.
 */
#define _GNU_SOURCE
#include "credential_case.h"

#include <unistd.h>

#include "driver/http/credential/json.h"
#include "driver/http/credential/when.h"

static void texts(void **state)
{
    struct secret_text text = {0};
    char block[1000];

    (void)state;
    assert_string_equal(secret_text_get(&text), "");
    secret_text_add(&text, "a=");
    secret_text_add_encoded(&text, "b c/d+e%~-._\xC3\xA9");
    secret_text_printf(&text, "&n=%d", 7);
    assert_string_equal(secret_text_get(&text), "a=b%20c%2Fd%2Be%25~-._%C3%A9&n=7");
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 20; i++)
        secret_text_add_bytes(&text, block, sizeof(block));
    assert_int_equal(text.used, strlen(secret_text_get(&text)));
    assert_int_equal(text.used, 20000 + strlen("a=b%20c%2Fd%2Be%25~-._%C3%A9&n=7"));
    assert_false(text.failed);
    for (int i = 0; i < 1100; i++)
        secret_text_add_bytes(&text, block, sizeof(block));
    assert_true(text.failed); /* and what it held is still whole */
    assert_int_equal(text.used, strlen(secret_text_get(&text)));
    secret_text_finish(&text);
    assert_string_equal(secret_text_get(&text), "");
}

static void files(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);
    struct secret_text text = {0};

    (void)state;
    assert_int_equal(
        credential_token_file(&c->request, case_file(c, "token", " \n abc\r\n"), &text), 0);
    assert_string_equal(secret_text_get(&text), "abc");
    secret_text_finish(&text);
    assert_int_equal(credential_token_file(&c->request, case_file(c, "none", " \n"), &text),
                     -EINVAL);
    case_says(c->request.why, "is empty");
    secret_text_finish(&text);
    assert_int_equal(
        credential_token_file(&c->request, case_file(c, "two", "hush\nhush: x"), &text), -EINVAL);
    case_says(c->request.why, "holds no token");
    secret_text_finish(&text);
    assert_int_equal(credential_token_file(&c->request, case_path(c, "absent"), &text), -ENOENT);
    case_says(c->request.why, "absent");
    assert_int_equal(credential_token_file(&c->request, c->directory, &text), -EISDIR);
    assert_int_equal(mkfifo(case_path(c, "pipe"), 0600), 0);
    assert_int_equal(credential_token_file(&c->request, case_path(c, "pipe"), &text), -EINVAL);
    secret_text_finish(&text);
    case_end(c);
}

static struct json_object *parsed(const char *text)
{
    return json_parse(text, strlen(text));
}

static void json(void **state)
{
    static const char *const bad[] = {
        "",     "1",         "[]", "{", "{\"a\":1} x", "{\"a\":1,}", "{a:1}", "{\"a\":\"\xFF\"}",
        "null", "{\"a\":1}}"};
    struct json_object *root;
    char deep[128] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parsed(bad[i]))
            fail_msg("\"%s\" is accepted", bad[i]);
    assert_null(json_parse("{}\0x", 4));
    for (int i = 0; i < 20; i++)
        strcat(deep, "{\"a\":");
    strcat(deep, "1");
    assert_null(parsed(deep));
    root =
        parsed(" {\"t\":\"x\",\"e\":\"\",\"z\":\"a\\u0000b\",\"n\":7,\"s\":\"8\",\"m\":-1,"
               "\"f\":1.5,\"w\":\"9x\",\"b\":\"99999999999999999999999\",\"o\":{\"t\":\"y\"}}\n");
    assert_non_null(root);
    assert_string_equal(json_text(root, "t"), "x");
    assert_null(json_text(root, "e"));
    assert_null(json_text(root, "z"));
    assert_null(json_text(root, "n"));
    assert_null(json_text(root, "o"));
    assert_null(json_text(root, "absent"));
    assert_int_equal(json_number(root, "n"), 7);
    assert_int_equal(json_number(root, "s"), 8);
    assert_int_equal(json_number(root, "m"), 0);
    assert_int_equal(json_number(root, "f"), 0);
    assert_int_equal(json_number(root, "w"), 0);
    assert_int_equal(json_number(root, "b"), 0);
    assert_int_equal(json_number(root, "absent"), 0);
    assert_string_equal(json_text(json_member(root, "o"), "t"), "y");
    assert_null(json_member(root, "t"));
    json_finish(root);
    json_finish(NULL);
}

static void whens(void **state)
{
    (void)state;
    assert_int_equal(when_parse("2026-01-01T00:00:00Z"), CASE_NOW_S);
    assert_int_equal(when_parse("2026-01-01T00:00:00.123456Z"), CASE_NOW_S);
    assert_int_equal(when_parse("2026-01-01T00:00:00UTC"), CASE_NOW_S);
    assert_int_equal(when_parse("2026-01-01T01:30:00+01:30"), CASE_NOW_S);
    assert_int_equal(when_parse("2025-12-31T19:00:00.5-05:00"), CASE_NOW_S);
    assert_int_equal(when_parse(""), 0);
    assert_int_equal(when_parse("2026-01-01"), 0);
    assert_int_equal(when_parse("2026-01-01T00:00:00"), 0);
    assert_int_equal(when_parse("2026-01-01T00:00:00Zx"), 0);
    assert_int_equal(when_parse("2026-01-01T00:00:00+1:30"), 0);
    assert_int_equal(when_parse("2026-01-01T00:00:00+24:00"), 0);
    assert_int_equal(when_parse("2026-13-01T00:00:00Z"), 0);
    assert_int_equal(when_parse("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(when_parse("yesterday at noon, or so"), 0);
}

static void addresses(void **state)
{
    static const char *const loopback[] = {"http://127.0.0.1:80/x",
                                           "http://"
                                           "127.9.9.9",
                                           "http://localhost/",
                                           "http://LOCALHOST:1",
                                           "http://"
                                           "[::1]:80/",
                                           "http://"
                                           "0x7f000001/"};
    static const char *const other[] = {"http://127.0.0.1@host/",
                                        "http://localhost.example/",
                                        "http://"
                                        "128.0.0.1/",
                                        "http://"
                                        "[::2]/",
                                        "127.0.0.1 x",
                                        ""};
    char host[32];

    (void)state;
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        if (!credential_url_is_loopback(loopback[i]) || !credential_url_is_safe(loopback[i]))
            fail_msg("%s is this machine", loopback[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        if (credential_url_is_loopback(other[i]) || credential_url_is_safe(other[i]))
            fail_msg("%s is not this machine", other[i]);
    assert_true(credential_url_is_safe("https://host/"));
    assert_true(credential_url_is_safe("HTTPS://host/"));
    assert_false(credential_url_is_safe("http://host/"));
    assert_true(credential_url_is_at("https://HOST:443/p?q", "host"));
    assert_true(credential_url_is_at("https://host:99", "host:99"));
    assert_false(credential_url_is_at("https://host/", "host:99"));
    assert_false(credential_url_is_at("https://host.example/", "host"));
    assert_false(credential_url_is_at("http://host:443/", "host"));
    assert_false(credential_url_is_at("https://host"
                                      "@example.com/",
                                      "host"));
    assert_false(credential_url_is_at("no address", "host"));
    credential_url_host("https://"
                        "user:hush@Host.example:99/p?q",
                        host, sizeof(host));
    assert_string_equal(host, "host.example");
    credential_url_host("http://"
                        "[::1]:99/",
                        host, sizeof(host));
    assert_string_equal(host, "::1");
    credential_url_host("no address", host, sizeof(host));
    assert_string_equal(host, "");
}

static void settings(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);
    struct credential_settings copy;

    (void)state;
    case_environment(c, "AZURE_STORAGE_ACCOUNT", "second");
    assert_string_equal(credential_get(&c->request, CREDENTIAL_AZURE_ACCOUNT), "second");
    case_environment(c, "AZURE_STORAGE_ACCOUNT_NAME", "first");
    assert_string_equal(credential_get(&c->request, CREDENTIAL_AZURE_ACCOUNT), "first");
    case_environment(c, "AZURE_STORAGE_ACCOUNT_NAME", "");
    assert_string_equal(credential_get(&c->request, CREDENTIAL_AZURE_ACCOUNT), "second");
    case_option(c, CREDENTIAL_AZURE_ACCOUNT, "option");
    assert_string_equal(credential_get(&c->request, CREDENTIAL_AZURE_ACCOUNT), "option");
    assert_string_equal(credential_settings_get(&c->settings, CREDENTIAL_FROM_ENVIRONMENT,
                                                CREDENTIAL_AZURE_ACCOUNT),
                        "second");
    assert_int_equal(credential_settings_copy(&copy, &c->settings), 0);
    case_option(c, CREDENTIAL_AZURE_ACCOUNT, "");
    assert_string_equal(credential_get(&c->request, CREDENTIAL_AZURE_ACCOUNT), "second");
    assert_string_equal(
        credential_settings_get(&copy, CREDENTIAL_FROM_ANY, CREDENTIAL_AZURE_ACCOUNT), "option");
    credential_settings_finish(&copy);
    assert_null(credential_settings_get(&copy, CREDENTIAL_FROM_ANY, CREDENTIAL_AZURE_ACCOUNT));
    case_option(c, CREDENTIAL_AZURE_USE_EMULATOR, "TRUE");
    assert_true(
        credential_settings_bool(&c->settings, CREDENTIAL_FROM_ANY, CREDENTIAL_AZURE_USE_EMULATOR));
    case_option(c, CREDENTIAL_AZURE_USE_EMULATOR, "0");
    assert_false(
        credential_settings_bool(&c->settings, CREDENTIAL_FROM_ANY, CREDENTIAL_AZURE_USE_EMULATOR));
    case_end(c);
}

/* Attempts, pauses and the deadline of requests. */
static void requests(void **state)
{
    const struct fetch_request fetch = {
        .method = "GET", .url = "https://host.example/?hush", .timeout_ms = 5000};
    const struct exchange busy = {
        .method = "GET", .url = fetch.url, .proxied = true, .status = 503};
    const struct exchange late = {
        .method = "GET", .url = fetch.url, .proxied = true, .result = -ETIMEDOUT};
    struct credential_case *c = case_begin(CREDENTIAL_S3);
    struct fetch_response response = {0};
    _Atomic bool stop = false;

    (void)state;
    case_expect(c, &busy);
    case_expect(c, &late);
    case_expect(
        c, &(struct exchange){.method = "GET", .url = fetch.url, .proxied = true, .answer = "x"});
    assert_int_equal(credential_fetch(&c->request, &fetch, &response), 0);
    assert_string_equal(secret_text_get(&response.body), "x");
    assert_true(c->paused_ms >= 600 && c->paused_ms < 800);
    fetch_response_finish(&response);
    for (int i = 0; i < 3; i++)
        case_expect(c, &busy);
    assert_int_equal(credential_fetch(&c->request, &fetch, &response), LSIO_E_HTTP);
    case_says(c->request.why, "host.example answered 503");
    fetch_response_finish(&response);
    /* A time-out is cut to what is left. */
    c->request.deadline_ms = c->now_ms + 700;
    case_expect(c, &late);
    assert_int_equal(credential_fetch(&c->request, &fetch, &response), -ETIMEDOUT);
    assert_int_equal(c->now_ms, c->request.deadline_ms);
    case_says(c->request.why, "host.example does not answer in time");
    assert_int_equal(credential_fetch(&c->request, &fetch, &response), -ETIMEDOUT);
    c->request.deadline_ms += 1000;
    c->request.stop = &stop;
    stop = true;
    assert_int_equal(credential_fetch(&c->request, &fetch, &response), -ECANCELED);
    fetch_response_finish(&response);
    case_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),    cmocka_unit_test(files),     cmocka_unit_test(json),
        cmocka_unit_test(whens),    cmocka_unit_test(addresses), cmocka_unit_test(settings),
        cmocka_unit_test(requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
