/* SPDX-License-Identifier: MIT */
/*
 * 10,000 ranges of all objects on versitygw, which checks signatures and was filled by boto3, odd
 * keys among them: each byte is the one that was uploaded. Then the same through the fault server
 * as a relay, with a seeded mix of faults in 5 % of the requests: nothing is lost, and each fault
 * costs the one more request that it must, and no other.
 *
 * LSIO_TEST_TIMEOUT: 600
 * LSIO_TEST_SERIAL: yes
 * LSIO_ROWS: H1 H8 H9 H19
 */
#define _GNU_SOURCE
#include "servers.h"

#include "server/fault_server.h"

#define CHUNKS        10000u
#define FAULT_SEED    20u
#define FAULT_PERMILL 50u
#define FAULT_KINDS   "reset,close,truncate,silence,slowdown,throttle,error"

static const struct servers_way *way;
static const char *loop_name;
static struct servers_manifest manifest;

struct range {
    const struct servers_object *object;
    uint64_t first, bytes;
    uint64_t at; /* in `memory` */
};

static struct lsio_chunk chunks[CHUNKS];
static struct lsio_result results[CHUNKS];
static struct range ranges[CHUNKS];
static uint8_t *memory;
static uint64_t memory_bytes;

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 24;
}

/* Short ones and longer ones, from the front and from the end, of each object in turn that has a
 * byte. */
static void ranges_make(void)
{
    uint64_t seed = 1;
    size_t at = 0;

    memory_bytes = 0;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct range *range = &ranges[i];
        uint64_t most = next(&seed) % 20 ? 4096 : 128 * KIB, size;
        while (manifest.objects[at % manifest.count].size == 0)
            at++;
        range->object = &manifest.objects[at++ % manifest.count];
        size = range->object->size;
        range->bytes = 1 + next(&seed) % (size < most ? size : most);
        range->first = next(&seed) % (size - range->bytes + 1);
        range->at = memory_bytes;
        memory_bytes += range->bytes;
        chunks[i] = (struct lsio_chunk){.object = i % (uint32_t)manifest.count,
                                        .offset = (int64_t)range->first -
                                                  (next(&seed) % 3 ? 0 : (int64_t)size),
                                        .length = range->bytes,
                                        .dst_bytes = range->bytes};
    }
    memory = malloc(memory_bytes);
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i].dst = memory + ranges[i].at;
}

/* Reads all ranges of the store, checks each byte, and tells what it took. With `apart` each range
 * is of an object of its own as far as LSIO knows, so no two can be read by one request. */
static struct lsio_stats ranges_read(const struct lsio_option *options, bool apart)
{
    struct lsio_context *context = servers_context(loop_name, 64 * MIB);
    struct lsio_object *objects = calloc(CHUNKS, sizeof(*objects));
    struct lsio_request request = api_request(objects, CHUNKS, chunks, CHUNKS, results);
    struct lsio_store *store;
    struct lsio_batch *batch;
    struct lsio_stats stats;
    struct api_seen seen;
    char *text;

    assert_int_equal(servers_open(way, context, NULL, options, &store), 0);
    request.object_count = apart ? CHUNKS : manifest.count;
    for (size_t i = 0; i < request.object_count; i++) {
        const struct servers_object *object = apart ? ranges[i].object : &manifest.objects[i];
        objects[i] = (struct lsio_object){.store = store, .key = object->key, .size = object->size};
    }
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i].object = apart ? i : (uint32_t)(ranges[i].object - manifest.objects);
    memset(memory, 0xee, memory_bytes);
    api_seen_init(&seen, CHUNKS);
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &seen;
    assert_int_equal(lsio_explain_batch(context, &request, LSIO_EXPLAIN_TEXT, &text), 0);
    servers_secrets_check(text);
    lsio_result_free(text);
    assert_int_equal(lsio_submit_batch(context, &request, &batch), 0);
    api_wait(batch);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        if (results[i].status) {
            (void)lsio_batch_error(batch, i, &error);
            fail_msg("%s: %s: %s", ranges[i].object->key, lsio_status_name(results[i].status),
                     error.text);
        }
        assert_int_equal(results[i].bytes, ranges[i].bytes);
        servers_check(ranges[i].object->key, ranges[i].object->id, ranges[i].first,
                      memory + ranges[i].at, ranges[i].bytes);
    }
    api_seen_check(&seen);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    stats = api_stats(context);
    assert_int_equal(lsio_context_destroy(context), 0);
    assert_int_equal(servers_secrets_logged(), 0);
    free(objects);
    return stats;
}

