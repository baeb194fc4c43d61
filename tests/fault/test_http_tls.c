/* SPDX-License-Identifier: MIT */
/*
 * TLS: whom we trust and whom not, ends without a close_notify, new keys in the middle; addresses
 * and connections as the options say; open connections across a fork.
 *
 * LSIO_ROWS: H18 H24 L17
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ID = 21, SIZE = 300000 };

/* Under ThreadSanitizer a child of many threads may make none; with AddressSanitizer's allocator it
 * may wait for ever for what another thread held. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CHILDREN_MAY_WORK false
#else
#define CHILDREN_MAY_WORK true
#endif

static void begin_with(struct http_case *c, const char *one, const char *two)
{
    char ca[256];

    if (!c->server)
        http_case_serve(c, &(struct server_config){.identity = SERVER_TLS});
    snprintf(ca, sizeof(ca), "ca_bundle=%s", server_ca_file(c->server));
    http_case_open(c, "%s/data", ca, one, two, NULL);
    http_case_put(c, "/data/k", ID, SIZE);
}

static void begin(struct http_case *c)
{
    begin_with(c, NULL, NULL);
}

/* ------------------------------------------------------------------------------ H18: trust -- */

static void identities(void **state)
{
    static const struct {
        enum server_identity identity;
        const char *says;
    } rows[] = {
        {SERVER_TLS_WRONG_HOST, "subject name"},
        {SERVER_TLS_EXPIRED, "expired"},
        {SERVER_TLS_SELF_SIGNED, "self"},
        {SERVER_TLS_1_1, "version"},
    };
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        begin(c);
        http_case_plan(
            c, NULL, 0,
            &(struct server_fault){.kind = SERVER_IDENTITY, .identity = rows[i].identity});
        assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_TLS);
        assert_int_equal(c->error.attempts, 1); /* not tried again */
        if (!strstr(c->error.text, rows[i].says))
            fail_msg("%u: %s", rows[i].identity, c->error.text);
        assert_int_equal(http_case_requests(c), 0);
    }
}

static void unknown_authority(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.identity = SERVER_TLS});
    http_case_open(c, "%s/data", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_TLS);
    http_case_open(c, "%s/data", "disable_system_certificates=true", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_TLS);
    assert_int_equal(http_case_requests(c), 0);
    begin_with(c, "disable_system_certificates=true", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
}

/* Takes one connection, and answers whatever comes first as servers do that know no TLS. */
static void *plain_run(void *listener)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    int fd = accept(*(int *)listener, NULL, NULL);
    char hello[4096];
    bool done = fd >= 0 && recv(fd, hello, sizeof(hello), 0) > 0 &&
                send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) == sizeof(answer) - 1;

    while (done && recv(fd, hello, sizeof(hello), 0) > 0)
        ;
    if (fd >= 0)
        close(fd);
    return done ? listener : NULL;
}

/* Neither OpenSSL's words nor the port tell it to who has written https by mistake. */
static void server_without_tls(void **state)
{
    struct http_case *c = *state;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    char url[64];
    void *done;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(pthread_create(&thread, NULL, plain_run, &listener), 0);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/data", ntohs(address.sin_port));
    http_case_open(c, url, NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_TLS);
    if (!strstr(c->error.text, "(does the server speak plain http?)"))
        fail_msg("%s", c->error.text);
    pthread_join(thread, &done);
    assert_non_null(done);
    close(listener);
}

/* Only for the store that says so, also when the next one is made where it was in memory. */
static void insecure_is_per_store(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.identity = SERVER_TLS_SELF_SIGNED});
    http_case_open(c, "%s/data", "allow_invalid_certificates=true", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    http_case_expect(c, "k", ID, 0, SIZE);
    http_case_open(c, "%s/data", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), LSIO_E_TLS);
}

/* ------------------------------------------------------------------------ H18: how it ends -- */

static void cut_without_notice(void **state)
{
    static const struct server_fault faults[] = {
        {.kind = SERVER_TRUNCATE, .bytes = 70000}, /* in the body: resumed */
        {.kind = SERVER_TRUNCATE, .place = SERVER_IN_HEAD, .bytes = 120},
        {.kind = SERVER_RESET, .bytes = 70000},
        {.kind = SERVER_CLOSE, .bytes = 70000},
        {.kind = SERVER_ACCEPT_CLOSE}, /* in the handshake */
        {.kind = SERVER_ACCEPT_RESET},
    };
    struct http_case *c = *state;

    for (size_t i = 0; i < COUNT(faults); i++) {
        uint64_t retries = api_stats(c->context).retries;
        begin(c);
        http_case_plan(c, NULL, 0, &faults[i]);
        http_case_expect(c, "k", ID, 0, SIZE);
        if (faults[i].kind == SERVER_ACCEPT_CLOSE || faults[i].kind == SERVER_ACCEPT_RESET) {
            server_destroy(c->server); /* so that the next one meets a new connection */
            c->server = NULL;
            continue;
        }
        assert_int_equal(api_stats(c->context).retries, retries + 1);
    }
}

/* A body that ends with the connection is whole only if TLS says so. */
static void end_without_notice_is_no_end(void **state)
{
    static const char half[] = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\nhalf";
    struct http_case *c = *state;
    struct server_fault fault = {.kind = SERVER_TRUNCATE, .bytes = SIZE};

    begin_with(c, "retry_attempts_max=2", NULL);
    http_case_plan(c, NULL, 0, &fault); /* the length is met: nothing is missing */
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 1);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RAW, .text = half});
    assert_int_equal(http_case_read(c, "k", 0, LSIO_TO_END), 0); /* SERVER_RAW closes properly */
    assert_int_equal(c->bytes, 4);
}

