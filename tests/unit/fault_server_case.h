/* SPDX-License-Identifier: MIT */
/*
 * fault_server_case.h - what the tests of the fault server share: a server with an object, and a
 * client of it.
 *
 *     cmocka_unit_test_setup_teardown(test, case_setup, case_teardown)
 *     struct server_case *f = *state;                 an S3 store with /b/k, the client not open
 *     case_connect(&f->client, f->server);
 *     answer = case_get(&f->client, "/b/k", "Range: bytes=0-9\r\n", SIZE_MAX);
 */
#ifndef LSIO_TESTS_UNIT_FAULT_SERVER_CASE_H
#define LSIO_TESTS_UNIT_FAULT_SERVER_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "between.h"
#include "server/fault_server.h"
#include "server/raw_client.h"

enum { CASE_PATTERN = 3, CASE_SIZE = 100000, CASE_WAIT_MS = 20000 };

struct server_case {
    struct server *server;
    struct raw_client client;
};

static inline void case_put(struct server *server, const char *path, uint64_t pattern_id,
                            uint64_t size)
{
    const struct server_object object = {.path = path, .pattern_id = pattern_id, .size = size};

    assert_int_equal(server_put(server, &object), 0);
}

static inline struct server *case_server(const struct server_config *config)
{
    struct server *server = NULL;

    assert_int_equal(server_create(config, &server), 0);
    return server;
}

/* Fails if something that was planned did not happen. */
static inline void case_server_end(struct server *server)
{
    server_assert_finished(server);
    server_destroy(server);
}

/* Opens a client that is not open. */
static inline void case_connect(struct raw_client *client, const struct server *server)
{
    assert_true(raw_open(client, "127.0.0.1", server_port(server)));
}

/* For a case of one's own: a server without objects, and a client that is connected. */
static inline void case_begin(struct server_case *f, const struct server_config *config)
{
    f->server = case_server(config);
    case_connect(&f->client, f->server);
}

static inline void case_end(struct server_case *f)
{
    raw_close(&f->client);
    case_server_end(f->server);
}

static inline int case_setup(void **state)
{
    struct server_case *f = calloc(1, sizeof(*f));

    f->client.fd = -1;
    f->server = case_server(&(struct server_config){.style = SERVER_S3});
    case_put(f->server, "/b/k", CASE_PATTERN, CASE_SIZE);
    *state = f;
    return 0;
}

static inline int case_teardown(void **state)
{
    case_end(*state);
    free(*state);
    return 0;
}

/* A connection of its own for what comes now. */
static inline void case_reconnect(struct raw_client *client, const struct server *server)
{
    raw_close(client);
    case_connect(client, server);
}

/* The answer on the open connection, with so much of its body at most; for raw_answer_free(). */
static inline struct raw_answer case_get(struct raw_client *client, const char *path,
                                         const char *lines, size_t body_max)
{
    struct raw_answer answer;

    raw_get(client, path, lines);
    raw_receive(client, body_max, &answer);
    return answer;
}

#endif
