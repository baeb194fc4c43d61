/* SPDX-License-Identifier: MIT */
/*
 * lsio_store_credentials(): the application's own function is asked for credentials, once for many
 * reads, again when the server refuses them; what it gives signs the requests, and what it says
 * when it has none is in the chunk's error.
 *
 * LSIO_ROWS: H7
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lsio/lsio.h"
#include "server/fault_server.h"

#define SIZE 5000u

struct asked {
    _Atomic unsigned count;
    int status; /* what the next call returns */
};

static int ask(void *data, struct lsio_credential *out)
{
    struct asked *asked = data;
    static const char *const ids[] = {"FIRSTID", "SECONDID"};
    unsigned count = atomic_fetch_add(&asked->count, 1);

    if (asked->status) {
        snprintf(out->error, sizeof(out->error), "the vault is locked");
        return asked->status;
    }
    out->id = ids[count > 0];
    out->secret = "notverysecret";
    out->token = "sessiontoken";
    return 0;
}

struct fixture {
    struct server *server;
    struct lsio_context *context;
    struct lsio_store *store;
    struct asked asked;
    char bytes[SIZE];
};

static int set_up(void **state)
{
    static struct fixture f;
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 2};
    struct server_config server = {.style = SERVER_S3};

    memset(&f, 0, sizeof(f));
    assert_int_equal(server_create(&server, &f.server), 0);
    assert_int_equal(server_put(f.server, &(struct server_object){.path = "/bucket/key",
                                                                  .pattern_id = 3,
                                                                  .size = SIZE}),
                     0);
    assert_int_equal(lsio_context_create(&config, &f.context), 0);
    {
        struct lsio_option options[] = {{"endpoint", server_url(f.server)}};
        assert_int_equal(lsio_store_open(f.context, "s3://bucket", options, 1, &f.store), 0);
    }
    assert_int_equal(lsio_store_credentials(f.store, ask, &f.asked), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(lsio_context_destroy(f->context), 0);
    server_assert_finished(f->server);
    server_destroy(f->server);
    return 0;
}

static int read_all(struct fixture *f)
{
    uint64_t got = 0;
    int status = lsio_read(f->context, f->store, "key", 0, SIZE, f->bytes, SIZE, &got);

    if (status == 0) {
        assert_int_equal(got, SIZE);
        assert_int_equal(server_pattern_check(3, 0, f->bytes, SIZE), -1);
    }
    return status;
}

static void expect_id(struct fixture *f, unsigned request, const char *id)
{
    struct server_record record;
    char value[1024], wanted[64];

    assert_true(server_request(f->server, request, &record));
    assert_non_null(server_header(&record, "authorization", value, sizeof(value)));
    snprintf(wanted, sizeof(wanted), "Credential=%s/", id);
    assert_non_null(strstr(value, wanted));
    assert_non_null(server_header(&record, "x-amz-security-token", value, sizeof(value)));
    assert_string_equal(value, "sessiontoken");
}

static void what_it_gives_signs_every_request(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(read_all(f), 0);
    assert_int_equal(atomic_load(&f->asked.count), 1);
    for (unsigned i = 0; i < 5; i++)
        expect_id(f, i, "FIRSTID");
}

static void it_is_asked_again_when_the_server_refuses(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_all(f), 0);
    assert_int_equal(server_plan(f->server, NULL,
                                 &(struct server_fault){.kind = SERVER_STATUS,
                                                        .status = 403,
                                                        .code = "ExpiredToken"}),
                     0);
    assert_int_equal(read_all(f), 0);
    assert_int_equal(atomic_load(&f->asked.count), 2);
    assert_int_equal(server_request_count(f->server), 3);
    expect_id(f, 1, "FIRSTID");
    expect_id(f, 2, "SECONDID");
}

static void what_it_says_is_in_the_error(void **state)
{
    struct fixture *f = *state;
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    f->asked.status = -EACCES;
    assert_int_equal(read_all(f), -EACCES);
    assert_int_equal(lsio_last_error(f->context, &error), 0);
    assert_non_null(strstr(error.text, "the vault is locked"));
    assert_int_equal(server_request_count(f->server), 0);
}

static void arguments_are_checked(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *memory;

    assert_int_equal(lsio_store_credentials(NULL, ask, NULL), -EINVAL);
    assert_int_equal(lsio_store_credentials(f->store, NULL, NULL), -EINVAL);
    assert_int_equal(lsio_store_open(f->context, "memory://m", NULL, 0, &memory), 0);
    assert_int_equal(lsio_store_credentials(memory, ask, NULL), -EOPNOTSUPP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_it_gives_signs_every_request),
        TEST(it_is_asked_again_when_the_server_refuses),
        TEST(what_it_says_is_in_the_error),
        TEST(arguments_are_checked),
    };

    return cmocka_run_group_tests_name("http callback", tests, NULL, NULL);
}
