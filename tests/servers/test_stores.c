/* SPDX-License-Identifier: MIT */
/*
 * One suite for every store: memory, a directory, nginx (HTTP/1.1 in clear and over TLS, HTTP/2),
 * S3 (versitygw, moto), Azure (azurite, with a key and with a shared access signature), Cloud
 * Storage (fake-gcs-server), on each loop. The same objects lie on all of them, put there by
 * clients that are not LSIO; what is read is compared with upload.py's manifest, so it is the same
 * everywhere: ranges of every form, whole objects, sizes, listings, absence, changes, refusals.
 *
 * LSIO_TEST_TIMEOUT: 900
 * LSIO_TEST_SERIAL: yes
 * LSIO_ROWS: H5 H6 H7 H17 H19
 */
#define _GNU_SOURCE
#include "servers.h"

#include "server/fault_server.h"

#define REPLACED     "replaced/object"
#define BUDGET       (8 * MIB)
#define SIZE_SAMPLES 12u

static const struct servers_way *way;
static const char *loop_name;
static struct servers_manifest manifest;

struct fixture {
    struct lsio_context *context;
    struct lsio_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->context = servers_context(loop_name, 64 * MIB);
    assert_int_equal(servers_open(way, f->context, NULL, NULL, &f->store), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int status = lsio_context_destroy(f->context);

    free(f);
    assert_int_equal(servers_secrets_logged(), 0);
    return status;
}

/* The error's parts without secrets. */
static void error_check(const struct lsio_error *error)
{
    servers_secrets_check(error->text);
    servers_secrets_check(error->url);
    servers_secrets_check(error->request_id);
}

static void last_error(struct fixture *f, struct lsio_error *error)
{
    *error = (struct lsio_error){.struct_bytes = sizeof(*error)};
    assert_int_equal(lsio_last_error(f->context, error), 0);
    error_check(error);
    assert_true(error->text[0] != '\0');
}

static int read_some(struct fixture *f, const char *key, void *dst, uint64_t bytes)
{
    return lsio_read(f->context, f->store, key, 0, bytes, dst, bytes, NULL);
}

static struct lsio_object object_of(const struct fixture *f, const struct servers_object *object,
                                    bool sized)
{
    return (struct lsio_object){
        .store = f->store, .key = object->key, .size = sized ? object->size : LSIO_SIZE_UNKNOWN};
}

/* ---------------------------------------------------------------------------------- ranges -- */

#define DST_BYTES (160 * KIB)

static const uint64_t lengths[] = {0, 1, 100, 4096, 70000, LSIO_TO_END};

/* Offsets about the object's ends, and far beyond. */
static unsigned offsets_of(uint64_t size, int64_t out[16])
{
    int64_t end = (int64_t)size;
    const int64_t all[] = {0,    1,    end / 2,  end - 1,  end,       end + 1,  -1,
                           -100, -end, -end - 1, -end / 2, INT64_MAX, INT64_MIN};

    memcpy(out, all, sizeof(all));
    return COUNT(all);
}

struct ranges {
    const struct servers_object *of[SIZE_SAMPLES];
    unsigned count;
    struct lsio_object objects[SIZE_SAMPLES];
    struct lsio_chunk *chunks;
    struct lsio_result *results;
    size_t chunk_count;
    uint8_t *dst;
};

/* One object of each size, but none longer than the destinations. */
static void ranges_make(const struct fixture *f, struct ranges *r, bool sized, bool allocated)
{
    *r = (struct ranges){.count = 0};
    for (size_t i = 0; i < manifest.count && r->count < SIZE_SAMPLES; i++) {
        const struct servers_object *object = &manifest.objects[i];
        bool known = object->size > DST_BYTES ||
                     (object->size >= 1000 && object->size < 1000 + 2 * SIZE_SAMPLES);
        for (unsigned k = 0; k < r->count; k++)
            known = known || r->of[k]->size == object->size;
        if (known)
            continue;
        r->objects[r->count] = object_of(f, object, sized);
        r->of[r->count++] = object;
    }
    assert_true(r->count >= 8);
    r->chunks = calloc((size_t)r->count * 16 * COUNT(lengths), sizeof(*r->chunks));
    for (unsigned i = 0; i < r->count; i++) {
        int64_t offsets[16];
        unsigned count = offsets_of(r->of[i]->size, offsets);
        for (unsigned k = 0; k < count * COUNT(lengths); k++)
            r->chunks[r->chunk_count++] =
                (struct lsio_chunk){.object = i,
                                    .flags = allocated ? LSIO_CHUNK_ALLOC : 0,
                                    .offset = offsets[k / COUNT(lengths)],
                                    .length = lengths[k % COUNT(lengths)]};
    }
    r->results = calloc(r->chunk_count, sizeof(*r->results));
    if (allocated)
        return;
    r->dst = malloc(r->chunk_count * DST_BYTES);
    for (size_t i = 0; i < r->chunk_count; i++) {
        r->chunks[i].dst = r->dst + i * DST_BYTES;
        r->chunks[i].dst_bytes = r->chunks[i].length == LSIO_TO_END && i % 2 ? 4096 : DST_BYTES;
    }
}

/* Of a chunk; without secrets. */
static const char *error_text(struct lsio_batch *batch, uint64_t chunk)
{
    static struct lsio_error error;

    error = (struct lsio_error){.struct_bytes = sizeof(error)};
    if (lsio_batch_error(batch, chunk, &error) != 0)
        return "";
    error_check(&error);
    return error.text;
}

static void ranges_check(const struct ranges *r, struct lsio_batch *batch)
{
    for (size_t i = 0; i < r->chunk_count; i++) {
        const struct lsio_chunk *chunk = &r->chunks[i];
        const struct servers_object *object = r->of[chunk->object];
        const struct lsio_result *result = &r->results[i];
        uint64_t first, bytes, room = r->dst ? chunk->dst_bytes : UINT64_MAX;
        int status =
            servers_range(object->size, chunk->offset, chunk->length, room, &first, &bytes);
        if (result->status != status)
            fail_msg("%s (%llu bytes), offset %lld, length %llu: status %d, not %d: %s",
                     object->key, (unsigned long long)object->size, (long long)chunk->offset,
                     (unsigned long long)chunk->length, result->status, status,
                     error_text(batch, i));
        if (status)
            continue;
        assert_int_equal(result->bytes, bytes);
        servers_check(object->key, object->id, first, result->data, bytes);
    }
}

static void ranges_read(struct fixture *f, bool sized, bool allocated)
{
    struct ranges r;
    struct lsio_request request;
    struct lsio_batch *batch;

    ranges_make(f, &r, sized, allocated);
    request = api_request(r.objects, r.count, r.chunks, r.chunk_count, r.results);
    assert_int_equal(lsio_submit_batch(f->context, &request, &batch), 0);
    api_wait(batch);
    ranges_check(&r, batch);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(r.dst);
    free(r.chunks);
    free(r.results);
}

static void ranges_of_every_form(void **state)
{
    const struct lsio_option apart[] = {{"gap_bytes", "0"}, {"split_bytes", "64K"}, {NULL, NULL}};
    struct fixture *f = *state;

    ranges_read(f, false, false);
    ranges_read(f, true, true);
    /* No two joined, and what is longer than 64 KiB in parts. */
    assert_int_equal(servers_open(way, f->context, NULL, apart, &f->store), 0);
    ranges_read(f, true, false);
}

/* All objects, whatever their keys are. */
static void whole_objects(void **state)
{
    struct fixture *f = *state;
    struct lsio_object *objects = calloc(manifest.count, sizeof(*objects));
    struct lsio_chunk *chunks = calloc(manifest.count, sizeof(*chunks));
    struct lsio_result *results = calloc(manifest.count, sizeof(*results));
    struct lsio_request request =
        api_request(objects, manifest.count, chunks, manifest.count, results);
    struct lsio_batch *batch;

    for (size_t i = 0; i < manifest.count; i++) {
        objects[i] = object_of(f, &manifest.objects[i], false);
        chunks[i] = (struct lsio_chunk){
            .object = (uint32_t)i, .length = LSIO_TO_END, .flags = LSIO_CHUNK_ALLOC};
    }
    assert_int_equal(lsio_submit_batch(f->context, &request, &batch), 0);
    api_wait(batch);
    for (size_t i = 0; i < manifest.count; i++) {
        const struct servers_object *object = &manifest.objects[i];
        if (results[i].status)
            fail_msg("%s: %s: %s", object->key, lsio_status_name(results[i].status),
                     error_text(batch, i));
        assert_int_equal(results[i].bytes, object->size);
        servers_check(object->key, object->id, 0, results[i].data, object->size);
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(objects);
    free(chunks);
    free(results);
}

/* -------------------------------------------------------------------------- sizes, listings -- */

static void sizes_and_validators(void **state)
{
    struct fixture *f = *state;
    size_t count = manifest.count;
    struct lsio_object *objects = calloc(count + 1, sizeof(*objects));
    struct lsio_object_info *infos = calloc(count + 1, sizeof(*infos));
    int *statuses = calloc(count + 1, sizeof(*statuses));

    for (size_t i = 0; i <= count; i++) {
        objects[i] = (struct lsio_object){.store = f->store, .key = "absent"};
        if (i < count)
            objects[i] = object_of(f, &manifest.objects[i], false);
        infos[i].struct_bytes = sizeof(infos[i]);
    }
    (void)lsio_stat_batch(f->context, objects, count + 1, infos, 0, statuses);
    for (size_t i = 0; i < count; i++) {
        if (statuses[i])
            fail_msg("%s: %s", manifest.objects[i].key, lsio_status_name(statuses[i]));
        assert_int_equal(infos[i].size, manifest.objects[i].size);
        assert_true(infos[i].etag[0] != '\0');
        assert_true(infos[i].mtime_ns > INT64_C(1600000000) * 1000000000);
    }
    assert_int_equal(statuses[count], -ENOENT);
    free(objects);
    free(infos);
    free(statuses);
}

struct names {
    char **names;
    uint64_t *sizes; /* UINT64_MAX: a prefix */
    size_t count;
};

static void names_add(struct names *to, const char *name, size_t bytes, uint64_t size)
{
    to->names = realloc(to->names, (to->count + 1) * sizeof(*to->names));
    to->sizes = realloc(to->sizes, (to->count + 1) * sizeof(*to->sizes));
    to->names[to->count] = strndup(name, bytes);
    to->sizes[to->count++] = size;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    free(names->sizes);
}

/* What a server that keeps keys as paths of files says of a key ("a//b", "./x", "x/../y"). */
static void path_of(const char *key, char *out)
{
    char *at = out;

    for (const char *part = key; *part; part += part[strcspn(part, "/")] == '/') {
        size_t bytes = strcspn(part, "/");
        if (bytes == 2 && memcmp(part, "..", 2) == 0) {
            while (at > out && *--at != '/')
                ;
        } else if (bytes > 0 && !(bytes == 1 && *part == '.')) {
            at += sprintf(at, "%s%.*s", at > out ? "/" : "", (int)bytes, part);
        }
        part += bytes;
    }
    *at = '\0';
}

/* What listing must give, from the manifest alone. Objects that other tests put are left out. */
static void names_expected(struct names *out, const char *prefix, char delimiter)
{
    size_t skip = strlen(prefix);

    for (size_t i = 0; i < manifest.count; i++) {
        char key[4096];
        const char *fold;
        snprintf(key, sizeof(key), "%s", manifest.objects[i].key);
        if (way->keeps_paths)
            path_of(manifest.objects[i].key, key);
        for (char *at = key; way->turns_backslashes && *at; at++)
            *at = *at == '\\' ? '/' : *at;
        fold = delimiter ? strchr(key + skip, delimiter) : NULL;
        if (strncmp(key, prefix, skip) != 0)
            continue;
        if (fold)
            names_add(out, key, (size_t)(fold - key) + 1, UINT64_MAX);
        else
            names_add(out, key, strlen(key), manifest.objects[i].size);
    }
    for (size_t i = 1; i < out->count; i++) /* few: insertion sort, prefixes once */
        for (size_t k = i; k > 0 && strcmp(out->names[k - 1], out->names[k]) > 0; k--) {
            char *name = out->names[k];
            uint64_t size = out->sizes[k];
            out->names[k] = out->names[k - 1];
            out->sizes[k] = out->sizes[k - 1];
            out->names[k - 1] = name;
            out->sizes[k - 1] = size;
        }
    for (size_t i = 1; i < out->count;) {
        if (strcmp(out->names[i - 1], out->names[i]) != 0) {
            i++;
            continue;
        }
        free(out->names[i]);
        out->count--;
        memmove(&out->names[i], &out->names[i + 1], (out->count - i) * sizeof(*out->names));
        memmove(&out->sizes[i], &out->sizes[i + 1], (out->count - i) * sizeof(*out->sizes));
    }
}

static int names_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(entries[i].key, "replaced/", strlen("replaced/")) != 0)
            names_add(data, entries[i].key, strlen(entries[i].key),
                      entries[i].is_prefix ? UINT64_MAX : entries[i].size);
    return 0;
}