static void joined(void **state)
{
    struct lsio_stats stats;

    (void)state;
    stats = ranges_read(NULL, false);
    assert_true(stats.operations_joined > 0);
    assert_true(stats.operations < CHUNKS / 4);
    assert_int_equal(stats.retries, 0);
}

/* What the faults that happened must have cost. */
struct cost {
    unsigned faults, throttles;
    unsigned surely;  /* requests that must have been made anew */
    unsigned perhaps; /* broken off behind the last byte: the client may have had it, or not */
};

static void cost_add(struct cost *cost, const struct server_record *record)
{
    unsigned long long first = 0, last = 0;
    char range[64];

    if (!record->fault)
        return;
    cost->faults++;
    cost->throttles += record->status == 429 || record->status == 503;
    assert_non_null(server_header(record, "range", range, sizeof(range)));
    assert_int_equal(sscanf(range, "bytes=%llu-%llu", &first, &last), 2);
    if (record->status == 206 && record->sent_bytes == last - first + 1)
        cost->perhaps++;
    else
        cost->surely++;
}

static void through_faults(void **state)
{
    const struct server_config config = {
        .relay = strstr(servers_value(way->server, "ENDPOINT"), "127.")};
    struct lsio_option options[] = {{"endpoint", NULL},

                                    {"retry_sleep_min", "1ms"},
                                    {"retry_sleep_max", "20ms"},
                                    {NULL, NULL}};
    struct cost cost = {.faults = 0};
    struct server_record record;
    struct lsio_stats stats;
    struct server *relay;
    unsigned requests, more;

    (void)state;
    assert_int_equal(server_create(&config, &relay), 0);
    assert_int_equal(server_random(relay, FAULT_SEED, FAULT_PERMILL, FAULT_KINDS), 0);
    options[0].value = server_url(relay);
    stats = ranges_read(options, true);
    requests = server_request_count(relay);
    assert_true(server_wait_ended(relay, requests, 30000));
    for (unsigned i = 0; i < requests; i++) {
        assert_true(server_request(relay, i, &record));
        cost_add(&cost, &record);
    }
    server_report(relay, stdout);
    more = requests - (unsigned)stats.operations;
    print_message("%u requests for %u operations, %u faults, %u retries, %u throttles\n", requests,
                  (unsigned)stats.operations, cost.faults, (unsigned)stats.retries,
                  (unsigned)stats.throttles);
    assert_int_equal(stats.operations, CHUNKS);
    assert_true(cost.faults > requests / 40); /* they did happen: 5 % are wanted */
    if (more < cost.surely || more > cost.surely + cost.perhaps)
        fail_msg("%u requests more than operations; %u faults cost one, %u may", more, cost.surely,
                 cost.perhaps);
    /* What is no retry was asked for again at once: the connection had been closed unread. */
    assert_true(stats.retries <= more && stats.retries > more / 2);
    assert_int_equal(stats.throttles, cost.throttles);
    /* The identity did reach the server, its secret did not. */
    assert_true(server_has_seen(relay, servers_value(way->server, "ACCESS_KEY")));
    assert_false(server_has_seen(relay, servers_value(way->server, "SECRET_KEY")));
    server_destroy(relay);
}

int main(void)
{
    static const char *const loops[] = {"uring", "epoll"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined),
        cmocka_unit_test(through_faults),
    };
    int failed = 0;

    servers_need();
    for (size_t i = 0; i < servers_way_count; i++)
        if (strcmp(servers_ways[i].server, "VERSITYGW") == 0)
            way = &servers_ways[i];
    servers_manifest_read(way->server, &manifest);
    ranges_make();
    for (size_t i = 0; i < COUNT(loops); i++) {
        loop_name = loops[i];
        if (!api_loop_is_there(loop_name))
            continue;
        print_message("on %s\n", loop_name);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    free(memory);
    servers_manifest_free(&manifest);
    return failed;
}
