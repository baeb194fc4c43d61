/* SPDX-License-Identifier: MIT */
/*
 * fetch.c against a real server that misbehaves: what is sent, what is never followed, how long and
 * how much is waited for; and a whole search, from the cache to the wire and back.
 *
 * LSIO_ROWS: H26
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/cache.h"
#include "server/fault_server.h"

#define TIMEOUT_MS 20000u

static int fetch_with(const struct fetch_client *client, const struct fetch_request *request,
                      const char *base, const char *path, struct fetch_response *response)
{
    struct fetch_request at = *request;
    char url[256];

    snprintf(url, sizeof(url), "%s%s", base, path);
    at.url = url;
    if (!at.method)
        at.method = "GET";
    if (!at.timeout_ms)
        at.timeout_ms = TIMEOUT_MS;
    fetch_response_finish(response);
    return fetch_curl(client, &at, response);
}

static int fetch(const struct fetch_request *request, const char *base, const char *path,
                 struct fetch_response *response)
{
    const struct fetch_client client = {.proxy = NULL};

    return fetch_with(&client, request, base, path, response);
}

static void header_is(struct server *server, unsigned request, const char *name, const char *value)
{
    struct server_record record;
    char text[256];

    assert_true(server_request(server, request, &record));
    if (value) {
        assert_non_null(server_header(&record, name, text, sizeof(text)));
        assert_string_equal(text, value);
    } else {
        assert_null(server_header(&record, name, text, sizeof(text)));
    }
}

static void what_is_sent(void **state)
{
    const struct server_route route = {.path = "/a b",
                                       .wants_query = "q=%2F",
                                       .headers = "X-Kind:  some words \r\nX-Other: no\r\n",
                                       .body = "answer"};
    struct fetch_request request = {.headers = {"X-Token: hush", "Metadata: true"},
                                    .want_header = "x-kind"};
    struct fetch_response response = {0};
    struct server_record record;
    struct server *server;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    assert_int_equal(server_route(server, &route), 0);
    assert_int_equal(fetch(&request, server_url(server), "/a%20b?q=%2F", &response), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(secret_text_get(&response.body), "answer");
    assert_string_equal(response.header, "some words");
    header_is(server, 0, "X-Token", "hush");
    header_is(server, 0, "Metadata", "true");
    header_is(server, 0, "Expect", NULL);
    header_is(server, 0, "Authorization", NULL);

    request.method = "PUT";
    assert_int_equal(fetch(&request, server_url(server), "/a%20b?q=%2F", &response), 0);
    assert_true(server_request(server, 1, &record));
    assert_string_equal(record.method, "PUT");
    header_is(server, 1, "Content-Length", "0");

    request.method = "POST";
    request.body = "x=y";
    request.headers[1] = "Content-Type: text/x";
    assert_int_equal(fetch(&request, server_url(server), "/a%20b?q=%2F", &response), 0);
    assert_true(server_request(server, 2, &record));
    assert_string_equal(record.method, "POST");
    assert_string_equal(record.body, "x=y");
    header_is(server, 2, "Content-Type", "text/x");

    assert_int_equal(fetch(&request, server_url(server), "/none", &response), 0);
    assert_int_equal(response.status, 405);
    assert_string_equal(response.header, "");
    fetch_response_finish(&response);
    server_destroy(server);
}

static void what_is_not_followed(void **state)
{
    const struct server_route route = {
        .path = "/from", .status = 302, .headers = "Location: /to\r\n"};
    const struct server_route other = {.path = "/to", .body = "must not be asked"};
    const struct fetch_request request = {.headers = {"X-Token: hush"}};
    struct fetch_response response = {0};
    struct server *server;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    assert_int_equal(server_route(server, &route), 0);
    assert_int_equal(server_route(server, &other), 0);
    assert_int_equal(fetch(&request, server_url(server), "/from", &response), 0);
    assert_int_equal(response.status, 302);
    assert_int_equal(server_request_count(server), 1);
    assert_int_equal(fetch(&request, "file:", "///etc/hostname", &response), LSIO_E_PROTOCOL);
    assert_int_equal(fetch(&request, "no address", "", &response), -EINVAL);
    fetch_response_finish(&response);
    server_destroy(server);
}

static void misbehaviour(void **state)
{
    static const struct {
        struct server_fault fault;
        int status;
    } faults[] = {
        {{.kind = SERVER_ENDLESS}, LSIO_E_PROTOCOL},
        {{.kind = SERVER_RAW, .text = "words\r\n\r\n"}, LSIO_E_PROTOCOL},
        {{.kind = SERVER_RESET, .bytes = 3}, -EIO},
        {{.kind = SERVER_CLOSE, .place = SERVER_BEFORE_HEAD}, -EIO},
        {{.kind = SERVER_CHUNK_BROKEN, .bytes = 3}, -EIO},
    };
    const struct server_object object = {.path = "/a", .size = 10};
    const struct server_object large = {.path = "/l", .size = FETCH_BODY_BYTES_MAX + 1};
    const struct server_object fits = {.path = "/f", .size = FETCH_BODY_BYTES_MAX};
    const struct fetch_request request = {.method = NULL};
    struct fetch_response response = {0};
    struct server *server;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    assert_int_equal(server_put(server, &object), 0);
    assert_int_equal(server_put(server, &large), 0);
    assert_int_equal(server_put(server, &fits), 0);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        int status;

        assert_int_equal(server_plan(server, NULL, &faults[i].fault), 0);
        status = fetch(&request, server_url(server), "/a", &response);
        if (status != faults[i].status)
            fail_msg("fault %zu: %d, not %d", i, status, faults[i].status);
    }
    assert_int_equal(fetch(&request, server_url(server), "/l", &response), LSIO_E_PROTOCOL);
    assert_int_equal(fetch(&request, server_url(server), "/f", &response), 0);
    assert_int_equal(response.body.used, FETCH_BODY_BYTES_MAX);
    server_assert_finished(server);
    fetch_response_finish(&response);
    server_destroy(server);
}

struct stopper {
    struct server *server;
    _Atomic bool stop;
};

static void *stopper_main(void *data)
{
    struct stopper *stopper = data;

    server_wait_held(stopper->server, 1, TIMEOUT_MS);
    stopper->stop = true;
    return NULL;
}

static void waiting(void **state)
{
    const struct server_object object = {.path = "/a", .bytes = "a", .size = 1};
    const struct server_fault hang = {.kind = SERVER_HANG};
    struct stopper stopper = {.stop = false};
    struct fetch_request request = {.timeout_ms = 50};
    struct fetch_response response = {0};
    struct server_dead_port dead;
    char url[64];
    pthread_t thread;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &stopper.server), 0);
    assert_int_equal(server_put(stopper.server, &object), 0);
    assert_int_equal(server_plan(stopper.server, NULL, &hang), 0);
    assert_int_equal(fetch(&request, server_url(stopper.server), "/a", &response), -ETIMEDOUT);
    server_release(stopper.server);

    assert_int_equal(server_plan(stopper.server, NULL, &hang), 0);
    assert_int_equal(pthread_create(&thread, NULL, stopper_main, &stopper), 0);
    request.timeout_ms = TIMEOUT_MS;
    request.stop = &stopper.stop;
    assert_int_equal(fetch(&request, server_url(stopper.server), "/a", &response), -ECANCELED);
    pthread_join(thread, NULL);
    server_release(stopper.server);
    request.stop = NULL;

    assert_int_equal(server_port_refused(&dead), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", dead.port);
    assert_int_equal(fetch(&request, url, "/a", &response), -EHOSTUNREACH);
    server_port_free(&dead);
    fetch_response_finish(&response);
    server_destroy(stopper.server);
}

static void proxies(void **state)
{
    const struct server_object object = {.path = "/a", .bytes = "a", .size = 1};
    struct fetch_client client;
    struct fetch_request request = {.no_proxy = true};
    struct fetch_response response = {0};
    struct server *server, *proxy;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &proxy), 0);
    assert_int_equal(server_put(server, &object), 0);
    client = (struct fetch_client){.proxy = server_url(proxy)};
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    assert_int_equal(server_request_count(proxy), 0);
    request.no_proxy = false;
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    assert_int_equal(server_request_count(proxy), 1);
    assert_int_equal(server_request_count(server), 1);
    client.proxy_excludes = "host.example,127.0.0.1";
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    assert_int_equal(server_request_count(proxy), 1);
    assert_int_equal(server_request_count(server), 2);
    fetch_response_finish(&response);
    server_destroy(proxy);
    server_destroy(server);
}

static void addresses(void **state)
{
    const struct server_object object = {.path = "/a", .bytes = "a", .size = 1};
    const struct fetch_request request = {.no_proxy = true};
    struct fetch_response response = {0};
    struct fetch_client client = {.proxy = ""};
    struct server *server;
    char resolve[64], url[64];

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    assert_int_equal(server_put(server, &object), 0);
    snprintf(url, sizeof(url), "http://one.example:%u", server_port(server));
    snprintf(resolve, sizeof(resolve), "two.example:1:127.0.0.2 one.example:%u:127.0.0.1",
             server_port(server));
    client.resolve = resolve;
    assert_int_equal(fetch_with(&client, &request, url, "/a", &response), 0);
    header_is(server, 0, "Host", url + strlen("http://"));
    fetch_response_finish(&response);
    server_destroy(server);
}

static void tls(void **state)
{
    static const enum server_identity bad[] = {SERVER_TLS_WRONG_HOST, SERVER_TLS_EXPIRED,
                                               SERVER_TLS_SELF_SIGNED, SERVER_TLS_1_1};
    const struct server_object object = {.path = "/a", .bytes = "a", .size = 1};
    const struct fetch_request request = {.method = NULL};
    struct fetch_client client = {.proxy = NULL};
    struct fetch_response response = {0};
    struct server *server;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.identity = SERVER_TLS}, &server), 0);
    assert_int_equal(server_put(server, &object), 0);
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response),
                     LSIO_E_TLS);
    client.insecure_server = "127.0.0.1:1"; /* another one */
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response),
                     LSIO_E_TLS);
    client.insecure_server = server_url(server) + strlen("https://");
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    client.insecure_server = NULL;
    client.own_certificates = true;
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response),
                     LSIO_E_TLS);
    client.ca_file = server_ca_file(server);
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    client.own_certificates = false;
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response), 0);
    assert_string_equal(secret_text_get(&response.body), "a");
    client.ca_file = "/absent/ca.pem";
    assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response),
                     LSIO_E_TLS);
    server_destroy(server);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(server_create(&(struct server_config){.identity = bad[i]}, &server), 0);
        client.ca_file = server_ca_file(server);
        assert_int_equal(fetch_with(&client, &request, server_url(server), "/a", &response),
                         LSIO_E_TLS);
        server_destroy(server);
    }
    fetch_response_finish(&response);
}

