/* SPDX-License-Identifier: MIT */
/*
 * 10,000 ranges of all objects on versitygw, which checks signatures and was filled by boto3, odd
 * keys among them: each byte is the one that was uploaded. Then the same through the fault server
 * as a relay, with a seeded mix of faults in 5 % of the requests: nothing is lost, and what went
 * wrong there is, fault by fault, what the library says that it has repaired.
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

/* Whether one of the first `count` ranges is of that object and ends at that byte. */
static bool is_taken(uint32_t count, const struct servers_object *object, uint64_t last)
{
    for (uint32_t i = 0; i < count; i++)
        if (ranges[i].object == object && ranges[i].first + ranges[i].bytes - 1 == last)
            return true;
    return false;
}

/* Short ones and longer ones, from the front and from the end, of each object in turn that has a
 * byte. No two of an object end alike, so by its end a request shows which range it is of. */
static void ranges_make(void)
{
    uint64_t seed = 1;
    size_t at = 0;

    memory_bytes = 0;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct range *range = &ranges[i];
        uint64_t most = next(&seed) % 20 ? 4096 : 128 * KIB, size;
        do {
            while (manifest.objects[at % manifest.count].size == 0)
                at++;
            range->object = &manifest.objects[at++ % manifest.count];
            size = range->object->size;
            range->bytes = 1 + next(&seed) % (size < most ? size : most);
            range->first = next(&seed) % (size - range->bytes + 1);
        } while (is_taken(i, range->object, range->first + range->bytes - 1));
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

/* 200 objects were uploaded, but for the three keys that versitygw does not take ("trailing/",
 * "x/./y", ".."); ranges are of each that has a byte, those with odd keys too. */
static void all_objects_are_read(void **state)
{
    static const char *const odd[] = {"a//b",          "+=%/\u00e9~ ",    "plus+plus",
                                      "a b",           "percent%20escape", "query?x=1&y=2",
                                      "hash#frag",     "<xml>&amp;",       "line\nfeed",
                                      "x/../y",        "./x",              "e\u0301 decomposed",
                                      " leading space"};

    (void)state;
    assert_in_range(manifest.count, 197, 200);
    for (size_t i = 0; i < COUNT(odd); i++)
        if (!servers_manifest_find(&manifest, odd[i]))
            fail_msg("\"%s\" is not among the objects", odd[i]);
    for (size_t i = 0; i < manifest.count; i++) {
        unsigned count = 0;
        for (uint32_t j = 0; j < CHUNKS; j++)
            count += ranges[j].object == &manifest.objects[i];
        if (count == 0 && manifest.objects[i].size > 0)
            fail_msg("no range is of \"%s\"", manifest.objects[i].key);
    }
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

/* ------------------------------------------------------------------------------------ faults -- */

/* What the relay saw of a range. */
struct story {
    unsigned requests, faults;
    uint64_t first; /* of the last request */
    bool is_whole;  /* the last answer brought all that was asked for, whatever came behind it */
    bool is_faulty;
};

/* What it saw of all. */
struct account {
    unsigned requests, faults;
    unsigned harmless; /* faults behind the last byte, which the client did not notice */
    unsigned throttles;
    unsigned resumes; /* requests that begin behind the one before for the same range */
};

static struct story stories[CHUNKS];

/* The range of a request, by its object and its last byte. */
static struct range *range_of(const struct server_record *record, uint64_t *first, uint64_t *last)
{
    const char *key = strchr(record->path + 1, '/') + 1;
    unsigned long long from = 0, to = 0;
    char text[64];

    assert_non_null(server_header(record, "range", text, sizeof(text)));
    assert_int_equal(sscanf(text, "bytes=%llu-%llu", &from, &to), 2);
    *first = from;
    *last = to;
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (ranges[i].first + ranges[i].bytes - 1 == to && strcmp(ranges[i].object->key, key) == 0)
            return &ranges[i];
    fail_msg("%s of %s was asked for by nobody", text, record->path);
    return NULL;
}

static void account_add(struct account *account, const struct server_record *record)
{
    uint64_t first, last;
    const struct range *range = range_of(record, &first, &last);
    struct story *story = &stories[range - ranges];

    account->resumes += first > (story->requests ? story->first : range->first);
    story->first = first;
    story->requests++;
    story->faults += record->fault != NULL;
    story->is_faulty = record->fault != NULL;
    story->is_whole = record->status == 206 && record->sent_bytes == last - first + 1;
    account->throttles += record->status == 429 || record->status == 503;
}

/* Each fault of a range costs one more request, but for one behind the last byte of its last
 * answer.
 */
static void account_close(struct account *account)
{
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const struct story *story = &stories[i];
        unsigned harmless = story->is_faulty && story->is_whole;
        if (!story->is_whole || story->requests != 1 + story->faults - harmless)
            fail_msg("%s from %llu: %u requests, %u faults, %u of them harmless",
                     ranges[i].object->key, (unsigned long long)ranges[i].first, story->requests,
                     story->faults, harmless);
        account->requests += story->requests;
        account->faults += story->faults;
        account->harmless += harmless;
    }
}

static void through_faults(void **state)
{
    const struct server_config config = {
        .relay = strstr(servers_value(way->server, "ENDPOINT"), "127.")};
    struct lsio_option options[] = {
        {"endpoint", NULL}, {"retry_sleep_min", "1ms"}, {"retry_sleep_max", "20ms"}, {NULL, NULL}};
    struct account account = {.faults = 0};
    struct server_record record;
    struct lsio_stats stats;
    struct server *relay;
    unsigned requests, unseen;

    (void)state;
    assert_int_equal(server_create(&config, &relay), 0);
    assert_int_equal(server_random(relay, FAULT_SEED, FAULT_PERMILL, FAULT_KINDS), 0);
    options[0].value = server_url(relay);
    memset(stories, 0, sizeof(stories));
    stats = ranges_read(options, true);
    requests = server_request_count(relay);
    assert_true(server_wait_ended(relay, requests, 30000));
    for (unsigned i = 0; i < requests; i++) {
        assert_true(server_request(relay, i, &record));
        account_add(&account, &record);
    }
    account_close(&account);
    /* Sent over connections that the relay was just closing, behind an answer. */
    unseen = (unsigned)stats.requests - account.requests;
    print_message("mix %s, %u per mille, seed %u\n", FAULT_KINDS, FAULT_PERMILL, FAULT_SEED);
    server_report(relay, stdout);
    print_message("%u faults and %u requests unseen = %u retries + %u reconnects + %u harmless "
                  "faults; %u resumes\n",
                  account.faults, unseen, (unsigned)stats.retries, (unsigned)stats.reconnects,
                  account.harmless, (unsigned)stats.resumes);
    assert_int_equal(account.requests, requests);
    assert_int_equal(stats.operations, CHUNKS);
    assert_true(account.faults > requests / 40); /* they did happen: 5 % are wanted */
    assert_int_equal(stats.requests, stats.operations + stats.retries + stats.reconnects);
    assert_int_equal(account.faults + unseen, stats.retries + stats.reconnects + account.harmless);
    assert_true(unseen <= account.harmless);
    assert_int_equal(stats.resumes, account.resumes);
    assert_int_equal(stats.throttles, account.throttles);
    assert_int_equal(stats.hedges, 0);
    /* The identity did reach the server, its secret did not. */
    assert_true(server_has_seen(relay, servers_value(way->server, "ACCESS_KEY")));
    assert_false(server_has_seen(relay, servers_value(way->server, "SECRET_KEY")));
    server_destroy(relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_objects_are_read),
        cmocka_unit_test(joined),
        cmocka_unit_test(through_faults),
    };
    int failed;

    servers_need();
    for (size_t i = 0; i < servers_way_count; i++)
        if (strcmp(servers_ways[i].server, "VERSITYGW") == 0)
            way = &servers_ways[i];
    servers_manifest_read(way->server, &manifest);
    ranges_make();
    failed = servers_run(way->name, &loop_name, tests, COUNT(tests));
    free(memory);
    servers_manifest_free(&manifest);
    return failed;
}
