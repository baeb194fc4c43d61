/* SPDX-License-Identifier: MIT */
/*
 * Proxies, by option and by environment: plain requests and tunnels that work, names that only the
 * proxy can resolve, credentials that reach the proxy, never the server, and never a message;
 * refusals that name the proxy; servers that fail behind it.
 *
 * LSIO_ROWS: H25
 */
#define _GNU_SOURCE
#include "http_case.h"

enum { ID = 25, SIZE = 300000 };

#define CREDENTIALS "Name:can/ary" /* as the proxy knows them */
#define USERINFO    "Name:can%2Fary"

struct proxied {
    struct http_case *c; /* whose server is behind the proxy */
    struct server *proxy;
    char named[64]; /* the proxy as messages may name it */
    char url[128];  /* with its credentials */
};

/* A server behind a proxy, and a store on it that is reached through that proxy alone: no name
 * service knows the host. */
static struct proxied begin(struct http_case *c, enum server_identity identity,
                            const char *userinfo)
{
    struct proxied p = {.c = c};
    const char *tls = identity == SERVER_CLEAR ? "" : "s";
    char store[96], option[160], ca[256];

    http_case_serve(c, &(struct server_config){.identity = identity});
    http_case_put(c, "/data/k", ID, SIZE);
    assert_int_equal(server_create(&(struct server_config){.proxy = CREDENTIALS}, &p.proxy), 0);
    snprintf(p.named, sizeof(p.named), "127.0.0.1:%u", server_port(p.proxy));
    snprintf(p.url, sizeof(p.url), "http://%s@%s", userinfo, p.named);
    snprintf(option, sizeof(option), "proxy_url=%s", p.url);
    snprintf(store, sizeof(store), "http%s://data.store.localhost:%u/data", tls,
             server_port(c->server));
    snprintf(ca, sizeof(ca), "ca_bundle=%s", server_ca_file(c->server));
    http_case_open(c, store, option, "proxy_excludes=", "concurrency_max=1", *tls ? ca : NULL,
                   NULL);
    return p;
}

static void no_secret(const char *text)
{
    assert_null(strstr(text, "can/ary"));
    assert_null(strstr(text, "can%2Fary"));
    assert_null(strstr(text, "TmFtZTpjYW4vYXJ5")); /* in base64 */
}

static void end(struct proxied *p)
{
    no_secret(p->c->log);
    no_secret(p->c->error.text);
    no_secret(p->c->error.url);
    assert_false(server_has_seen(p->c->server, "Proxy-"));
    server_assert_finished(p->proxy);
    assert_int_equal(lsio_store_close(p->c->store), 0);
    p->c->store = NULL;
    server_destroy(p->proxy);
}

/* ------------------------------------------------------------------------------------- works -- */

static void plain_requests_are_passed_on(void **state)
{
    struct http_case *c = *state;
    struct proxied p = begin(c, SERVER_CLEAR, USERINFO);
    struct server_record record;
    char target[96], host[64];

    snprintf(host, sizeof(host), "data.store.localhost:%u", server_port(c->server));
    snprintf(target, sizeof(target), "http://%s/data/k", host);
    for (int i = 0; i < 4; i++)
        http_case_expect(c, "k", ID, i, SIZE / 2);
    assert_int_equal(http_case_requests(c), 4);
    assert_int_equal(server_request_count(p.proxy), 4);
    assert_true(server_request(p.proxy, 0, &record));
    assert_string_equal(record.target, target);
    assert_string_equal(http_case_request(c, 0).target, "/data/k");
    assert_string_equal(http_case_header(c, 0, "host"), host);
    end(&p);
}

static void tunnels_are_used_again(void **state)
{
    struct http_case *c = *state;
    struct proxied p = begin(c, SERVER_TLS, USERINFO);
    struct server_record record;

    for (int i = 0; i < 8; i++)
        http_case_expect(c, "k", ID, i, SIZE / 2);
    assert_int_equal(http_case_requests(c), 8);
    assert_between(server_request_count(p.proxy), 1, 2); /* a worker has its own */
    for (unsigned i = 0; i < server_request_count(p.proxy); i++) {
        assert_true(server_request(p.proxy, i, &record));
        assert_string_equal(record.method, "CONNECT");
    }
    assert_false(server_has_seen(p.proxy, "/data/k")); /* it is told the host, and no more */
    end(&p);
}

