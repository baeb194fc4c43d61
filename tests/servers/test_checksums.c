/* SPDX-License-Identifier: MIT */
/*
 * verify_checksums on the stores that send checksums: those of versitygw (all kinds of S3's), moto,
 * azurite and fake-gcs-server are right for each object that one request brings. Then through the
 * fault server as a proxy that damages the first answer for each object: each is asked for exactly
 * once more, so each had a checksum, and it was compared.
 *
 * LSIO_TEST_TIMEOUT: 300
 * LSIO_TEST_SERIAL: yes
 * LSIO_ROWS: H29
 */
#define _GNU_SOURCE
#include "servers.h"

#include "server/fault_server.h"

#define BYTES_MAX (128 * KIB) /* of the objects that are read */

static const struct servers_way *way;
static const char *loop_name;
static struct servers_manifest manifest;
static uint8_t memory[BYTES_MAX];

/* The number of objects read. */
static unsigned objects_read(struct lsio_context *context, struct lsio_store *store,
                             struct server *proxy)
{
    unsigned count = 0;

    for (size_t i = 0; i < manifest.count; i++) {
        const struct servers_object *object = &manifest.objects[i];
        unsigned before = proxy ? server_request_count(proxy) : 0;
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        int status;
        if (object->size == 0 || object->size > BYTES_MAX)
            continue;
        if (proxy)
            assert_int_equal(server_plan(proxy, NULL, &(struct server_fault){.kind = SERVER_FLIP}),
                             0);
        status = lsio_read(context, store, object->key, 0, object->size, memory, BYTES_MAX, NULL);
        if (status) {
            (void)lsio_last_error(context, &error);
            fail_msg("%s: %s: %s", object->key, lsio_status_name(status), error.text);
        }
        servers_check(object->key, object->id, 0, memory, object->size);
        if (proxy && server_request_count(proxy) != before + 2)
            fail_msg("%s: %u requests", object->key, server_request_count(proxy) - before);
        count++;
    }
    return count;
}

static void all_are_right(void **state)
{
    const struct lsio_option asked[] = {{"verify_checksums", "true"}, {NULL, NULL}};
    struct lsio_context *context = servers_context(loop_name, 64 * MIB);
    struct lsio_store *store;

    (void)state;
    assert_int_equal(servers_open(way, context, NULL, asked, &store), 0);
    assert_true(objects_read(context, store, NULL) > 100);
    assert_int_equal(lsio_context_destroy(context), 0);
}

static void all_are_compared(void **state)
{
    struct lsio_context *context = servers_context(loop_name, 64 * MIB);
    struct lsio_option options[] = {
        {"verify_checksums", "true"}, {"proxy_url", NULL}, {"proxy_excludes", ""}, {NULL, NULL}};
    struct server_fault twice = {.kind = SERVER_FLIP, .times = 2};
    const struct servers_object *object = servers_manifest_find(&manifest, "plain/044");
    struct server *proxy;
    struct lsio_store *store;
    unsigned count;

    (void)state;
    assert_int_equal(server_create(&(struct server_config){.proxy = ""}, &proxy), 0);
    options[1].value = server_url(proxy);
    assert_int_equal(servers_open(way, context, NULL, options, &store), 0);
    count = objects_read(context, store, proxy);
    print_message("%s: %u objects\n", way->name, count);
    assert_int_equal(server_plan(proxy, NULL, &twice), 0);
    assert_int_equal(
        lsio_read(context, store, object->key, 0, object->size, memory, BYTES_MAX, NULL),
        LSIO_E_CORRUPT);
    server_assert_finished(proxy);
    assert_int_equal(lsio_context_destroy(context), 0);
    server_destroy(proxy);
}

int main(void)
{
    static const char *const senders[] = {"VERSITYGW", "MOTO", "AZURITE", "FAKE_GCS"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_right),
        cmocka_unit_test(all_are_compared),
    };
    int failed = 0;

    servers_need();
    for (size_t s = 0; s < COUNT(senders); s++) {
        way = servers_ways;
        while (strcmp(way->server, senders[s]) != 0)
            way++;
        servers_manifest_read(way->server, &manifest);
        failed += servers_run(way->name, &loop_name, tests, COUNT(tests));
        servers_manifest_free(&manifest);
    }
    return failed;
}
