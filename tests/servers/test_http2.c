/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 connections that nginx ends while they are in use: after two requests each, and because it
 * is told to read its configuration anew. It says GOAWAY (RFC 9113, 6.8) and refuses the streams
 * that it has not begun; nothing is lost, and no byte is wrong. The second on HTTP/1.1, too.
 *
 * LSIO_TEST_TIMEOUT: 300
 * LSIO_TEST_SERIAL: yes
 * LSIO_ROWS: H23
 */
#define _GNU_SOURCE
#include "servers.h"

#include <signal.h>
#include <sys/types.h>

#define CHUNKS        1500u
#define BYTES         3000u /* of each */
#define PIDS          64u
#define BATCHES_MAX   500u /* until a reload has shown */
#define BATCHES_AFTER 4

static const struct servers_way h2_short = {
    .name = "http2, two requests a connection",
    .server = "NGINX",
    .url = "$HTTP2_SHORT",
    .options = {{"ca_bundle", "$CA_FILE"}, {"http2_only", "true"}}};

static const char *loop_name;
static struct servers_manifest manifest;
static uint8_t *memory;

/* Pieces of large objects and of small ones, each in a request of its own; all are checked. */
static void batch_read(struct lsio_context *context, struct lsio_store *store)
{
    struct lsio_object *objects = calloc(CHUNKS, sizeof(*objects));
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_result *results = calloc(CHUNKS, sizeof(*results));
    const struct servers_object **of = calloc(CHUNKS, sizeof(*of));
    struct lsio_request request = api_request(objects, CHUNKS, chunks, CHUNKS, results);
    struct lsio_batch *batch;
    size_t at = 0;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        while (manifest.objects[at % manifest.count].size < BYTES)
            at++;
        of[i] = &manifest.objects[at++ % manifest.count];
        objects[i] = (struct lsio_object){.store = store, .key = of[i]->key, .size = of[i]->size};
        chunks[i] = (struct lsio_chunk){.object = i,
                                        .offset = (int64_t)(of[i]->size - BYTES) * i / CHUNKS,
                                        .length = BYTES,
                                        .dst = memory + (size_t)i * BYTES,
                                        .dst_bytes = BYTES};
    }
    assert_int_equal(lsio_submit_batch(context, &request, &batch), 0);
    api_wait(batch);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        if (results[i].status) {
            (void)lsio_batch_error(batch, i, &error);
            fail_msg("%s: %s after %u attempts: %s", of[i]->key,
                     lsio_status_name(results[i].status), error.attempts, error.text);
        }
        servers_check(of[i]->key, of[i]->id, (uint64_t)chunks[i].offset, results[i].data, BYTES);
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(objects);
    free(chunks);
    free(results);
    free(of);
}

/* ----------------------------------------------------------------------------- two requests -- */

/* Of nginx's log, as far as it is written: the connections. */
static unsigned connections_count(void)
{
    FILE *log = fopen(servers_value("NGINX", "CONNECTIONS_LOG"), "re");
    unsigned long connection, requests;
    unsigned count = 0;
    char protocol[16];

    assert_non_null(log);
    while (fscanf(log, "%lu %lu %15s", &connection, &requests, protocol) == 3) {
        assert_string_equal(protocol, "HTTP/2.0");
        count += requests == 1;
    }
    fclose(log);
    return count;
}

static void two_requests_a_connection(void **state)
{
    struct lsio_context *context = servers_context(loop_name, 64 * MIB);
    unsigned before = connections_count();
    struct lsio_store *store;
    struct lsio_stats stats;

    (void)state;
    assert_int_equal(servers_open(&h2_short, context, NULL, NULL, &store), 0);
    batch_read(context, store);
    stats = api_stats(context);
    print_message("%u connections, %u requests, %u retries, %u reconnects\n",
                  connections_count() - before, (unsigned)stats.requests, (unsigned)stats.retries,
                  (unsigned)stats.reconnects);
    assert_int_equal(stats.operations, CHUNKS);
    assert_true(connections_count() - before >= CHUNKS / 4);
    assert_int_equal(lsio_context_destroy(context), 0);
}

/* ----------------------------------------------------------------------------------- reload -- */

static pid_t nginx_pid(void)
{
    FILE *file = fopen(servers_value("NGINX", "PID_FILE"), "re");
    int pid = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

/* Its workers. */
static unsigned children_of(pid_t pid, int out[PIDS])
{
    char path[64];
    unsigned count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (count < PIDS && fscanf(file, "%d", &out[count]) == 1)
        count++;
    fclose(file);
    return count;
}

/* Whether there is a worker that was not among `before`. */
static bool has_new(pid_t pid, const int *before, unsigned before_count)
{
    int now[PIDS];
    unsigned count = children_of(pid, now), old = 0;

    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < before_count; k++)
            old += now[i] == before[k];
    return old < count;
}

static void reload_while_reading(const struct servers_way *way)
{
    struct lsio_context *context = servers_context(loop_name, 64 * MIB);
    pid_t nginx = nginx_pid();
    struct lsio_store *store;
    unsigned batches = 0, count;
    int workers[PIDS];

    assert_int_equal(servers_open(way, context, NULL, NULL, &store), 0);
    batch_read(context, store); /* so there are connections */
    for (int i = 0; i < 3; i++) {
        count = children_of(nginx, workers);
        assert_true(count > 0);
        assert_int_equal(kill(nginx, SIGHUP), 0);
        while (!has_new(nginx, workers, count) && batches++ < BATCHES_MAX)
            batch_read(context, store);
        for (int k = 0; k < BATCHES_AFTER; k++) /* while the old workers end their connections */
            batch_read(context, store);
    }
    print_message("%s: %u batches, %u retries, %u reconnects\n", way->name, batches,
                  (unsigned)api_stats(context).retries, (unsigned)api_stats(context).reconnects);
    assert_true(batches < BATCHES_MAX);
    assert_int_equal(lsio_context_destroy(context), 0);
}

static void reload_on_http2(void **state)
{
    (void)state;
    for (size_t i = 0; i < servers_way_count; i++)
        if (strcmp(servers_ways[i].name, "http2") == 0)
            reload_while_reading(&servers_ways[i]);
}

static void reload_on_http1(void **state)
{
    (void)state;
    for (size_t i = 0; i < servers_way_count; i++)
        if (strcmp(servers_ways[i].name, "https") == 0)
            reload_while_reading(&servers_ways[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_requests_a_connection),
        cmocka_unit_test(reload_on_http2),
        cmocka_unit_test(reload_on_http1),
    };
    int failed;

    servers_need();
    servers_manifest_read("NGINX", &manifest);
    memory = malloc((size_t)CHUNKS * BYTES);
    failed = servers_run("nginx", &loop_name, tests, COUNT(tests));
    free(memory);
    servers_manifest_free(&manifest);
    return failed;
}
