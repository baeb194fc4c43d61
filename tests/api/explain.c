/* SPDX-License-Identifier: MIT */
/*
 * lsio_explain_batch(): text and well-formed JSON with the profile of each store, why it was
 * chosen, and operations, joins, splits and bytes that agree with what reading then does. Nothing
 * is read.
 */
#include "api_fixture.h"

#include <ctype.h>

/* ------------------------------------------------------------------------- a tiny JSON checker --
 */

static const char *value_end(const char *at);

static const char *space(const char *at)
{
    while (*at && isspace((unsigned char)*at))
        at++;
    return at;
}

static const char *string_end(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at == '\\' && !*++at)
            return NULL;
    }
    return *at == '"' ? at + 1 : NULL;
}

/* After '{' or '[': members up to the closing bracket. */
static const char *members_end(const char *at, char close)
{
    at = space(at);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = string_end(space(at));
            at = at ? space(at) : NULL;
            if (!at || *at++ != ':')
                return NULL;
        }
        at = value_end(at);
        if (!at)
            return NULL;
        at = space(at);
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *value_end(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};

    at = space(at);
    if (*at == '{' || *at == '[')
        return members_end(at + 1, *at == '{' ? '}' : ']');
    if (*at == '"')
        return string_end(at);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    const char *begin = at;
    while (*at && strchr("+-0123456789.eE", *at))
        at++;
    return at == begin ? NULL : at;
}

static void json_check(const char *text)
{
    const char *end = value_end(text);

    assert_non_null(end);
    assert_int_equal(*space(end), '\0');
}

/* The number after the last "key": of the text: the total's. */
static uint64_t total_of(const char *text, const char *key)
{
    char quoted[64];
    const char *at = strstr(text, "\"total\": {"), *found;

    assert_non_null(at);
    snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    at += strlen("\"total\": {");
    found = strstr(at, quoted);
    assert_non_null(found);
    return strtoull(found + strlen(quoted), NULL, 10);
}

/* ---------------------------------------------------------------------------------------- tests --
 */

#define CHUNKS 300u

static void chunks_make(struct lsio_chunk *chunks, uint8_t *dst)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 1000, .length = 900, .dst = dst + i * 900, .dst_bytes = 900};
}

static void agrees_with_reading(void **state)
{
    static const struct lsio_option options[] = {{"profile", "hdd"}, {"gap_bytes", "8K"}};
    struct api *api = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    uint8_t *dst = calloc(CHUNKS, 900);
    struct lsio_stats stats;
    char *json = NULL, *text = NULL;

    api_put(api, "k", 0, MIB);
    api_remake(api, NULL, options, 2);
    object = api_object(api, "k");
    object.size = MIB;
    chunks_make(chunks, dst);
    assert_int_equal(lsio_explain_batch(api->context, &request, LSIO_EXPLAIN_JSON, &json), 0);
    assert_int_equal(lsio_explain_batch(api->context, &request, LSIO_EXPLAIN_TEXT, &text), 0);
    stats = api_stats(api->context);
    assert_int_equal(stats.bytes_read, 0);
    assert_int_equal(stats.operations, 0);
    assert_true(api_all(dst, 0, CHUNKS * 900));
    json_check(json);
    assert_non_null(strstr(json, "\"name\": \"hdd\""));
    assert_non_null(strstr(json, api->url));
    assert_non_null(strstr(text, "hdd"));
    assert_non_null(strstr(text, api->url));
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    stats = api_stats(api->context);
    assert_int_equal(total_of(json, "chunks"), CHUNKS);
    assert_int_equal(total_of(json, "bytes_asked"), stats.bytes_asked);
    assert_int_equal(total_of(json, "bytes_read"), stats.bytes_read);
    assert_int_equal(total_of(json, "bytes_wasted"), stats.bytes_wasted);
    assert_int_equal(total_of(json, "total"), stats.operations);
    lsio_result_free(json);
    lsio_result_free(text);
    free(dst);
}

/* A context has more stores than the request reads from, and one was closed. */
static void of_some_of_many_stores(void **state)
{
    struct api *api = *state;
    struct lsio_store *closed = api_open(api, api->context, NULL, 0);
    struct lsio_store *used = api_open(api, api->context, NULL, 0);
    struct lsio_object object = {used, "k", LSIO_SIZE_UNKNOWN, NULL};
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    uint8_t *dst = malloc(CHUNKS * 900);

    api_open(api, api->context, NULL, 0);
    assert_int_equal(lsio_store_close(closed), 0);
    chunks_make(chunks, dst);
    for (int format = LSIO_EXPLAIN_TEXT; format <= LSIO_EXPLAIN_JSON; format++) {
        char *text = NULL;
        assert_int_equal(lsio_explain_batch(api->context, &request, format, &text), 0);
        assert_true(strlen(text) > 100);
        if (format == LSIO_EXPLAIN_JSON)
            json_check(text);
        lsio_result_free(text);
    }
    free(dst);
}

static void of_odd_requests(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2] = {api_object(api, "k"), api_object(api, "no\"such\\key\n")};
    struct lsio_chunk chunks[5] = {{.object = 7, .length = 9},
                                   {.object = 1, .length = LSIO_TO_END},
                                   {.offset = -5, .length = 10},
                                   {.length = 0},
                                   {.length = UINT64_C(1) << 40}};
    struct lsio_request request = api_request(objects, 2, chunks, 5, NULL);
    char *text = NULL;

    assert_int_equal(lsio_explain_batch(api->context, &request, LSIO_EXPLAIN_JSON, &text), 0);
    json_check(text);
    lsio_result_free(text);
    request.chunk_count = request.object_count = 0;
    assert_int_equal(lsio_explain_batch(api->context, &request, LSIO_EXPLAIN_JSON, &text), 0);
    json_check(text);
    lsio_result_free(text);
    text = (char *)state;
    assert_int_equal(lsio_explain_batch(api->context, &request, 2, &text), -EINVAL);
    assert_int_equal(lsio_explain_batch(api->context, NULL, 0, &text), -EINVAL);
    assert_int_equal(lsio_explain_batch(NULL, &request, 0, &text), -EINVAL);
    assert_ptr_equal(text, state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_reading),
                                       cmocka_unit_test(of_some_of_many_stores),
                                       cmocka_unit_test(of_odd_requests)};

    return api_run_tests("explain", tests, COUNT(tests), API_ALL);
}