static void list_check(struct fixture *f, const char *prefix, char delimiter)
{
    struct names want = {.count = 0}, got = {.count = 0};

    names_expected(&want, prefix, delimiter);
    assert_int_equal(lsio_list(f->store, prefix, delimiter, names_page, &got), 0);
    for (size_t i = 0; i < want.count && i < got.count; i++) {
        if (strcmp(got.names[i], want.names[i]) != 0)
            fail_msg("below \"%s\": \"%s\" is listed where \"%s\" should be", prefix, got.names[i],
                     want.names[i]);
        assert_int_equal(got.sizes[i], want.sizes[i]);
    }
    assert_int_equal(got.count, want.count);
    names_free(&want);
    names_free(&got);
}

static int page_ends(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)count;
    ++*(int *)data;
    return 4242;
}

static void listings(void **state)
{
    struct fixture *f = *state;
    struct names none = {.count = 0};
    int pages = 0;

    if (!way->lists) {
        assert_int_equal(lsio_list(f->store, "", 0, names_page, &none), -EOPNOTSUPP);
        return;
    }
    list_check(f, "", 0);
    list_check(f, "", '/');
    list_check(f, "plain/", 0);
    list_check(f, "plain/", '/');
    list_check(f, "long/", '/');
    list_check(f, "long/", 0);
    list_check(f, "\u65e5\u672c\u8a9e/", 0);
    list_check(f, "+=%/", '/');
    list_check(f, "nothing/", 0);
    assert_int_equal(lsio_list(f->store, "plain/", 0, page_ends, &pages), 4242);
    assert_int_equal(pages, 1);
    assert_int_equal(lsio_list(f->store, "plain", 0, names_page, &none), -EINVAL);
}