/* What breaks behind a proxy is repaired as without one. */
static void bodies_break_off_behind_it(void **state)
{
    struct http_case *c = *state;

    for (int tls = 0; tls < 2; tls++) {
        uint64_t resumes = api_stats(c->context).resumes;
        struct proxied p = begin(c, tls ? SERVER_TLS : SERVER_CLEAR, USERINFO);
        http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_CLOSE, .bytes = 70000});
        http_case_expect(c, "k", ID, 0, SIZE);
        assert_int_equal(http_case_requests(c), 2);
        assert_string_equal(http_case_header(c, 1, "range"), "bytes=70000-299999");
        assert_int_equal(api_stats(c->context).resumes, resumes + 1);
        end(&p);
        server_assert_finished(c->server);
        server_destroy(c->server);
        c->server = NULL;
    }
}

static void excluded_hosts_are_asked_directly(void **state)
{
    struct http_case *c = *state;
    struct proxied p = begin(c, SERVER_CLEAR, USERINFO);
    char option[160];

    snprintf(option, sizeof(option), "proxy_url=%s", p.url);
    http_case_open(c, "%s/data", option, "proxy_excludes=other.example,127.0.0.1", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(server_request_count(p.proxy), 0);
    end(&p);
}

/* ----------------------------------------------------------------------------------- refuses -- */

static void wrong_credentials(void **state)
{
    static const char *const wrong[] = {"Name:can%2Fary2", "Name"};
    struct http_case *c = *state;

    for (size_t i = 0; i < 2 * COUNT(wrong); i++) {
        struct proxied p = begin(c, i % 2 ? SERVER_TLS : SERVER_CLEAR, wrong[i / 2]);
        assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
        assert_int_equal(c->error.code, 407);
        assert_int_equal(c->error.attempts, 1);
        assert_non_null(strstr(c->error.text, p.named));
        assert_int_equal(http_case_requests(c), 0);
        end(&p);
        server_destroy(c->server);
        c->server = NULL;
    }
}

static void nobody_is_there(void **state)
{
    struct http_case *c = *state;
    struct proxied p = begin(c, SERVER_CLEAR, USERINFO);
    struct server_dead_port dead;
    char option[128];

    assert_int_equal(server_port_refused(&dead), 0);
    snprintf(option, sizeof(option), "proxy_url=http://%s@127.0.0.1:%u", USERINFO, dead.port);
    http_case_open(c, "http://localhost:1/data", option, "proxy_excludes=", "retry_attempts_max=2",
                   NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ECONNREFUSED);
    assert_int_equal(c->error.attempts, 2);
    server_port_free(&dead);
    end(&p);
}

static void proxy_of_the_environment(void **state)
{
    struct http_case *c = *state;
    struct server *proxy;
    char url[64];

    assert_int_equal(server_create(&(struct server_config){0}, &proxy), 0);
    assert_int_equal(
        server_plan(proxy, NULL, &(struct server_fault){.kind = SERVER_STATUS, .status = 407}), 0);
    assert_int_equal(setenv("http_proxy", server_url(proxy), 1), 0);
    snprintf(url, sizeof(url), "http://localhost:1/data");
    c->store = NULL;
    assert_int_equal(lsio_store_open(c->context, url, NULL, 0, &c->store), 0);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_HTTP);
    assert_int_equal(c->error.code, 407);
    assert_non_null(strstr(c->error.text, "the proxy that the environment names"));
    assert_int_equal(server_request_count(proxy), 1);
    assert_int_equal(unsetenv("http_proxy"), 0);
    server_destroy(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_are_passed_on),
        cmocka_unit_test(tunnels_are_used_again),
        cmocka_unit_test(bodies_break_off_behind_it),
        cmocka_unit_test(excluded_hosts_are_asked_directly),
        cmocka_unit_test(wrong_credentials),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(proxy_of_the_environment),
    };

    return http_case_run("proxies", tests, COUNT(tests));
}