/* Version 2 of the instance metadata service, for real. */
static void whole_search(void **state)
{
    static const struct server_route routes[] = {
        {.method = "PUT",
         .path = "/latest/api/token",
         .wants = "X-aws-ec2-metadata-token-ttl-seconds: 600\n",
         .body = "hush0"},
        {.method = "GET",
         .path = "/latest/meta-data/iam/security-credentials/",
         .wants = "X-aws-ec2-metadata-token: hush0\n",
         .body = "reader"},
        {.method = "GET",
         .path = "/latest/meta-data/iam/security-credentials/reader",
         .wants = "X-aws-ec2-metadata-token: hush0\n",
         .body = "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"hush1\","
                 "\"Token\":\"hush2\",\"Expiration\":\"2099-01-01T00:00:00Z\"}"},
    };
    const struct fetch_client client = {.proxy = "http://127.0.0.1:1"}; /* is not asked */
    struct credential_memory memory = {METADATA_UNKNOWN};
    struct credential_settings settings = {.callback = NULL};
    struct credential_world world;
    struct credential_cache_config config = {
        .store = CREDENTIAL_S3, .settings = &settings, .world = &world, .memory = &memory};
    struct credential_cache *cache;
    struct credential_ref *ref = NULL;
    struct http_helper *helper;
    struct server *server;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.port = 0}, &server), 0);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        assert_int_equal(server_route(server, &routes[i]), 0);
    assert_int_equal(
        credential_settings_set(&settings, CREDENTIAL_IMDS_ENDPOINT, server_url(server)), 0);
    assert_int_equal(helper_create(&helper), 0);
    config.helper = helper;
    credential_world_init(&world, &client);
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    assert_int_equal(credential_cache_get_blocking(cache, TIMEOUT_MS, &ref), 0);
    assert_int_equal(ref->credential.kind, HTTP_CREDENTIAL_AWS);
    assert_string_equal(ref->credential.token, "hush2");
    assert_string_equal(ref->credential.source, "imds");
    credential_ref_release(ref);
    assert_int_equal(credential_cache_get_blocking(cache, TIMEOUT_MS, &ref), 0);
    credential_ref_release(ref);
    assert_int_equal(server_request_count(server), 3);
    credential_cache_destroy(cache, false);
    helper_destroy(helper, false);
    credential_settings_finish(&settings);
    server_destroy(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent), cmocka_unit_test(what_is_not_followed),
        cmocka_unit_test(misbehaviour), cmocka_unit_test(waiting),
        cmocka_unit_test(proxies),      cmocka_unit_test(addresses),
        cmocka_unit_test(tls),          cmocka_unit_test(whole_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