/* --------------------------------------------------------------------------- absent, refused -- */

static void absent_objects(void **state)
{
    struct fixture *f = *state;
    const struct servers_object *there = &manifest.objects[manifest.count - 2];
    struct lsio_object objects[4] = {{.store = f->store, .key = "absent"},
                                     {.store = f->store, .key = "plain/absent"},
                                     object_of(f, there, false),
                                     {.store = f->store, .key = "absent/below"}};
    uint8_t dst[4][512];
    struct lsio_chunk chunks[4];
    struct lsio_result results[4];
    struct lsio_request request = api_request(objects, 4, chunks, 4, results);
    struct lsio_error error;

    for (uint32_t i = 0; i < 4; i++)
        chunks[i] = (struct lsio_chunk){.object = i, .length = 1, .dst = dst[i], .dst_bytes = 512};
    chunks[1].length = LSIO_TO_END;
    chunks[3].flags = LSIO_CHUNK_MISSING_OK;
    assert_int_equal(lsio_read_batch(f->context, &request), -ENOENT);
    assert_int_equal(results[0].status, -ENOENT);
    assert_int_equal(results[1].status, -ENOENT);
    assert_int_equal(results[2].status, 0);
    servers_check(there->key, there->id, 0, dst[2], 1);
    assert_int_equal(results[3].status, 0);
    assert_int_equal(results[3].flags, LSIO_RESULT_MISSING);
    assert_int_equal(results[3].bytes, 0);
    last_error(f, &error);
    assert_int_equal(error.status, -ENOENT);
    assert_non_null(strstr(error.url, "absent"));
    /* also as the first thing that is asked of a store */
    assert_int_equal(servers_open(way, f->context, NULL, NULL, &f->store), 0);
    assert_int_equal(read_some(f, "absent", dst, 1), -ENOENT);
}

