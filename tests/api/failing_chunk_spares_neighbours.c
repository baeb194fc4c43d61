/* SPDX-License-Identifier: MIT */
/*
 * A chunk that fails - absent object, range beyond the end, object index that is none, destination
 * too small, flag that is none, key that cannot be - fails alone: every other chunk has exactly its
 * bytes and nothing beside its destination is written. With plain reads and with joins in all
 * profiles.
 *
 * LSIO_ROWS: L4 L8
 */
#include "api_fixture.h"

#define CHUNKS 700u
#define SIZE   300000u
#define ROOM   1024u /* of each destination; the chunk may use the middle half */

/* The three keys that only buckets may have come last. */
enum bad {
    GOOD,
    ABSENT,
    BEYOND,
    NO_OBJECT,
    SMALL,
    BACKWARDS,
    NO_FLAG,
    EMPTY_NO_FLAG,
    DOTDOT,
    EMPTY_KEY,
    ABSOLUTE,
    KINDS
};

static int status_of(const struct api *api, enum bad kind)
{
    static const int statuses[] = {0,       -ENOENT, LSIO_E_TRUNCATED, -EINVAL, LSIO_E_NO_SPACE,
                                   -EINVAL, -EINVAL, -EINVAL};

    return kind < DOTDOT ? statuses[kind] : api->bad_key;
}

static enum bad kind_of(uint32_t i)
{
    return i % 5 == 2 ? (enum bad)(1 + i / 5 % (KINDS - 1)) : GOOD;
}

static struct lsio_chunk chunk_make(uint32_t i, uint8_t *dst)
{
    struct lsio_chunk chunk = {.offset = (int64_t)i * 420,
                               .length = 500,
                               .dst = dst + (size_t)i * ROOM + ROOM / 4,
                               .dst_bytes = ROOM / 2};

    switch (kind_of(i)) {
    case ABSENT:
        chunk.object = 1;
        break;
    case BEYOND:
        chunk.offset = SIZE - 400;
        break;
    case NO_OBJECT:
        chunk.object = i % 2 ? 5 : UINT32_MAX;
        break;
    case SMALL:
        chunk.dst_bytes = 499;
        break;
    case EMPTY_NO_FLAG:
        chunk.length = 0;
        chunk.flags = 1u << 31;
        break;
    case NO_FLAG:
        chunk.flags = 1u << 2;
        break;
    case DOTDOT:
        chunk.object = 2;
        break;
    case EMPTY_KEY:
        chunk.object = 3;
        break;
    case ABSOLUTE:
        chunk.object = 4;
        break;
    case BACKWARDS:
        chunk.offset = -499;
        break;
    default:
        break;
    }
    return chunk;
}

static void check_one(const struct api *api, uint32_t i, const struct lsio_chunk *chunk,
                      const struct lsio_result *result, const uint8_t *dst)
{
    const uint8_t *room = dst + (size_t)i * ROOM;

    if (result->status != status_of(api, kind_of(i)))
        fail_msg("chunk %u: status %s, not %s", i, lsio_status_name(result->status),
                 lsio_status_name(status_of(api, kind_of(i))));
    if (result->status == 0) {
        assert_int_equal(result->bytes, 500);
        api_check(result->data, 0, (uint64_t)chunk->offset, 500);
    } else {
        assert_null(result->data);
        assert_int_equal(result->bytes, 0);
    }
    assert_true(api_all(room, 0xee, ROOM / 4));
    assert_true(
        api_all(room + ROOM / 4 + chunk->dst_bytes, 0xee, ROOM - ROOM / 4 - chunk->dst_bytes));
}

static void objects_make(struct api *api, struct lsio_object *objects)
{
    static const char *const keys[5] = {"k", "absent", "a/../k", "", "/k"};

    for (size_t i = 0; i < 5; i++)
        objects[i] = api_object(api, keys[i]);
}

static void run(struct api *api, const struct lsio_option *options, size_t option_count,
                uint64_t size)
{
    struct lsio_object objects[5];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(objects, 5, chunks, CHUNKS, results);
    uint8_t *dst = malloc((size_t)CHUNKS * ROOM);

    api_remake(api, NULL, options, option_count);
    objects_make(api, objects);
    objects[0].size = size;
    memset(dst, 0xee, (size_t)CHUNKS * ROOM);
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = chunk_make(i, dst);
    assert_int_equal(lsio_read_batch(api->context, &request), status_of(api, kind_of(2)));
    for (uint32_t i = 0; i < CHUNKS; i++)
        check_one(api, i, &chunks[i], &results[i], dst);
    free(dst);
}

static void in_every_profile(void **state)
{
    static const char *const profiles[] = {"nvme", "ssd", "hdd", "hpc", "memory"};
    struct api *api = *state;

    api_put(api, "k", 0, SIZE);
    for (size_t i = 0; i < COUNT(profiles); i++) {
        const struct lsio_option options[] = {{"profile", profiles[i]}, {"gap_bytes", "16K"}};
        run(api, options, 1, LSIO_SIZE_UNKNOWN);
        run(api, options, 2, LSIO_SIZE_UNKNOWN);
        run(api, options, 2, SIZE);
    }
}

/* The same rules where the calling thread reads itself. */
static void alone(void **state)
{
    struct api *api = *state;
    uint8_t dst[ROOM];
    static const char *const keys[] = {"../k", "a/../k", "..", "", "/k", "k/../../k"};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 100, .dst = dst, .dst_bytes = 100};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);

    api_put(api, "k", 0, SIZE);
    memset(dst, 0xee, sizeof(dst));
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(
            lsio_read(api->context, api->store, keys[i], 0, 100, dst, sizeof(dst), NULL),
            api->bad_key);
    assert_int_equal(lsio_read(api->context, api->store, "absent", 0, 9, dst, 9, NULL), -ENOENT);
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, 10, dst, 9, NULL),
                     LSIO_E_NO_SPACE);
    assert_int_equal(lsio_read(api->context, api->store, "k", SIZE - 5, 10, dst, sizeof(dst), NULL),
                     LSIO_E_TRUNCATED);
    assert_int_equal(lsio_read(api->context, api->store, "k", 7, 100, dst, 100, NULL), 0);
    api_check(dst, 0, 7, 100);
    assert_true(api_all(dst + 100, 0xee, sizeof(dst) - 100));
    chunk.flags = 1u << 2;
    assert_int_equal(lsio_read_batch(api->context, &request), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_every_profile), cmocka_unit_test(alone)};

    return api_run_tests("failing_chunk_spares_neighbours", tests, COUNT(tests), API_ALL);
}