static void new_keys_in_the_middle(void **state)
{
    struct http_case *c = *state;

    begin(c);
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_KEY_UPDATE, .bytes = 5000});
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 1);
}

/* ------------------------------------------------------------------ addresses, connections -- */

/* The name's own address is 127.0.0.1, where nobody listens. */
static void addresses_of_the_users(void **state)
{
    struct http_case *c = *state;
    char url[96], resolve[128], host[64], ca[256];

    http_case_serve(c, &(struct server_config){.identity = SERVER_TLS, .address = "127.0.0.2"});
    begin(c);
    snprintf(host, sizeof(host), "data.store.localhost:%u", server_port(c->server));
    snprintf(url, sizeof(url), "https://%s/data", host);
    snprintf(resolve, sizeof(resolve), "resolve=other:1:127.0.0.3 %s:127.0.0.2", host);
    snprintf(ca, sizeof(ca), "ca_bundle=%s", server_ca_file(c->server));
    http_case_open(c, url, ca, "retry_attempts_max=1", NULL);
    assert_int_equal(http_case_read(c, "k", 0, 10), -ECONNREFUSED);
    http_case_open(c, url, ca, resolve, "pool_idle_timeout=10s", "pool_max_idle_per_host=2", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 0, "host"), host);
}

/* ------------------------------------------------------------------------------------ fork -- */

static bool is_refused(struct http_case *c)
{
    uint64_t bytes;

    return lsio_read(c->context, c->store, "k", 0, 10, c->memory, 10, &bytes) == LSIO_E_FORKED;
}

/* The child of a process with open connections: refused at once, and it closes them without a word
 * to the server, which would end them for the parent. */
static int child(struct http_case *c)
{
    if (!is_refused(c))
        return 1;
    return lsio_context_destroy(c->context) == 0 ? 0 : 2;
}

static void connections_survive_a_fork(void **state)
{
    struct http_case *c = *state;
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 1, .loop = c->loop};
    unsigned connections;
    int status;
    pid_t pid;

    assert_int_equal(lsio_context_destroy(c->context), 0);
    assert_int_equal(lsio_context_create(&config, &c->context), 0);
    begin(c);
    for (int i = 0; i < 8; i++)
        http_case_expect(c, "k", ID, i, 1000);
    connections = server_connection_count(c->server);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(c));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 8; i++)
        http_case_expect(c, "k", ID, i, SIZE - i);
    assert_int_equal(server_connection_count(c->server), connections);
    assert_int_equal(api_stats(c->context).retries, 0);
}

/* A context of the child's own reads from the same server, over TLS. */
static int child_reads(struct http_case *c)
{
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 1, .loop = c->loop};
    struct lsio_option options[] = {{"ca_bundle", server_ca_file(c->server)}, {"proxy_url", ""}};
    struct lsio_context *context;
    struct lsio_store *store;
    char url[128];

    snprintf(url, sizeof(url), "%s/data", server_url(c->server));
    if (lsio_context_create(&config, &context) != 0 ||
        lsio_store_open(context, url, options, COUNT(options), &store) != 0)
        return 3;
    if (lsio_read(context, store, "k", 7, 1000, c->memory, 1000, NULL) != 0 ||
        server_pattern_check(ID, 7, c->memory, 1000) >= 0)
        return 4;
    return lsio_context_destroy(context) == 0 ? 0 : 5;
}

/* A fork in the middle of an answer, which goes on in the parent as if nothing had been. */
static void bodies_survive_a_fork(void **state)
{
    struct http_case *c = *state;
    struct lsio_chunk chunk = {.length = SIZE, .dst = c->memory, .dst_bytes = SIZE};
    struct lsio_object object;
    struct lsio_result result;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, &result);
    struct lsio_batch *batch;
    int status;
    pid_t pid;

    begin(c);
    object = (struct lsio_object){.store = c->store, .key = "k", .size = SIZE};
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_HANG, .bytes = 70000});
    assert_int_equal(lsio_submit_batch(c->context, &request, &batch), 0);
    assert_true(server_wait_held(c->server, 1, 10000));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int wrong;
        alarm(60); /* a child that hangs fails */
        if (!CHILDREN_MAY_WORK)
            _exit(is_refused(c) ? 0 : 1);
        wrong = child_reads(c);
        _exit(wrong ? wrong : child(c));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    server_release(c->server);
    api_wait(batch);
    assert_int_equal(result.status, 0);
    assert_int_equal(server_pattern_check(ID, 0, c->memory, SIZE), -1);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    assert_int_equal(api_stats(c->context).requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities),
        cmocka_unit_test(unknown_authority),
        cmocka_unit_test(server_without_tls),
        cmocka_unit_test(insecure_is_per_store),
        cmocka_unit_test(cut_without_notice),
        cmocka_unit_test(end_without_notice_is_no_end),
        cmocka_unit_test(new_keys_in_the_middle),
        cmocka_unit_test(addresses_of_the_users),
        cmocka_unit_test(connections_survive_a_fork),
        cmocka_unit_test(bodies_survive_a_fork),
    };

    return http_case_run("tls", tests, COUNT(tests));
}