/* Wrongly set up is not absent: a reader would take that for fill values. */
static void absent_buckets(void **state)
{
    /* fake-gcs-server has 500 for it, which is worth another try */
    const struct lsio_option quick[] = {{"retry_attempts_max", "2"}, {NULL, NULL}};
    struct fixture *f = *state;
    struct lsio_error error;
    uint8_t dst[8];
    int status;

    if (!way->buckets)
        return;
    assert_int_equal(servers_open(way, f->context, "no-such-bucket", quick, &f->store), 0);
    for (int i = 0; i < 2; i++) {
        status = read_some(f, i ? "plain/040" : "absent", dst, 8);
        if (status != LSIO_E_HTTP && status != -EACCES)
            fail_msg("a missing bucket gives %s", lsio_status_name(status));
        last_error(f, &error);
        assert_true(error.code >= 400);
    }
    assert_true(lsio_list(f->store, "", 0, names_page, &(struct names){.count = 0}) < 0);
}

/* As the right value, but for its fifth last character: before what pads base64 (as it is, or
 * percent-encoded), so each bit of it counts. */
static void wrong_value(const char *right, char *out, size_t room)
{
    size_t at = strlen(right) - 5;

    snprintf(out, room, "%s", right);
    out[at] = out[at] == 'A' ? 'B' : 'A';
}

