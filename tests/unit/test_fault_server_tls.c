/* SPDX-License-Identifier: MIT */
/* The fault server over TLS: what each identity shows to a client that verifies, and how it ends.
 */
#define _GNU_SOURCE
#include "fault_server_case.h"

#include <signal.h>
#include <unistd.h>

enum { SIZE = 300000 };

static int setup(void **state)
{
    struct server *server = case_server(&(struct server_config){.identity = SERVER_TLS});

    case_put(server, "/k", 8, SIZE);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;
    char ca[128];

    snprintf(ca, sizeof(ca), "%s", server_ca_file(server));
    case_server_end(server);
    assert_int_not_equal(access(ca, F_OK), 0);
    return 0;
}

static const char *open_tls(struct server *s, struct raw_client *client, const char *host)
{
    return raw_open_tls(client, server_port(s), server_ca_file(s), host);
}

static void whole_object(struct raw_client *client)
{
    struct raw_answer answer = case_get(client, "/k", "", SIZE);

    assert_int_equal(answer.end, RAW_OPEN);
    assert_int_equal(answer.body.used, SIZE);
    assert_int_equal(server_pattern_check(8, 0, answer.body.at, SIZE), -1);
    raw_answer_free(&answer);
}

static void serves(void **state)
{
    static const char *const names[] = {"127.0.0.1", "127.0.0.8", "localhost",
                                        "bucket.store.localhost"};
    struct server *s = *state;
    struct raw_client client;

    assert_memory_equal(server_url(s), "https://127.0.0.1:", 18);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *wrong = open_tls(s, &client, names[i]);
        if (wrong)
            fail_msg("%s: %s", names[i], wrong);
        for (int again = 0; again < 2; again++)
            whole_object(&client);
        raw_close(&client);
    }
}

static void identities(void **state)
{
    static const struct {
        enum server_identity identity;
        const char *wrong;
    } cases[] = {
        {SERVER_TLS_WRONG_HOST, "hostname mismatch"},
        {SERVER_TLS_EXPIRED, "certificate has expired"},
        {SERVER_TLS_SELF_SIGNED, "self-signed certificate"},
        {SERVER_TLS_1_1, "tlsv1 alert protocol version"},
        {SERVER_TLS, NULL},
    };
    struct server *s = *state;
    struct raw_client client;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *wrong;
        assert_int_equal(server_plan(s, NULL,
                                     &(struct server_fault){.kind = SERVER_IDENTITY,
                                                            .identity = cases[i].identity}),
                         0);
        wrong = open_tls(s, &client, "localhost");
        if (cases[i].wrong) {
            assert_non_null(wrong);
            assert_string_equal(wrong, cases[i].wrong);
        } else {
            assert_null(wrong);
            raw_close(&client);
        }
    }
}

static void handshake_broken_off(void **state)
{
    struct server *s = *state;
    struct raw_client client;

    server_plan(s, NULL, &(struct server_fault){.kind = SERVER_ACCEPT_CLOSE});
    assert_non_null(open_tls(s, &client, "localhost"));
    server_plan(s, NULL, &(struct server_fault){.kind = SERVER_ACCEPT_RESET});
    assert_non_null(open_tls(s, &client, "localhost"));
    assert_null(open_tls(s, &client, "localhost"));
    raw_close(&client);
}

static void ends(void **state)
{
    static const struct {
        enum server_fault_kind kind;
        enum raw_end end;
    } cases[] = {
        {SERVER_CLOSE, RAW_FIN},
        {SERVER_TRUNCATE, RAW_CUT},
        {SERVER_RESET, RAW_CUT},
    };
    struct server *s = *state;
    struct raw_client client;
    struct raw_answer answer;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server_plan(s, NULL, &(struct server_fault){.kind = cases[i].kind, .bytes = 1000});
        assert_null(open_tls(s, &client, "localhost"));
        answer = case_get(&client, "/k", "", SIZE);
        assert_int_equal(answer.end, cases[i].end);
        assert_int_equal(answer.body.used, 1000);
        raw_answer_free(&answer);
        raw_close(&client);
    }
    /* A body without length ends with close_notify, or without it. */
    server_plan(s, NULL, &(struct server_fault){.kind = SERVER_UNSIZED});
    assert_null(open_tls(s, &client, "localhost"));
    answer = case_get(&client, "/k", "", SIZE + 1);
    assert_int_equal(answer.end, RAW_FIN);
    assert_int_equal(answer.body.used, SIZE);
    raw_answer_free(&answer);
    raw_close(&client);
}

static void keys_change_within_a_body(void **state)
{
    struct server *s = *state;
    struct raw_client client;

    server_plan(s, NULL,
                &(struct server_fault){.kind = SERVER_KEY_UPDATE, .bytes = 12345, .times = 2});
    assert_null(open_tls(s, &client, "localhost"));
    for (int i = 0; i < 2; i++)
        whole_object(&client);
    raw_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves, setup, teardown),
        cmocka_unit_test_setup_teardown(identities, setup, teardown),
        cmocka_unit_test_setup_teardown(handshake_broken_off, setup, teardown),
        cmocka_unit_test_setup_teardown(ends, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_change_within_a_body, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that have ended */
    return cmocka_run_group_tests_name("fault server over TLS", tests, NULL, NULL);
}