static void wrong_credentials(void **state)
{
    struct fixture *f = *state;
    struct lsio_option wrong[] = {{way->wrong, NULL}, {NULL, NULL}};
    struct lsio_error error;
    char value[512];
    uint8_t dst[8];

    if (!way->wrong)
        return;
    for (size_t i = 0; way->options[i].key; i++)
        if (strcmp(way->options[i].key, way->wrong) == 0)
            wrong_value(servers_value(way->server, way->options[i].value + 1), value,
                        sizeof(value));
    wrong[0].value = value;
    assert_int_equal(servers_open(way, f->context, NULL, wrong, &f->store), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_some(f, i ? "plain/040" : "absent", dst, 8), -EACCES);
        last_error(f, &error);
        assert_int_equal(error.code, 403);
        assert_null(strstr(error.text, value));
        assert_null(strstr(error.url, value));
        assert_non_null(strstr(error.text, "403"));
    }
    assert_int_equal(lsio_list(f->store, "", 0, names_page, &(struct names){.count = 0}), -EACCES);
}

/* --------------------------------------------------------------------------------- changes -- */

static int read_expecting(struct fixture *f, const char *key, const char *etag, int64_t offset,
                          void *dst, uint64_t bytes)
{
    struct lsio_object object = {.store = f->store, .key = key, .etag = etag};
    struct lsio_chunk chunk = {.offset = offset, .length = bytes, .dst = dst, .dst_bytes = bytes};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);

    return lsio_read_batch(f->context, &request);
}

static void expected_validators(void **state)
{
    struct fixture *f = *state;
    const struct servers_object *one = servers_manifest_find(&manifest, "plain/043");
    const struct servers_object *other = servers_manifest_find(&manifest, "plain/044");
    struct lsio_object objects[] = {object_of(f, one, false), object_of(f, other, false)};
    struct lsio_object_info infos[2] = {{.struct_bytes = sizeof(infos[0])},
                                        {.struct_bytes = sizeof(infos[1])}};
    uint8_t dst[100];

    assert_int_equal(lsio_stat_batch(f->context, objects, 2, infos, 0, NULL), 0);
    assert_string_not_equal(infos[0].etag, infos[1].etag);
    assert_int_equal(read_expecting(f, one->key, infos[0].etag, 1, dst, 100), 0);
    servers_check(one->key, one->id, 1, dst, 100);
    assert_int_equal(read_expecting(f, one->key, infos[1].etag, 1, dst, 100), LSIO_E_CHANGED);
    objects[0].etag = infos[1].etag;
    assert_int_equal(lsio_stat_batch(f->context, objects, 1, infos, 0, NULL), LSIO_E_CHANGED);
}

/* The store's own client replaces the object between two requests. */
static void replaced_objects(void **state)
{
    struct fixture *f = *state;
    struct lsio_object object = {.store = f->store, .key = REPLACED};
    struct lsio_object_info before = {.struct_bytes = sizeof(before)};
    uint8_t dst[2000];

    servers_put(way, f->store, REPLACED, 900, 2000);
    assert_int_equal(lsio_stat_batch(f->context, &object, 1, &before, 0, NULL), 0);
    assert_int_equal(before.size, 2000);
    assert_int_equal(read_expecting(f, REPLACED, before.etag, 0, dst, 2000), 0);
    servers_check(REPLACED, 900, 0, dst, 2000);
    servers_put(way, f->store, REPLACED, 901, 1999);
    assert_int_equal(read_expecting(f, REPLACED, before.etag, 0, dst, 1000), LSIO_E_CHANGED);
    assert_int_equal(read_expecting(f, REPLACED, NULL, 0, dst, 1999), 0);
    servers_check(REPLACED, 901, 0, dst, 1999);
}

/* ------------------------------------------------------------------------- cancel and budget -- */

struct canceling {
    struct api_seen seen; /* first */
    _Atomic int after;    /* so many chunks the batch is canceled */
};

static void cancel_on_chunk(struct lsio_batch *batch, uint64_t index,
                            const struct lsio_result *result, void *data)
{
    struct canceling *canceling = data;

    api_seen_on_chunk(batch, index, result, data);
    if (atomic_fetch_sub(&canceling->after, 1) == 1)
        lsio_batch_cancel(batch);
}

static void cancel_after(struct fixture *f, int after)
{
    struct lsio_object *objects = calloc(manifest.count, sizeof(*objects));
    struct lsio_chunk *chunks = calloc(manifest.count, sizeof(*chunks));
    struct lsio_result *results = calloc(manifest.count, sizeof(*results));
    struct lsio_request request =
        api_request(objects, manifest.count, chunks, manifest.count, results);
    struct canceling canceling = {.after = after};
    struct lsio_batch *batch;
    uint64_t canceled = 0;

    for (size_t i = 0; i < manifest.count; i++) {
        objects[i] = object_of(f, &manifest.objects[i], i % 2);
        chunks[i] = (struct lsio_chunk){
            .object = (uint32_t)i, .length = LSIO_TO_END, .flags = LSIO_CHUNK_ALLOC};
    }
    api_seen_init(&canceling.seen, manifest.count);
    request.on_chunk = cancel_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &canceling;
    assert_int_equal(lsio_submit_batch(f->context, &request, &batch), 0);
    if (after == 0)
        assert_int_equal(lsio_batch_cancel(batch), 0);
    api_wait(batch);
    for (size_t i = 0; i < manifest.count; i++) {
        if (results[i].status == -ECANCELED) {
            canceled++;
            continue;
        }
        assert_int_equal(results[i].status, 0);
        servers_check(manifest.objects[i].key, manifest.objects[i].id, 0, results[i].data,
                      manifest.objects[i].size);
    }
    assert_int_equal(atomic_load(&canceling.seen.canceled), canceled);
    api_seen_check(&canceling.seen);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(objects);
    free(chunks);
    free(results);
}

static void canceled_batches(void **state)
{
    struct fixture *f = *state;
    const struct servers_object *one = servers_manifest_find(&manifest, "plain/043");
    uint8_t dst[1000];

    for (int after = 0; after < 100; after = after * 3 + 1)
        cancel_after(f, after);
    assert_int_equal(read_some(f, one->key, dst, 1000), 0);
    servers_check(one->key, one->id, 0, dst, 1000);
}

/* Counts the bytes that it has seen in call->user. */
static int stage_count(struct lsio_call *call)
{
    const struct servers_object *object = call->data;

    atomic_fetch_add((_Atomic uint64_t *)call->user, call->in_bytes);
    return server_pattern_check(object->id, 0, call->in, call->in_bytes) < 0 ? 0 : -1;
}

/* Bytes go through the library's own buffers alone: they hold few of the objects at a time, and the
 * largest never. */
static void small_budget(void **state)
{
    struct fixture small = {.context = servers_context(loop_name, BUDGET)};
    _Atomic uint64_t seen = 0;
    struct lsio_stage stage = api_stage(stage_count, LSIO_STAGE_READS_ONLY, &seen);
    struct lsio_object *objects = calloc(manifest.count, sizeof(*objects));
    struct lsio_chunk *chunks = calloc(manifest.count, sizeof(*chunks));
    struct lsio_result *results = calloc(manifest.count, sizeof(*results));
    struct lsio_request request =
        api_request(objects, manifest.count, chunks, manifest.count, results);
    struct lsio_chain *chain;
    struct lsio_stats stats;
    uint64_t all = 0;

    (void)state;
    assert_int_equal(servers_open(way, small.context, NULL, NULL, &small.store), 0);
    assert_int_equal(lsio_chain_create(small.context, &stage, 1, &chain), 0);
    for (size_t i = 0; i < manifest.count; i++) {
        objects[i] = object_of(&small, &manifest.objects[i], false);
        chunks[i] = (struct lsio_chunk){
            .object = (uint32_t)i, .length = LSIO_TO_END, .data = &manifest.objects[i]};
        if (manifest.objects[i].size < BUDGET)
            all += manifest.objects[i].size;
    }
    request.chain = chain;
    assert_int_equal(lsio_read_batch(small.context, &request), LSIO_E_BUDGET);
    for (size_t i = 0; i < manifest.count; i++)
        assert_int_equal(results[i].status, manifest.objects[i].size < BUDGET ? 0 : LSIO_E_BUDGET);
    assert_int_equal(atomic_load(&seen), all);
    stats = api_stats(small.context);
    assert_int_equal(stats.memory_bytes_max, BUDGET);
    assert_true(stats.memory_bytes_peak <= BUDGET);
    lsio_chain_destroy(chain);
    assert_int_equal(lsio_context_destroy(small.context), 0);
    free(objects);
    free(chunks);
    free(results);
}

static void explained(void **state)
{
    struct fixture *f = *state;
    struct lsio_object object = object_of(f, servers_manifest_find(&manifest, "plain/199"), true);
    struct lsio_chunk chunks[3] = {
        {.length = 1000}, {.offset = 2000, .length = 1000}, {.offset = 0, .length = 8 << 20}};
    struct lsio_request request = api_request(&object, 1, chunks, 3, NULL);
    struct lsio_stats before = api_stats(f->context), after;

    for (int format = LSIO_EXPLAIN_TEXT; format <= LSIO_EXPLAIN_JSON; format++) {
        char *text = NULL;
        assert_int_equal(lsio_explain_batch(f->context, &request, format, &text), 0);
        servers_secrets_check(text);
        assert_int_equal(text[0] == '{', format == LSIO_EXPLAIN_JSON);
        assert_non_null(strstr(text, "operations"));
        assert_non_null(strstr(text, "profile"));
        lsio_result_free(text);
    }
    after = api_stats(f->context);
    assert_int_equal(after.operations, before.operations);
}

/* ------------------------------------------------------------------------------------ whole -- */

/* The server's log says which protocol was spoken; it is written when an answer has been sent. */
static bool log_has(const char *text)
{
    FILE *log = fopen(servers_value(way->server, "LOG"), "re");
    char line[8192];
    bool found = false;

    assert_non_null(log);
    while (!found && fgets(line, sizeof(line), log))
        found = strstr(line, text) != NULL;
    fclose(log);
    return found;
}

static void speaks_http2(void **state)
{
    struct fixture *f = *state;
    char key[64], text[128];
    uint64_t until = api_now_ms() + 10000;
    uint8_t dst[8];

    if (strcmp(way->name, "http2") != 0)
        return;
    snprintf(key, sizeof(key), "absent-%llu", (unsigned long long)api_now_ms());
    snprintf(text, sizeof(text), "%s HTTP/2.0", key);
    assert_int_equal(read_some(f, key, dst, 8), -ENOENT);
    while (!log_has(text) && api_now_ms() < until)
        api_sleep_ms(1);
    assert_true(log_has(text));
}

/* The keys that clients tend to spoil are among those read. */
static void odd_keys_are_there(void)
{
    assert_non_null(servers_manifest_find(&manifest, "+=%/\u00e9~ "));
    if (strcmp(way->server, "NGINX") == 0)
        return;
    assert_non_null(servers_manifest_find(&manifest, "a//b"));
    if (strcmp(way->server, "AZURITE") != 0) /* its client spoils that key */
        assert_non_null(servers_manifest_find(&manifest, "./x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_of_every_form),
        TEST(whole_objects),
        TEST(sizes_and_validators),
        TEST(listings),
        TEST(absent_objects),
        TEST(absent_buckets),
        TEST(wrong_credentials),
        TEST(expected_validators),
        TEST(canceled_batches),
        TEST(small_budget),
        TEST(explained),
        TEST(speaks_http2),
        TEST(replaced_objects),
    };
    int failed = 0;

    servers_need();
    for (size_t i = 0; i < servers_way_count; i++) {
        way = &servers_ways[i];
        servers_manifest_read(way->server, &manifest);
        odd_keys_are_there();
        failed += servers_run(way->name, &loop_name, tests, COUNT(tests));
        servers_manifest_free(&manifest);
    }
    return failed;
}
